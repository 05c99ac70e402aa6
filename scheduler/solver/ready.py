"""Code of the compiled search loaded ahead, for programs that should not pay for it out of a short deadline."""

from __future__ import annotations

import numpy as np

from cluster.clock import SystemClock
from scheduler.solver.few import use_few_moves
from scheduler.solver.goal import GoalArrays
from scheduler.solver.instance import make_instance
from scheduler.solver.local import Local
from scheduler.solver.meter import Budget, Meter


def load_few_moves() -> None:
    """Load what the search with few moves needs: half a second of a process's first search."""
    goal = GoalArrays((), np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.bool_), np.zeros(2, dtype=np.int64))
    instance = make_instance(
        demand=np.ones((2, 1), dtype=np.int64),
        capacity=np.full((2, 1), 4, dtype=np.int64),
        home=np.zeros(2, dtype=np.intp),
        goal=goal,
        max_moves=1,
    )
    use_few_moves(Local(instance, instance.home, 1), Meter(Budget(work_limit=0.001), SystemClock(), None))
