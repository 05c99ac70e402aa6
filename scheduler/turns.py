"""A loop's jobs taken in turn on one thread, on any clock: how verbs run the real loop themselves, simulated or not."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from cluster.clock import Clock
from scheduler.loop import Job, Loop
from scheduler.trouble import Trouble


class Turns:
    """Jobs by when they are due next. Trouble of a job is said once when it begins, and does not end the others."""

    def __init__(self, jobs: Collection[Job], clock: Clock, say: Callable[[str], None]) -> None:
        self._jobs = tuple(jobs)
        self._clock = clock
        self._due_s = {job.name: clock.monotonic_s() for job in self._jobs}
        self._trouble = Trouble(say)

    @property
    def next_due_s(self) -> float:
        """When the next job is due, on the clock's `monotonic_s`."""
        return min(self._due_s.values())

    def step(self) -> None:
        """Run every job that is due, in the order given."""
        for job in self._jobs:
            now_s = self._clock.monotonic_s()
            if self._due_s[job.name] <= now_s + 1e-6:
                self._trouble.run(job)
                self._due_s[job.name] = now_s + job.every_s

    def until(self, over: Callable[[], bool], most_s: float | None = None) -> bool:
        """Take turns until something is so, or for a while; tell whether it is."""
        end_s = None if most_s is None else self._clock.monotonic_s() + most_s
        while True:
            self.step()
            if over():
                return True
            now_s = self._clock.monotonic_s()
            if end_s is not None and now_s >= end_s:
                return False
            self._clock.sleep(max(0.01, min(self.next_due_s, now_s + 1.0) - now_s))


@contextmanager
def interrupts_stop(loop: Loop, say: Callable[[str], None]) -> Iterator[None]:
    """While inside, a first interrupt from the keyboard starts nothing more, a second aborts, a third ends the verb."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = 0

    def on_interrupt(*_: object) -> None:
        nonlocal heard
        heard += 1
        if heard == 1:
            say("finishing what runs, starting nothing more; interrupt again to abort it")
            loop.stop_starting()
        elif heard == 2:
            say("aborting what runs")
            loop.abort()
        else:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
