"""A connection to one host's libvirt on which every call has a deadline. Collectors and executors share it.

libvirt-python calls block, and a call into a host that hangs may never return. So each connection has a worker thread
that makes the calls; a caller stops waiting at its deadline and leaves the worker, with its libvirt connection, to its
fate. The next call gets a fresh worker. When too many are left hanging, a further one is tried only at long intervals.
Safe for use by several threads: their calls queue up, and the time in the queue counts. A call that may take long (a
migration) needs a connection of its own.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import urlsplit

from cluster.clock import Clock
from cluster.errors import HostUnreachableError, StepError

if TYPE_CHECKING:
    import libvirt

T = TypeVar("T")

# libvirt's error numbers (virErrorNumber) that callers tell apart.
NO_SUPPORT = 3
NO_CONNECT = 5
INVALID_ARG = 8
OPERATION_FAILED = 9
NO_DOMAIN = 42
OPERATION_INVALID = 55
OPERATION_TIMEOUT = 68
OPERATION_UNSUPPORTED = 84

MOST_HUNG_CALLS = 8
RETRY_HUNG_S = 900.0
"""How long after the last call given up one more is tried although too many hang."""
FREE_FAILURES = 3
LONGEST_BACKOFF_S = 30.0
KEEPALIVE_INTERVAL_S = 5
KEEPALIVE_COUNT = 3

_runtime_lock = threading.Lock()
_runtime: set[str] = set()


class LibvirtError(StepError):
    """libvirt answered, with an error; the connection is sound. `code` is libvirt's number (`NO_DOMAIN`, ...)."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code

    @property
    def no_such_domain(self) -> bool:
        """The domain that was asked for does not exist (any more)."""
        return self.code == NO_DOMAIN


class DeadlineError(HostUnreachableError):
    """A call did not return within its deadline. The next call starts afresh."""


class _Task(Generic[T]):
    """One call: what to do, and, once `done` is set, its value or the error that a caller gets."""

    def __init__(self, what: str, function: Callable[[libvirt.virConnect], T]) -> None:
        self.what = what
        self.function = function
        self.done = threading.Event()
        self.given_up = False
        self.value: list[T] = []
        self.error: BaseException | None = None


