"""What placements of a problem are worth, by ids: tiers as a plan shows them, and an objective that is cheap to ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cluster.plan import EMPTYING
from cluster.problem import Problem
from scheduler.solver.evaluate import TIERS, Counts, Value, count, evaluate, occupied, why_not_valid
from scheduler.solver.forms import Index
from scheduler.solver.links import Links
from scheduler.solver.lower import Case, lower_problem
from scheduler.solver.terms import PPM


def tier_floats(case: Case, value: Value) -> dict[str, float]:
    """Return the tiers of a plan as floats: repair, [drain], the goal's own, moved_mib, moves."""
    goal = case.instance.goal
    tiers = {"repair": value.broken + value.overload / PPM}
    if goal.left.any() or case.problem.policy in EMPTYING:
        tiers["drain"] = float(value.left)
    if goal.tier != "moved_mib":
        tiers[goal.tier] = value.goal * goal.scale
    return tiers | {"moved_mib": float(value.mib), "moves": float(value.moves)}


class Objective:
    """Values of many placements of one problem.

    Builds the arrays once and remembers the last placement asked about: only hosts and rules of guests that are
    elsewhere since then are looked at again.
    """

    def __init__(self, problem: Problem) -> None:
        self._case = lower_problem(problem)
        self._links = Links(self._case.instance)
        self._place = self._case.instance.home
        self._counts = count(self._case.instance, self._place)

    def __call__(self, placement: Mapping[str, str]) -> Value:
        """Return the value of a placement by ids; guests not named stay where they are."""
        place = self._case.place_of(placement)
        return evaluate(self._case.instance, place, counts=self._count(place))

    def is_valid(self, placement: Mapping[str, str]) -> bool:
        """Tell whether a placement by ids breaks no constraint."""
        place = self._case.place_of(placement)
        return why_not_valid(self._case.instance, place, counts=self._count(place)) is None

    def asleep(self, placement: Mapping[str, str]) -> tuple[str, ...]:
        """Return the hosts that sleep in a placement by ids, as its value counts them."""
        instance = self._case.instance
        if instance.goal.sleep is None:
            return ()
        asleep = instance.goal.sleep.derive(occupied(instance, self._case.place_of(placement)))
        return tuple(host for host, sleeps in zip(self._case.host_ids, asleep.tolist(), strict=True) if sleeps)

    def floats(self, placement: Mapping[str, str]) -> dict[str, float]:
        """Return the tiers of a plan by name, as `tier_floats` has them."""
        return tier_floats(self._case, self(placement))

    def along(self, moves: Sequence[tuple[str, str]], tier: str) -> list[float]:
        """Return a tier of a plan, by name, at the start and after each of the moves (guest, host), one by one.

        Sleeping hosts are those put to sleep one by one as they become empty.
        """
        # Late: only plans with moves need the compiled search.
        from scheduler.solver.kernels.follow import follow
        from scheduler.solver.kernels.state import make_state
        from scheduler.solver.kernels.tables import make_tables

        case = self._case
        tables = make_tables(case.instance)
        state = make_state(tables, case.instance.home)
        totals = np.zeros((len(moves) + 1, TIERS), dtype=np.int64)
        totals[0] = state.totals[:TIERS]
        guests = np.array([case.guest_index[guest] for guest, _ in moves], dtype=np.int64)
        seats = np.array([case.host_index[host] for _, host in moves], dtype=np.int64)
        follow(tables, state, guests, seats, totals[1:].reshape(-1))
        return [tier_floats(case, Value(*row))[tier] for row in totals.tolist()]

    def _count(self, place: Index) -> Counts:
        self._counts = self._links.recount(self._counts, self._place, place)
        self._place = place
        return self._counts


def objective(problem: Problem, placement: Mapping[str, str]) -> Value:
    """Return the value of one placement; for many of the same problem keep an `Objective`."""
    return Objective(problem)(placement)
