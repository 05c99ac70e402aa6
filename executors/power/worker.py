"""One host's driver as the scheduler may use it: asked on a thread of its own, one thing at a time.

Nobody waits for it. A driver may hang beyond its own deadline; then only its thread hangs: what is known of the host
grows old, nothing else is asked of it, and whoever looks here is told so at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from cluster.clock import Clock
from cluster.errors import RefusedError, TrimtabError
from cluster.host import PowerState
from executors.power.protocol import PowerDriver

Spawn = Callable[[Callable[[], None], str], None]
"""Runs something on a thread of its own, whose name is given."""


def on_a_thread(function: Callable[[], None], name: str) -> None:
    """Run it on a daemon thread."""
    threading.Thread(target=function, name=name, daemon=True).start()


@dataclass(slots=True)
class Task:
    """Something asked of a host's power: under way until `over`; then `error` says how it went wrong, if it did."""

    what: str
    since_s: float
    is_look: bool = False
    error: TrimtabError | None = None
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.done.is_set()


@dataclass(frozen=True, slots=True)
class Look:
    """What a driver saw, or why it saw nothing, at the clock's monotonic seconds. `missed`: so many in a row."""

    state: PowerState
    at_s: float
    why: str = ""
    missed: int = 0


class HostWorker:
    """A host's driver, with what it last saw. For several threads. A look that hangs is waited for `patience_s`."""

    def __init__(
        self, host: str, driver: PowerDriver, clock: Clock, spawn: Spawn = on_a_thread, patience_s: float = 60.0
    ) -> None:
        self.host = host
        self.driver = driver
        self.last: Look | None = None
        self._clock = clock
        self._spawn = spawn
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._task: Task | None = None

    @property
    def busy_with(self) -> Task | None:
        """What is under way now, if anything."""
        task = self._task
        return None if task is None or task.over else task

    def begin(self, what: str, function: Callable[[PowerDriver], None]) -> Task | None:
        """Begin something, after a look that is under way; `None`: something else is under way.

        `TrimtabError`s end up in the task.
        """
        return self._begin(Task(what, self._clock.monotonic_s()), function)

    def look(self) -> None:
        """Begin a look at the power state, unless something is under way. What it sees is in `last` when it is over."""
        self._begin(Task("look at the power of", self._clock.monotonic_s(), is_look=True), self._look)

    def _begin(self, task: Task, function: Callable[[PowerDriver], None]) -> Task | None:
        with self._lock:
            before = self.busy_with
            if before is not None and (task.is_look or not before.is_look):
                return None
            self._task = task
        self._spawn(lambda: self._run(task, before, function), f"{task.what} {self.host}")
        return task

    def _run(self, task: Task, before: Task | None, function: Callable[[PowerDriver], None]) -> None:
        try:
            if before is not None and not before.done.wait(self._patience_s):
                with self._lock:
                    self._task = before  # it hangs, and nothing else is asked while it does
                raise RefusedError(f"host {self.host}: an earlier look at its power hangs: nothing else is asked of it")
            function(self.driver)
        except TrimtabError as error:
            task.error = error
        except BaseException:
            task.error = TrimtabError(f"host {self.host}: to {task.what} it failed in Trimtab itself; see the log")
            raise
        finally:
            task.done.set()

    def _look(self, driver: PowerDriver) -> None:
        try:
            state, why = driver.state(), ""
        except TrimtabError as error:
            state, why = PowerState.UNKNOWN, str(error)
        before = self.last
        missed = 0 if not why else 1 + (0 if before is None else before.missed)
        self.last = Look(state, self._clock.monotonic_s(), why, missed)

    def close(self) -> None:
        """Let go of the driver's connections, unless it is in use."""
        if self.busy_with is None:
            self.driver.close()
