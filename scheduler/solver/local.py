"""Compiled local search on an instance: mend what is broken, empty hosts, anneal, and keep the best that was met.

Compiled code runs in slices of a few milliseconds without the interpreter's lock; between slices the clock, the budget
and whoever wants to stop are asked.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from scheduler.solver.forms import Index, Ints, Together
from scheduler.solver.instance import Instance
from scheduler.solver.kernels.anneal import anneal, sample_costs
from scheduler.solver.kernels.evacuate import empty_hosts
from scheduler.solver.kernels.mend import mend_each, move_group
from scheduler.solver.kernels.moves import BROKEN_WEIGHT, HARD_WEIGHT
from scheduler.solver.kernels.state import BROKEN, GOAL, HARD, LEFT, MIB, MOVES, OVERLOAD, make_state, move_all
from scheduler.solver.kernels.tables import SOFT, Tables, make_tables
from scheduler.solver.meter import Meter
from scheduler.solver.search import Search
from scheduler.solver.threads import side_by_side

SLICE_STEPS = 20_000
STEP_WORK = 2e-7
"""What one proposal counts as of a work limit: about the seconds it takes."""
SWAPS = 300
"""Swaps of 1024 proposals."""
COOL = 1e-4
"""Temperature at the end as a part of that at the start."""
SAMPLES = 512
GUESTS_AT_ONCE = 64


def search_locally(search: Search, meter: Meter, share: float) -> bool:
    """Improve the incumbent by compiled search for a share of what is left of the budget.

    Returns whether it kept to the MiB that are worth moving, to a ceiling (see `few`) or for emptied hosts (see
    `evacuate`): a search that proves nothing should not move more.
    """
    if not len(search.instance.movable):
        return False
    local = Local(search.instance, search.place, meter.budget.seed)
    local.mend(meter)
    emptying = search.instance.goal.sleep is not None
    if emptying and search.instance.outside >= 0:
        local.empty(meter)
    search.offer(local.best)
    if search.proven or not search.instance.goal.terms:
        return False
    if emptying and search.instance.outside < 0:
        from scheduler.solver.evacuate import empty_cheaply

        empty_cheaply(search, meter, share)
        return True
    from scheduler.solver.few import few_moves_bind, use_few_moves

    seeds = range(meter.budget.seed + 1, meter.budget.seed + meter.threads)
    walks = [local, *(Local(search.instance, search.place, seed, local.tables) for seed in seeds)]
    few = few_moves_bind(search.instance) and not emptying
    walk = use_few_moves if few else Local.anneal
    ceilings = side_by_side([partial(walk, one, meter, share) for one in walks])
    for one in walks:
        search.offer(one.best)
    return ceilings[0] is not None


class Local:
    """A state of the compiled search over an instance, and the best placement it has met.

    `key` orders what it meets: broken rules and overload, guests left, cost, MiB moved, moves.
    """

    def __init__(self, instance: Instance, place: Index, seed: int, tables: Tables | None = None) -> None:
        self.instance = instance
        self.tables = tables or make_tables(instance)
        self.state = make_state(self.tables, place, seed, max(4096, 4 * int(np.bincount(place).max(initial=0))))
        self.best = place.copy()
        self.best_key = self.key

    @property
    def key(self) -> tuple[int, int, int, int, int]:
        """What the placement is worth now."""
        totals = self.state.totals.tolist()
        repair = (totals[HARD] * HARD_WEIGHT + totals[BROKEN]) * BROKEN_WEIGHT + totals[OVERLOAD]
        return repair, totals[LEFT], totals[GOAL], totals[MIB], totals[MOVES]

    def note(self) -> bool:
        """Keep the placement when it is the best so far; tell whether it was."""
        if self.key >= self.best_key:
            return False
        self.best, self.best_key = self.state.place.copy(), self.key
        return True

    def back_to_best(self) -> None:
        """Put everything where it is in the best placement met."""
        move_all(self.tables, self.state, self.best)

    def mend(self, meter: Meter) -> None:
        """Mend broken rules and overload and empty what is to be left, guest by guest, then groups as a whole."""
        while not meter.over():
            before = self.key
            for guests in _batches(self._in_trouble()):
                if meter.over():
                    return
                mend_each(self.tables, self.state, guests)
                meter.work(STEP_WORK * len(guests) * self.instance.hosts)
            self._move_groups(meter)
            self.note()
            if self.key[:2] >= before[:2]:
                return

    def _in_trouble(self) -> Ints:
        """Guests in broken binding forms, on hosts over their limits, or where none should be left; smallest first."""
        state, tables = self.state, self.tables
        guests = (state.over[state.host] > 0) | tables.left[state.host]
        groups = tables.groups
        broken = (state.broken > 0) & (groups.rank != SOFT)
        if broken.any():
            entries = np.flatnonzero(broken[groups.form])
            guests[np.searchsorted(groups.first, entries, side="right") - 1] = True
        chosen = np.flatnonzero(guests & (tables.mask_of >= 0))
        return chosen[np.argsort(-self.tables.mib[chosen], kind="stable")].astype(np.int64)

    def _move_groups(self, meter: Meter) -> None:
        hosts = self.state.host
        for form in self.instance.binding:
            if meter.over():
                return
            if not isinstance(form, Together):
                continue
            members = form.members.astype(np.int64)
            apart = len(np.unique(form.cell[hosts[members]])) > 1
            if apart or self.tables.left[hosts[members]].any() or (self.state.over[hosts[members]] > 0).any():
                move_group(self.tables, self.state, members)
                meter.work(STEP_WORK * len(members) * self.instance.hosts)

    def empty(self, meter: Meter) -> None:
        """Empty hosts that may sleep, the least memory to move first, as long as each makes things better."""
        may = self.tables.may_sleep
        emptied = True
        while emptied and not meter.over():
            emptied = False
            mib = np.zeros(self.instance.hosts, dtype=np.int64)
            np.add.at(mib, self.state.host, self.instance.mib)
            hosts = np.flatnonzero(may & (self.state.count > 0))
            for host in hosts[np.argsort(mib[hosts], kind="stable")]:
                if meter.over():
                    break
                meter.work(STEP_WORK * self.state.count[host] * self.instance.hosts)
                if empty_hosts(self.tables, self.state, np.array([host], dtype=np.int64)):
                    emptied = True
            self.note()

    def anneal(self, meter: Meter, share: float = 1.0, heat: float = 1.0) -> None:
        """Anneal for a share of what is left of the budget, from `heat` times the usual temperature."""
        whole = meter.left * share
        until = meter.left - whole
        hot = heat * self.usual_temperature()
        while not meter.over() and meter.left > until and whole > 0:
            done = min(1.0, 1 - (meter.left - until) / whole)
            anneal(self.tables, self.state, SLICE_STEPS, hot * COOL**done, SWAPS)
            meter.work(STEP_WORK * SLICE_STEPS)
            self.note()

    def usual_temperature(self) -> float:
        """The median price above 0 of a shift drawn by chance."""
        costs = np.zeros(SAMPLES, dtype=np.int64)
        found = sample_costs(self.tables, self.state, costs)
        return float(np.median(costs[:found])) if found else 0.0


def _batches(guests: Ints) -> list[Ints]:
    return [guests[i : i + GUESTS_AT_ONCE] for i in range(0, len(guests), GUESTS_AT_ONCE)]
