"""Solve a problem: the start as first incumbent, the engine's layers while the budget lasts, a bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cluster.clock import Clock, SystemClock
from cluster.problem import BalanceGoal, Problem, Proposal, RepairGoal
from scheduler.solver.answer import answer
from scheduler.solver.bounds.analytic import analytic
from scheduler.solver.instance import Instance
from scheduler.solver.layers import MOST_BOOLEANS, run
from scheduler.solver.lower import lower_problem
from scheduler.solver.meter import Budget, Meter
from scheduler.solver.search import Search

__all__ = ["Budget", "search_of", "solve", "solve_instance"]


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
    if problem.max_moves is not None and len(problem.snapshot.hosts) * len(problem.snapshot.guests) > MOST_BOOLEANS:
        # Loading its code belongs to the start of the process: the time limit is for the search.
        from scheduler.solver.rehearse import rehearse_few_moves

        rehearse_few_moves()
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
