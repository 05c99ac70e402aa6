"""Solve a problem: the start as first incumbent, CP-SAT while the budget lasts, a bound."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

from cluster.clock import Clock, SystemClock
from cluster.problem import BalanceGoal, Problem, Proposal, RepairGoal
from scheduler.solver.answer import answer
from scheduler.solver.bounds.analytic import analytic
from scheduler.solver.evaluate import GOAL
from scheduler.solver.instance import Instance
from scheduler.solver.lower import lower_problem
from scheduler.solver.meter import Budget, Meter
from scheduler.solver.search import Search
from scheduler.solver.terms import EvenUse

__all__ = ["Budget", "run", "search_of", "solve", "solve_instance"]

IMPORT_S = 1.2
"""With less time left than this, importing ortools would use it up."""
MOST_BOOLEANS = 20_000
"""Instances above this are never given to CP-SAT whole."""
MOST_SQUARED_BOOLEANS = 1_500
"""The same for balance, whose squares make large models slow: parts of it are worth more there."""

SMALL_SHARE, LARGE_SHARE = 0.15, 0.7
"""The compiled search's part of the budget where CP-SAT can take the whole instance, and where it cannot."""
PACKING_SHARE = 0.9
"""Packing's part where guests are to be placed and hosts may stay asleep: nothing else finds as few hosts."""


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
    case = lower_problem(problem)
    search = search_of(case.instance)
    if search.resting:
        return answer(case, search, meter.spent_s)
    if search.under_threshold and isinstance(problem.goal, BalanceGoal):
        case = lower_problem(replace(problem, goal=RepairGoal()))
        search = search_of(case.instance)
    run(search, meter)
    search.put_in_order()
    blamed: tuple[str, ...] = ()
    if search.value.hard:
        from scheduler.solver.blame import blame

        blamed = blame(problem, meter)
    return answer(case, search, meter.spent_s, blamed)


def solve_instance(
    instance: Instance,
    budget: Budget | None = None,
    stop: Callable[[], bool] | None = None,
    clock: Clock | None = None,
) -> Search:
    """Return what is reached on an instance within the budget: `place`, `value` and `bounds`, as `solve` has them."""
    meter = Meter(budget or Budget(), clock or SystemClock(), stop)
    search = search_of(instance)
    run(search, meter)
    return search


def search_of(instance: Instance) -> Search:
    """Return a search at the start of an instance."""
    bound = analytic(instance)
    return Search(instance, bound, analytic(instance, none_left=True) if instance.goal.left.any() else bound)


def run(search: Search, meter: Meter) -> None:
    """Improve a search and its bounds as far as the budget goes."""
    instance = search.instance
    if _done(search, meter):
        return
    from scheduler.solver.cells.choose import in_cells
    from scheduler.solver.exchange.run import exchange
    from scheduler.solver.local import search_locally
    from scheduler.solver.packing import applies, pack

    if instance.outside >= 0 and applies(instance):
        pack(search, meter, PACKING_SHARE)
        if _done(search, meter):
            return
    exchange(search, meter)
    if _done(search, meter):
        return
    if in_cells(instance, meter.budget):
        from scheduler.solver.cells.run import solve_in_cells

        solve_in_cells(search, meter)
        return
    capped = search_locally(search, meter, _local_share(instance))
    if _done(search, meter) or (capped and instance.choices > MOST_BOOLEANS) or not _worth_importing(search, meter):
        return
    from scheduler.solver.neighbourhood import search_parts
    from scheduler.solver.tiers import solve_all

    booleans = instance.choices
    if booleans <= MOST_BOOLEANS:
        squares = any(isinstance(term, EvenUse) for term in instance.goal.terms)
        if not squares or booleans <= MOST_SQUARED_BOOLEANS:
            solve_all(search, meter)
        elif not _reached(search):
            solve_all(search, meter, GOAL)
    if not _done(search, meter):
        search_parts(search, meter)


def _local_share(instance: Instance) -> float:
    """The compiled search's part of the budget: all where moves are few and CP-SAT could prove nothing."""
    if instance.choices <= MOST_BOOLEANS:
        return SMALL_SHARE
    return 1.0 if instance.max_moves < len(instance.movable) and instance.goal.sleep is None else LARGE_SHARE


def _done(search: Search, meter: Meter) -> bool:
    """Whether there is nothing more to find, or no more to find it with."""
    return meter.over() or search.proven


def _worth_importing(search: Search, meter: Meter) -> bool:
    """Whether to go on with CP-SAT, whose import takes most of a second that a short deadline may not have."""
    if "ortools" in sys.modules or meter.budget.work_limit is not None or meter.left > IMPORT_S:
        return True
    return not _reached(search)


def _reached(search: Search) -> bool:
    """Whether all tiers before the goal are at their bounds."""
    return all(search.bounds[tier] >= search.value[tier] for tier in range(GOAL))
