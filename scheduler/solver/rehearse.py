"""The compiled search loaded before a clock runs: done once on next to nothing, so that its code is there."""

from __future__ import annotations

from functools import cache

import numpy as np

from cluster.clock import SystemClock
from scheduler.solver.goal import GoalArrays
from scheduler.solver.instance import Instance, make_instance
from scheduler.solver.meter import Budget, Meter
from scheduler.solver.terms import EvenUse

LITTLE = 1e-3
"""A budget of work that all is done in once: a slice of annealing is more than that."""


def tiny() -> Instance:
    """Return an instance of two hosts and one guest, whose goal is to be even."""
    room = np.full((2, 2), 2, dtype=np.int64)
    even = EvenUse((0, 0), room, np.ones((2, 2), dtype=np.bool_), np.full(2, 500_000, dtype=np.int64))
    goal = GoalArrays((even,), np.zeros(1, dtype=np.int64), np.zeros(2, dtype=np.bool_), np.zeros(1, dtype=np.int64))
    return make_instance(
        demand=np.ones((1, 1), dtype=np.int64),
        capacity=np.full((2, 1), 2, dtype=np.int64),
        home=np.zeros(1, dtype=np.intp),
        goal=goal,
    )


@cache
def rehearse_few_moves() -> None:
    """Load what makes the best use of few moves: a part of a short time limit otherwise."""
    from scheduler.solver.few import use_few_moves
    from scheduler.solver.kernels.even import make_even
    from scheduler.solver.kernels.few import make_few
    from scheduler.solver.kernels.sets import make_sets, relieve
    from scheduler.solver.local import Local

    instance = tiny()
    meter = Meter(Budget(work_limit=LITTLE), SystemClock(), None)
    local = Local(instance, instance.home, 1)
    local.mend(meter)
    use_few_moves(local, meter)
    tables, state = local.tables, local.state
    relieve(tables, state, make_even(tables, state.use), make_few(tables, 0, 0.0), make_sets(), 0.0, 0)
