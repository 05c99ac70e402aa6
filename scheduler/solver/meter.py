"""How much solving is allowed, and how much of it is spent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cluster.clock import Clock

STEP_WORK = 0.0005
"""What one step of the local search counts as, in CP-SAT's deterministic seconds."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a solve may spend: seconds, or `work_limit` in deterministic units (then one worker, and repeatable).

    `engine` runs the cells of large instances: "local" for processes of this machine, or "dask://host:port".
    """

    time_limit_s: float = 1.0
    work_limit: float | None = None
    workers: int = 1
    seed: int = 1
    engine: str = "local"


class Meter:
    """Watches a budget: seconds on a real clock, or work units when the budget has a work limit."""

    def __init__(self, budget: Budget, clock: Clock, stop: Callable[[], bool] | None) -> None:
        self.budget = budget
        self.stop = stop
        self._clock = clock
        self._start_s = clock.monotonic_s()
        self._work = 0.0

    @property
    def threads(self) -> int:
        """Threads that may work side by side: one with a work limit, whose answers do not hang on who is first."""
        return 1 if self.budget.work_limit is not None else max(1, self.budget.workers)

    @property
    def spent_s(self) -> float:
        """Seconds since the start."""
        return self._clock.monotonic_s() - self._start_s

    @property
    def left(self) -> float:
        """What remains, in work units with a work limit and in seconds otherwise; at least 0."""
        if self.budget.work_limit is not None:
            return max(0.0, self.budget.work_limit - self._work)
        return max(0.0, self.budget.time_limit_s - self.spent_s)

    def over(self) -> bool:
        """Whether it is time to stop."""
        return self.left <= 0 or (self.stop is not None and self.stop())

    def deadline(self, least_s: float) -> Callable[[], bool]:
        """Return a watch that says when the budget and `least_s` from now are both over; never with a work limit."""
        if self.budget.work_limit is not None:
            return lambda: False
        end_s = max(self._start_s + self.budget.time_limit_s, self._clock.monotonic_s() + least_s)
        return lambda: self._clock.monotonic_s() >= end_s or (self.stop is not None and self.stop())

    def work(self, units: float = STEP_WORK) -> None:
        """Count work done."""
        self._work += units
