"""Solve a problem: the start as first incumbent, descent, CP-SAT while the budget lasts, a bound."""

from __future__ import annotations

from collections.abc import Callable

from cluster.clock import Clock, SystemClock
from cluster.problem import Problem, Proposal
from scheduler.solver.answer import answer
from scheduler.solver.bound import analytic
from scheduler.solver.descent import descend
from scheduler.solver.instance import Instance, build
from scheduler.solver.meter import Budget, Meter
from scheduler.solver.search import Search

__all__ = ["Budget", "solve", "solve_instance"]


def solve(
    problem: Problem,
    budget: Budget | None = None,
    stop: Callable[[], bool] | None = None,
    clock: Clock | None = None,
) -> Proposal:
    """Return the best placement found within the budget, with its value and a proven bound in every tier.

    Deadlines run on real time, whatever clock the caller's loop has, unless `clock` is given. `stop` is asked now and
    then; once true the best so far is returned.
    """
    return solve_instance(build(problem), budget or Budget(), stop, clock)


def solve_instance(
    instance: Instance, budget: Budget, stop: Callable[[], bool] | None = None, clock: Clock | None = None
) -> Proposal:
    """Solve a problem that is already in array form."""
    meter = Meter(budget, clock or SystemClock(), stop)
    search = Search(instance, analytic(instance))
    if not search.resting:
        search.offer(descend(instance, search.place, meter))
    return answer(search, meter.spent_s)
