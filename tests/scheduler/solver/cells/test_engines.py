"""Cells on worker processes, of this machine and of a Dask cluster: the same plan, whoever dies meanwhile."""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import numpy as np
import pytest

from benchmarks.generate import generate
from cluster.clock import SystemClock
from cluster.errors import InputError, UnreachableError
from policies.registry import make_problem
from scheduler.solver.cells import run
from scheduler.solver.cells.choose import in_cells
from scheduler.solver.cells.engine import Processes, open_engine
from scheduler.solver.cells.split import split
from scheduler.solver.cells.task import CellTask, solve_cell
from scheduler.solver.evaluate import evaluate, why_not_valid
from scheduler.solver.instance import Instance
from scheduler.solver.lower import lower_problem
from scheduler.solver.meter import Budget, Meter
from scheduler.solver.search import Search
from scheduler.solver.solve import search_of, solve_instance

pytestmark = pytest.mark.slow

WORKERS = 2
WORK = 5.0
"""Work units, about the CPU seconds that they take: each cell's part of a round is long enough to die in."""


@pytest.fixture(scope="module")
def large() -> Instance:
    """Two thousand hosts, crowded to one side, with some rules."""
    snapshot = generate(2000, 10_000, seed=3, rules=20)
    return lower_problem(make_problem("balance", snapshot, level=5)).instance


@pytest.fixture(scope="module")
def plan(large: Instance) -> Search:
    """What cells come to with a work limit on processes of this machine, nobody dying."""
    return in_cells_on(large, "local")


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """A Dask cluster of two worker processes on the loopback."""
    distributed = pytest.importorskip("distributed", reason="needs trimtab's extra dask")
    with distributed.LocalCluster(
        n_workers=WORKERS,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=50,
    ) as cluster:
        yield cluster


def in_cells_on(instance: Instance, engine: str) -> Search:
    """Search in cells on an engine, with a work limit."""
    search = search_of(instance)
    run.solve_in_cells(search, Meter(Budget(60.0, WORK, WORKERS, 1, engine), SystemClock(), None))
    return search


def address(dask: Any) -> str:
    """The cluster's address as the configuration has it."""
    return str(dask.scheduler_address).replace("tcp://", "dask://")


def kill_when(busy: Callable[[], int | None], killed: list[int]) -> threading.Thread:
    """Kill the first process that `busy` names, a little after it does."""

    def watch() -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if (pid := busy()) is not None:
                time.sleep(0.3)
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                return
            time.sleep(0.02)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def test_cells_make_a_good_valid_plan(large: Instance, plan: Search) -> None:
    """Nine tenths of the imbalance and more are gone, nothing is broken that was not."""
    assert why_not_valid(large, plan.place) is None
    assert plan.value.broken <= plan.start.broken
    assert plan.value.overload <= plan.start.overload
    assert plan.value.goal < plan.start.goal / 100


def test_a_dask_cluster_gives_the_same_plan(large: Instance, plan: Search, dask: Any) -> None:
    """The same work makes the same of each cell, wherever it is done."""
    assert np.array_equal(in_cells_on(large, address(dask)).place, plan.place)


def test_a_dask_worker_killed_in_the_middle_changes_nothing(large: Instance, plan: Search, dask: Any) -> None:
    """The cell it was at is solved again by another."""

    def busy() -> int | None:
        for worker in dask.scheduler.workers.values():
            if any("solve_cell" in str(task.key) for task in list(worker.processing)):
                return int(next(nanny.pid for nanny in dask.workers.values() if nanny.worker_address == worker.address))
        return None

    killed: list[int] = []
    thread = kill_when(busy, killed)
    reached = in_cells_on(large, address(dask))
    thread.join()
    assert killed
    assert np.array_equal(reached.place, plan.place)


