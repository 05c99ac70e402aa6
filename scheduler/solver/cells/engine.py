"""Where tasks run: an engine takes functions as `concurrent.futures.Executor.submit` does, and outlives its workers.

`local` is processes of this machine, started anew when one dies; `dask://host:port` is a Dask cluster, which gives the
tasks of a dead worker to another. Errors of either never pass: a future that has no result says so, and the task is the
caller's to give again.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from datetime import datetime, timedelta
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, ParamSpec, Protocol, TypeVar

from cluster.clock import SystemClock
from cluster.errors import InputError, UnreachableError
from scheduler.solver.cells.choose import LOCAL
from scheduler.solver.cells.task import heed, ready

P = ParamSpec("P")
T = TypeVar("T")

DASK = "dask://"
CONNECT_S = 5.0
GRACE_S = 0.2
"""What all workers together have to stop when told to; then they are killed."""
ANSWER_S = 0.5
"""What a Dask worker has to tell the time."""
SAME_TIME_S = 0.2
"""How far clocks may be apart and still be taken as one."""
DASK_RETRIES = 2
"""How often Dask itself runs a task again that failed."""


class Engine(Protocol):
    """Somewhere to run tasks; closed by leaving its `with` block."""

    workers: int
    shares_clock: bool
    """Whether the clocks of its workers tell the time of this process's clock."""

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a function that can be pickled by its name; workers that died have been replaced before it is given."""

    def __enter__(self) -> Engine: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_engine(address: str, workers: int) -> Engine:
    """Return the engine of an address, its workers starting.

    Raises `InputError` for an unknown address or one whose package is missing, `UnreachableError` when nobody answers.
    """
    if address == LOCAL:
        return Processes(workers)
    if address.startswith(DASK) and len(address) > len(DASK):
        return Dask(address)
    raise InputError(f'scheduler.engine: {address!r}; allowed: "local" or "dask://host:port"')


class Processes:
    """Processes of this machine, started afresh (not forked, which threads do not survive), one task at a time each."""

    shares_clock = True

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._context = multiprocessing.get_context("spawn")
        self._halt = self._context.Event()
        self._pool = self._start()

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        try:
            return self._pool.submit(function, *args, **kwargs)
        except BrokenExecutor:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = self._start()
            return self._pool.submit(function, *args, **kwargs)

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Tasks ask between slices of a few milliseconds whether to go on.
        self._halt.set()
        processes = self._processes()
        self._pool.shutdown(wait=False, cancel_futures=True)
        clock = SystemClock()
        until_s = clock.monotonic_s() + GRACE_S
        for process in processes:
            process.join(max(0.0, until_s - clock.monotonic_s()))
        for process in processes:
            process.kill()
        for process in processes:
            process.join(GRACE_S)

    @property
    def pids(self) -> list[int]:
        """The worker processes, for who wants to see one die."""
        return sorted(process.pid for process in self._processes() if process.pid is not None)

    def _processes(self) -> list[BaseProcess]:
        # The executor has no public word for them before Python 3.14.
        return list((getattr(self._pool, "_processes", None) or {}).values())

    def _start(self) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(self.workers, self._context, initializer=_begin, initargs=(self._halt,))
        for _ in range(self.workers):
            pool.submit(ready)
        return pool


def _begin(halt: Any) -> None:
    """Set a worker up: who stops the work is the process that gave it, and without that one the worker ends too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    heed(halt.is_set)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


class Dask:
    """A Dask cluster whose workers have Trimtab installed.

    Its scheduler gives what a dead worker had to another. Work begun there that nobody waits for any more ends by its
    own deadline.
    """

    def __init__(self, address: str) -> None:
        try:
            # Without types of its own that strict checking takes.
            distributed: Any = importlib.import_module("distributed")
        except ImportError:
            raise InputError(
                f'scheduler.engine: {address!r} needs the package "distributed": install trimtab\'s extra "dask", '
                'or set "local"'
            ) from None
        try:
            self._client = distributed.Client(
                f"tcp://{address.removeprefix(DASK)}", timeout=CONNECT_S, set_as_default=False
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise UnreachableError(
                f'scheduler.engine: no Dask scheduler answers at {address!r} ({error}): start it, or set "local"'
            ) from error
        threads = self._client.nthreads()
        self.workers = max(1, sum(threads.values()))
        self._executor = self._client.get_executor(retries=DASK_RETRIES, pure=False)
        self.shares_clock = self._same_time(list(threads))
        for _ in range(self.workers):
            self._executor.submit(ready)

    def _same_time(self, addresses: list[str]) -> bool:
        """Whether all workers' clocks agree with ours: only then does a moment mean the same to them."""
        before = SystemClock().now()
        asked = [self._client.submit(SystemClock().now, workers=[one], pure=False) for one in addresses]
        try:
            clocks: list[datetime] = [one.result(timeout=ANSWER_S) for one in asked]
        except (OSError, RuntimeError, TimeoutError):
            # Whoever is busy or gone cannot say.
            return False
        most = timedelta(seconds=SAME_TIME_S)
        return all(before - most <= one <= SystemClock().now() + most for one in clocks)

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        try:
            given: Future[T] = self._executor.submit(function, *args, **kwargs)
        except (OSError, RuntimeError) as error:
            given = Future()
            given.set_exception(error)
        return given

    def __enter__(self) -> Dask:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=False)
        self._client.close(timeout=CONNECT_S)