class _Worker:
    """A daemon thread with its own libvirt connection, opened by its first task."""

    def __init__(self, uri: str, name: str) -> None:
        self.tasks: queue.SimpleQueue[_Task[object] | None] = queue.SimpleQueue()
        self.current: _Task[object] | None = None
        self._uri = uri
        self._name = name
        self._connection: libvirt.virConnect | None = None
        self.thread = threading.Thread(target=self._run, name=f"libvirt {name}", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while (task := self.tasks.get()) is not None:
            # In this order: whoever gives a task up either keeps it from starting or finds it as the current one.
            self.current = task
            if not task.given_up:
                try:
                    task.value.append(self._carry_out(task))
                except BaseException as error:  # noqa: BLE001 - carried over to the caller's thread and raised there
                    task.error = error
                task.done.set()
            self.current = None
        self._close()

    def _carry_out(self, task: _Task[T]) -> T:
        import libvirt

        try:
            if self._connection is not None and not self._is_alive():
                self._close()  # the host was restarted, or slept, since the last call
            if self._connection is None:
                self._connection = _open(self._uri)
        except libvirt.libvirtError as error:
            raise HostUnreachableError(
                f"host {self._name}: cannot connect to {self._uri}: {_message(error)}; is libvirtd running there?"
            ) from None
        try:
            return task.function(self._connection)
        except libvirt.libvirtError as error:
            if not self._is_alive():
                self._close()
                raise HostUnreachableError(
                    f"host {self._name}: connection lost while it was to {task.what}: {_message(error)}"
                ) from None
            raise LibvirtError(
                f"host {self._name}: cannot {task.what}: {_message(error)}", int(error.get_error_code() or 0)
            ) from None

    def _is_alive(self) -> bool:
        import libvirt

        try:
            return self._connection is not None and bool(self._connection.isAlive())
        except libvirt.libvirtError:
            return False

    def _close(self) -> None:
        import libvirt

        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(libvirt.libvirtError):
                connection.close()


class LibvirtConnection:
    """Calls into one host's libvirt, opened when first needed and again after a failure, with growing pauses.

    `deadline_s` is how long a call may take, opening included, unless the call says otherwise. `name` is how messages
    name the host. Deadlines run on real time, pauses on `clock`.
    """

    def __init__(
        self, uri: str, deadline_s: float, clock: Clock, *, name: str = "", most_hung: int = MOST_HUNG_CALLS
    ) -> None:
        self.uri = uri
        self.name = name or uri
        self.deadline_s = deadline_s
        self._clock = clock
        self._most_hung = most_hung
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        self._hung: list[_Worker] = []
        self._last_hung_s = 0.0
        self._failures = 0
        self._next_try_s = 0.0
        self._last_error = ""

    @property
    def remote(self) -> bool:
        """The URI names another machine."""
        return is_remote(self.uri)

    def call(self, what: str, function: Callable[[libvirt.virConnect], T], deadline_s: float | None = None) -> T:
        """Run `function` on the open connection and return what it returns.

        `what` completes "cannot ...", for messages. Raises `LibvirtError` when libvirt answers with an error,
        `DeadlineError` (a `HostUnreachableError`) when it does not answer in time, `HostUnreachableError` when there is
        no connection or it is too early to try again. Other exceptions of `function` pass through. A call that was
        given up may still take effect on the host.
        """
        wait_s = self.deadline_s if deadline_s is None else deadline_s
        task: _Task[T] = _Task(what, function)
        with self._lock:
            self._refuse_while_resting()
            if self._worker is None:
                self._worker = _Worker(self.uri, self.name)
            worker = self._worker
            worker.tasks.put(task)  # type: ignore[arg-type]  # the queue holds tasks of any result
        if not task.done.wait(wait_s):
            self._give_up(worker, task)
            raise DeadlineError(f"host {self.name}: no answer within {wait_s:g} s while it was to {what}")
        if isinstance(task.error, HostUnreachableError):
            self._note_failure(str(task.error))
        else:
            with self._lock:
                self._failures = 0
        if task.error is not None:
            raise task.error
        return task.value[0]

    def close(self) -> None:
        """Close the connection once its present call is over. A later call opens a new one."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.tasks.put(None)
            worker.thread.join(timeout=0.5)

    @property
    def hung_calls(self) -> int:
        """How many calls were given up and have not returned yet."""
        self._hung = [worker for worker in self._hung if worker.thread.is_alive()]
        return len(self._hung)

    def _refuse_while_resting(self) -> None:
        rest_s = self._next_try_s - self._clock.monotonic_s()
        if self._failures and rest_s > 0:
            raise HostUnreachableError(f"{self._last_error} (next try in {rest_s:.0f} s)")
        rested = self._clock.monotonic_s() - self._last_hung_s > RETRY_HUNG_S
        if self._worker is None and self.hung_calls >= self._most_hung and not rested:
            raise HostUnreachableError(
                f"host {self.name}: {self.hung_calls} calls hang; look at libvirtd and at the guests' QEMU there"
            )

    def _give_up(self, worker: _Worker, task: _Task[T]) -> None:
        task.given_up = True
        with self._lock:
            current = worker.current
            if current is not None and current.given_up and self._worker is worker:
                self._hung.append(worker)
                self._last_hung_s = self._clock.monotonic_s()
                self._worker = None
                self._move_waiting_tasks(worker)
                worker.tasks.put(None)
        self._note_failure(f"host {self.name}: no answer in time while it was to {task.what}")

    def _move_waiting_tasks(self, worker: _Worker) -> None:
        waiting = []
        while True:
            try:
                waiting.append(worker.tasks.get_nowait())
            except queue.Empty:
                break
        tasks = [task for task in waiting if task is not None and not task.given_up]
        if tasks and self.hung_calls < self._most_hung:
            self._worker = _Worker(self.uri, self.name)
            for task in tasks:
                self._worker.tasks.put(task)

    def _note_failure(self, message: str) -> None:
        with self._lock:
            self._failures += 1
            self._last_error = message
            # The first ones cost no pause: a fresh connection often does what a stuck one cannot.
            pause_s = min(LONGEST_BACKOFF_S, 2.0 ** (self._failures - FREE_FAILURES - 1))
            if self._failures <= FREE_FAILURES:
                pause_s = 0.0
            self._next_try_s = self._clock.monotonic_s() + pause_s


def is_remote(uri: str) -> bool:
    """Tell whether a libvirt URI names another machine."""
    return urlsplit(uri).netloc != ""


def _open(uri: str) -> libvirt.virConnect:
    import libvirt

    _start_runtime(event_loop=is_remote(uri))
    connection = libvirt.open(uri)
    if is_remote(uri):
        # A peer without keepalive is still watched by the deadlines.
        with contextlib.suppress(libvirt.libvirtError):
            connection.setKeepAlive(KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT)
    return connection


def _start_runtime(event_loop: bool) -> None:
    """Once per process: keep libvirt from printing errors; run its event loop when keepalive needs it."""
    import libvirt

    with _runtime_lock:
        if "quiet" not in _runtime:
            libvirt.registerErrorHandler(lambda _context, _error: None, None)
            _runtime.add("quiet")
        if event_loop and "loop" not in _runtime:
            libvirt.virEventRegisterDefaultImpl()
            threading.Thread(target=_run_event_loop, name="libvirt events", daemon=True).start()
            _runtime.add("loop")


def _run_event_loop() -> None:
    import libvirt

    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError:
            time.sleep(1.0)


def _message(error: libvirt.libvirtError) -> str:
    return " ".join(str(error.get_error_message() or error).split())