def test_a_process_killed_in_the_middle_changes_nothing(
    large: Instance, plan: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cell, and the one of its neighbour that is lost with the pool, are given again."""
    given: list[Future[Any]] = []
    opened: list[Processes] = []

    class Watched(Processes):
        def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
            given.append(super().submit(function, *args, **kwargs))
            return given[-1]

    def open_watched(_: str, workers: int) -> Processes:
        opened.append(Watched(workers))
        return opened[-1]

    def busy() -> int | None:
        return opened[0].pids[0] if any(future.running() for future in list(given)) else None

    monkeypatch.setattr(run, "open_engine", open_watched)
    killed: list[int] = []
    thread = kill_when(busy, killed)
    reached = in_cells_on(large, "local")
    thread.join()
    assert killed
    assert len(given) > 2 * len(run.ROUNDS)
    assert np.array_equal(reached.place, plan.place)


def test_workers_end_with_the_search(large: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of time or stopped, no process stays behind, and what is reached is never worse than the start."""
    pids: list[int] = []

    def open_watched(_: str, workers: int) -> Processes:
        engine = Processes(workers)
        pids.extend(engine.pids)
        return engine

    monkeypatch.setattr(run, "open_engine", open_watched)
    search = search_of(large)
    began_s = time.monotonic()
    run.solve_in_cells(search, Meter(Budget(60.0, workers=WORKERS), SystemClock(), lambda: bool(pids)))
    assert time.monotonic() - began_s < 10
    assert search.value <= search.start
    assert len(pids) == WORKERS
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_solve_uses_cells_where_several_workers_are_given(large: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker alone, few moves, or a smaller cluster: the whole is searched instead."""
    assert in_cells(large, Budget(1.0, workers=2))
    assert in_cells(large, Budget(1.0, engine="dask://127.0.0.1:8786"))
    assert not in_cells(large, Budget(1.0))
    asked: list[str] = []
    monkeypatch.setattr(run, "solve_in_cells", lambda _, meter: asked.append(meter.budget.engine))
    solve_instance(large, Budget(1.0, workers=2, engine="local"))
    assert asked == ["local"]


def test_an_engine_that_is_not_there_is_said_in_one_line() -> None:
    """An address nobody listens at, and one that is none."""
    with pytest.raises(InputError, match=r"scheduler\.engine: 'ray://h:1'; allowed"):
        open_engine("ray://h:1", 1)
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("needs trimtab's extra dask")
    with pytest.raises(
        UnreachableError, match=r"scheduler\.engine: no Dask scheduler answers at 'dask://127\.0\.0\.1:1'"
    ):
        open_engine("dask://127.0.0.1:1", 1)


def test_a_task_begun_too_late_is_not_begun(large: Instance) -> None:
    """A cell that is given on after its worker's death must not seem to be solved when there was no time for it."""
    cell = next(iter(split(large, large.home, 2, Random(1))))
    now = SystemClock().now()
    late = CellTask(cell.instance, cell.place, 1, 1.0, 1.0, until=now + timedelta(seconds=0.2))
    assert solve_cell(late) is None
    in_time = solve_cell(replace(late, seconds=0.3, until=now + timedelta(seconds=60)))
    assert in_time is not None
    assert why_not_valid(cell.instance, in_time) is None
    assert evaluate(cell.instance, in_time) < evaluate(cell.instance, cell.place)


def test_a_dask_worker_killed_leaves_time_to_make_up_for_it(large: Instance, dask: Any) -> None:
    """With a deadline instead of a work limit its cell is lost for the round, and the next round starts as hot."""
    search, began_s, killed = search_of(large), time.monotonic(), list[int]()
    pids = [int(nanny.pid) for nanny in dask.workers.values() if nanny.pid]

    def kill() -> None:
        os.kill(pids[0], signal.SIGKILL)
        killed.append(pids[0])

    killer = threading.Timer(1.5, kill)
    killer.start()
    run.solve_in_cells(search, Meter(Budget(8.0, None, WORKERS, 1, address(dask)), SystemClock(), None))
    killer.join()
    assert killed
    assert time.monotonic() - began_s < 9
    assert why_not_valid(large, search.place) is None
    assert search.value.goal < search.start.goal / 20
