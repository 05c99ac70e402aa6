"""The elastic search on an instance: walks side by side that start anew from the best, for a share of the budget."""

from __future__ import annotations

import numpy as np

from scheduler.solver.elastic.rounds import Rounds
from scheduler.solver.elastic.walk import Walk
from scheduler.solver.evaluate import GOAL, why_not_valid
from scheduler.solver.forms import Ints
from scheduler.solver.instance import Instance
from scheduler.solver.kernels.pressure import make_elastic
from scheduler.solver.kernels.tables import Tables, make_tables
from scheduler.solver.meter import Meter
from scheduler.solver.search import Search
from scheduler.solver.terms import EvenUse

SETTLE_S, SETTLE_FORM_S, SETTLE_MOST = 0.02, 5e-5, 0.3
"""Seconds kept back to judge and take over what was found: these, so many for each form, of all that is left at most
this part."""
TIGHT, FULL = 0.1, 0.75
"""Capacity is tight where so many of the shifts drawn by chance fail on it, or so much of a resource is taken over all
hosts. Elsewhere plain annealing does."""
DRAWN = 4096


def applies(instance: Instance) -> bool:
    """Tell whether the elastic search is for an instance: one that it suits, with tight capacity.

    Where hosts cost nothing but their unevenness it is not: evening out makes room by itself, and plain annealing,
    which moves no more memory than it must, gets further.
    """
    if not suits(instance) or all(isinstance(term, EvenUse) for term in instance.goal.terms):
        return False
    use = instance.use(instance.home)
    full = use.sum(axis=0) > FULL * np.minimum(instance.cap, use.sum(axis=0)).sum(axis=0)
    return bool(full.any()) or _failing(instance, use) > TIGHT


def suits(instance: Instance) -> bool:
    """Tell whether an instance has what the elastic search knows alone.

    Terms of hosts and guests with one mode, nobody asleep, outside or to be left, hosts within limits, moves uncapped.
    """
    goal = instance.goal
    few = instance.max_moves < len(instance.movable) or instance.max_mib < int(instance.mib[instance.movable].sum())
    if few or instance.move_caps or instance.modes > 1 or instance.outside >= 0 or not len(instance.movable):
        return False
    if goal.sleep is not None or goal.left.any() or not goal.terms:
        return False
    return bool((instance.cap == instance.limit).all() and (instance.headroom == instance.cap).all())


def _failing(instance: Instance, use: Ints) -> float:
    """Return the part of shifts drawn by chance for which a host has no room."""
    dice = np.random.default_rng(1)
    guests = instance.movable[dice.integers(len(instance.movable), size=DRAWN)]
    targets = np.flatnonzero(instance.target)
    if not len(targets):
        return 0.0
    hosts = targets[dice.integers(len(targets), size=DRAWN)]
    return float((use[hosts] + instance.demand[guests, 0] > instance.cap[hosts]).any(axis=1).mean())


def search_elastic(search: Search, meter: Meter, share: float = 1.0, tables: Tables | None = None) -> bool:
    """Improve the incumbent's goal for a share of what is left of the budget. Repeatable with a work limit.

    Returns whether it was its turn: not while something is broken or over a limit. `tables` are those of the instance,
    if they are there.
    """
    instance = search.instance
    until, whole_s = meter.left * (1 - share), meter.left
    if any(search.value[:GOAL]) or why_not_valid(instance, search.place, search.asleep, search.counts):
        return False
    back = 0.0 if meter.budget.work_limit is not None else SETTLE_S + SETTLE_FORM_S * len(instance.forms)
    until += min(back, SETTLE_MOST * whole_s)
    tables = tables or make_tables(instance)
    elastic = make_elastic(tables)
    seeds = range(meter.budget.seed, meter.budget.seed + meter.threads)
    walks = [Walk(tables, elastic, search.place, seed) for seed in seeds]
    rounds = Rounds(walks, meter, until)
    rounds.run()
    # Judged by the reference evaluation, which shares nothing with the compiled search.
    counts = search.links.recount(search.counts, search.place, rounds.best)
    if why_not_valid(instance, rounds.best, None, counts) is None:
        search.offer(rounds.best)
    return True
