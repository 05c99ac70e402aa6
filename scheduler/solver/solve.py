"""Solve a problem: the start as first incumbent, descent, CP-SAT while the budget lasts, a bound."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

from cluster.clock import Clock, SystemClock
from cluster.problem import BalanceGoal, Problem, Proposal, RepairGoal
from scheduler.solver.answer import answer
from scheduler.solver.bound import analytic
from scheduler.solver.cells import descend_cells, is_large
from scheduler.solver.descent import descend
from scheduler.solver.evacuate import evacuate
from scheduler.solver.evaluate import GOAL
from scheduler.solver.instance import Instance, build
from scheduler.solver.meter import Budget, Meter
from scheduler.solver.search import Search

__all__ = ["Budget", "run", "solve"]

IMPORT_S = 1.2
"""With less time left than this, importing ortools would use it up."""
MOST_BOOLEANS = 20_000
"""Instances above this are never given to CP-SAT whole."""
MOST_SQUARED_BOOLEANS = 1_500
"""The same for balance, whose squares make large models slow: parts of it are worth more there."""


def solve(
    problem: Problem,
    budget: Budget | None = None,
    stop: Callable[[], bool] | None = None,
    clock: Clock | None = None,
) -> Proposal:
    """Return the best placement found within the budget, with its value and a proven bound in every tier.

    Never worse than the start. While balance is under its threshold and something is broken, only repair is done, and
    the tiers are those of repair. Deadlines run on real time, whatever clock the caller's loop has, unless `clock` is
    given. `stop` is asked now and then; once true the best so far is returned.
    """
    meter = Meter(budget or Budget(), clock or SystemClock(), stop)
    instance = build(problem)
    search = Search(instance, analytic(instance))
    if search.resting:
        return answer(search, meter.spent_s)
    if search.under_threshold and isinstance(problem.goal, BalanceGoal):
        instance = build(replace(problem, goal=RepairGoal()))
        search = Search(instance, analytic(instance))
    run(search, meter)
    blamed: tuple[str, ...] = ()
    if search.value.hard and _booleans(instance) <= MOST_BOOLEANS:
        from scheduler.solver.blame import blame

        blamed = blame(problem, meter)
    return answer(search, meter.spent_s, blamed)


def run(search: Search, meter: Meter) -> None:
    """Improve a search and its bounds as far as the budget goes."""
    instance = search.instance
    if is_large(instance):
        descend_cells(search, meter)
    else:
        search.offer(descend(instance, search.place, meter))
    search.offer(evacuate(instance, search.place, meter))
    if search.proven or meter.over() or not _worth_importing(search, meter):
        return
    from scheduler.solver.neighbourhood import search_parts
    from scheduler.solver.tiers import solve_all

    booleans = _booleans(instance)
    if booleans <= MOST_BOOLEANS:
        if instance.goal.tier != "balance" or booleans <= MOST_SQUARED_BOOLEANS:
            solve_all(search, meter)
        elif not _reached(search):
            solve_all(search, meter, GOAL)
            # What mends does so without regard to balance: level out what it left.
            search.offer(descend(instance, search.place, meter))
    if not meter.over() and not search.proven:
        search_parts(search, meter)


def _worth_importing(search: Search, meter: Meter) -> bool:
    """Whether to go on with CP-SAT, whose import takes most of a second that a short deadline may not have."""
    if "ortools" in sys.modules or meter.budget.work_limit is not None or meter.left > IMPORT_S:
        return True
    return not _reached(search)


def _reached(search: Search) -> bool:
    """Whether all tiers before the goal are at their bounds."""
    return all(search.bounds[tier] >= search.value[tier] for tier in range(GOAL))


def _booleans(instance: Instance) -> int:
    return int(instance.allowed.sum())
