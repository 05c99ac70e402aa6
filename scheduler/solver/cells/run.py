"""A large search in cells: rounds of cells dealt anew each time, then the whole at once, over their borders.

Cells are tasks on an engine. A task whose worker died is given again, a few times, then done here; answers that would
come after the deadline are not waited for. With a work limit the cells, their seeds and their work depend on the
instance alone, so that the same input and seed give the same answer whatever runs them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from datetime import timedelta
from random import Random

import numpy as np

from cluster.clock import SystemClock
from scheduler.solver.cells.engine import Engine, open_engine
from scheduler.solver.cells.split import Cell, split
from scheduler.solver.cells.task import LEAST_PART, CellTask, search_cell, solve_cell
from scheduler.solver.evaluate import why_not_valid
from scheduler.solver.forms import Index
from scheduler.solver.local import Local
from scheduler.solver.meter import Meter
from scheduler.solver.search import Search

HOSTS_PER_CELL = 1000
MOST_TRIES = 3
"""A cell that this many workers were lost with is searched here."""
LEAST_S = 0.05
POLL_S = 0.05
"""How often whoever may want to stop is asked."""


@dataclass(frozen=True, slots=True)
class Round:
    """One dealing of the hosts: its part of what is left of the budget, and how hot it starts."""

    share: float
    heat: float


ROUNDS = (Round(0.5, 1.0), Round(0.6, 0.01))
BORDER_HEAT = 0.001
BORDER_S = 0.5
"""With less left than this, making the whole's tables would come too late."""


def solve_in_cells(search: Search, meter: Meter) -> None:
    """Improve the incumbent of a search in cells, on the engine of the meter's budget, until the budget is spent."""
    if not len(search.instance.movable) or meter.over():
        return
    with open_engine(meter.budget.engine, meter.budget.workers) as engine:
        unfinished = 0.0
        for number, one in enumerate(ROUNDS):
            if meter.over():
                return
            # A cell that was lost in a round needs what the round was for: the next one starts as hot.
            heat = max(one.heat, unfinished)
            finished = _round(search, engine, meter, one.share, heat, number)
            unfinished = 0.0 if finished else heat
    if meter.budget.work_limit is not None or meter.left > BORDER_S:
        _borders(search, meter, max(BORDER_HEAT, unfinished))


def number_of_cells(hosts: int, workers: int, repeatable: bool) -> int:
    """Return how many cells to make: by size, and so that all workers have work; by size alone where it must repeat."""
    by_size = max(2, -(-hosts // HOSTS_PER_CELL))
    return by_size if repeatable else -(-by_size // workers) * workers


def _round(search: Search, engine: Engine, meter: Meter, share: float, heat: float, number: int) -> bool:
    """Deal the hosts, have the cells solved and put together; tell whether all of them were."""
    seed, limited = meter.budget.seed, meter.budget.work_limit is not None
    wanted = number_of_cells(search.instance.hosts, engine.workers, limited)
    cells = list(split(search.instance, search.place, wanted, Random(f"{seed}/{number}"), search.counts))
    answers = search_cells(engine, cells, meter, share, heat, seed + 1000 * (number + 1))
    place = search.place.copy()
    for cell, answer in zip(cells, answers, strict=True):
        if answer is not None:
            place[cell.guests] = cell.seats(answer)
    merge(search, cells, place)
    return all(answer is not None for answer in answers)


def merge(search: Search, cells: Sequence[Cell], place: Index) -> None:
    """Offer the cells' answers together and, where crowds make that no better, one by one."""
    if why_not_valid(search.instance, place) is not None:
        raise AssertionError("cells made an invalid placement together")
    if search.offer(place) or np.array_equal(place, search.place):
        return
    for cell in cells:
        alone = search.place.copy()
        alone[cell.guests] = place[cell.guests]
        if why_not_valid(search.instance, alone) is None:
            search.offer(alone)


def search_cells(
    engine: Engine, cells: Sequence[Cell], meter: Meter, share: float, heat: float, seed: int
) -> list[Index | None]:
    """Return every cell's answer, `None` where none came in time, within a share of what is left of the meter."""
    return _Watch(engine, cells, meter, share, heat, seed).answers()


class _Watch:
    """Gives cells to an engine, as many at a time as it has workers, and sees to it that each is answered."""

    def __init__(
        self, engine: Engine, cells: Sequence[Cell], meter: Meter, share: float, heat: float, seed: int
    ) -> None:
        self._engine, self._cells, self._meter, self._heat, self._seed = engine, cells, meter, heat, seed
        self._limited = meter.budget.work_limit is not None
        self._left_after = meter.left * (1 - share)
        self._work = meter.left * share / max(1, len(cells)) if self._limited else None
        self._waiting = deque(range(len(cells)))
        self._tries = [0] * len(cells)
        self._seconds = [0.0] * len(cells)
        self._answers: list[Index | None] = [None] * len(cells)

    def answers(self) -> list[Index | None]:
        running: dict[Future[Index | None], int] = {}
        while (self._waiting or running) and not self._over():
            while self._waiting and len(running) < self._engine.workers and not self._over():
                self._give(self._waiting.popleft(), running)
            if not running:
                continue
            done, _ = wait(running, POLL_S, FIRST_COMPLETED)
            for future in done:
                number = running.pop(future)
                # Lost with its worker, or failed there: it is given again, and would fail here for all to see.
                if future.cancelled() or future.exception() is not None:
                    self._waiting.append(number)
                else:
                    self._take(number, future.result())
        for future in running:
            future.cancel()
        return self._answers

    def _give(self, number: int, running: dict[Future[Index | None], int]) -> None:
        self._tries[number] += 1
        task = self._task(number)
        self._seconds[number] = self._seconds[number] or task.seconds
        if task.seconds < LEAST_PART * self._seconds[number]:
            # Lost too late in the round to be solved again.
            return
        if self._tries[number] <= MOST_TRIES:
            running[self._engine.submit(solve_cell, task)] = number
        else:
            self._take(number, search_cell(task, self._meter.stop))

    def _task(self, number: int) -> CellTask:
        cell, meter = self._cells[number], self._meter
        waves = -(-(len(self._waiting) + 1) // self._engine.workers)
        seconds = 0.0 if self._limited else max(LEAST_S, (meter.left - self._left_after) / waves)
        ends = self._engine.shares_clock and not self._limited
        until = SystemClock().now() + timedelta(seconds=seconds) if ends else None
        return CellTask(cell.instance, cell.place, self._seed + number, self._heat, seconds, self._work, until)

    def _take(self, number: int, answer: Index | None) -> None:
        self._answers[number] = answer
        if self._work is not None:
            self._meter.work(self._work)

    def _over(self) -> bool:
        if self._limited:
            return self._meter.stop is not None and self._meter.stop()
        return self._meter.over()


def _borders(search: Search, meter: Meter, heat: float) -> None:
    """Search the whole at once, from cold: moves between cells, and what was fixed because it crosses them."""
    local = Local(search.instance, search.place, meter.budget.seed)
    local.mend(meter)
    if search.instance.goal.terms:
        local.anneal(meter, 1.0, heat)
    search.offer(local.best)
