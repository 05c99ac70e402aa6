"""One cell's search, as a worker runs it: a function of what it is given, so that it may be run again elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cluster.clock import SystemClock
from scheduler.solver.forms import Index
from scheduler.solver.instance import Instance
from scheduler.solver.local import Local
from scheduler.solver.meter import Budget, Meter

_halted: list[Callable[[], bool]] = []
"""Asked whether the work is wanted no more; set once, when a worker process starts."""


@dataclass(frozen=True, eq=False, slots=True)
class CellTask:
    """What to search: an instance and where it stands, for so long, from so hot.

    `seconds` or, with a work limit, `work` units. At `until` its answer is wanted: begun late, as after the death of
    the worker that had it first, it takes what is left, or is not begun when that is little.
    """

    instance: Instance
    place: Index
    seed: int
    heat: float
    seconds: float
    work: float | None = None
    until: datetime | None = None


LEAST_PART = 0.4
"""With less than this part of its time left a task is not begun: its cell would only seem to have been solved."""


def solve_cell(task: CellTask) -> Index | None:
    """Return the best placement found, as seats of the cell, never worse than the one given; `None`: not begun."""
    return search_cell(task, None)


def search_cell(task: CellTask, stop: Callable[[], bool] | None) -> Index | None:
    """The same, in a process that has its own way to be stopped."""
    seconds = task.seconds
    if task.until is not None:
        seconds = min(seconds, (task.until - SystemClock().now()).total_seconds())
        if seconds < LEAST_PART * task.seconds:
            return None
    halted = stop or (_halted[0] if _halted else None)
    meter = Meter(Budget(max(0.0, seconds), task.work, 1, task.seed), SystemClock(), halted)
    if meter.over():
        return task.place
    local = Local(task.instance, task.place, task.seed)
    local.mend(meter)
    if task.instance.goal.sleep is not None:
        local.empty(meter)
    if task.instance.goal.terms:
        local.anneal(meter, 1.0, task.heat)
    return local.best


def heed(halted: Callable[[], bool]) -> None:
    """Let every search of this process stop when `halted` says so."""
    _halted[:] = [halted]


def ready() -> None:
    """Do nothing, in a worker that has by then loaded the compiled search."""
