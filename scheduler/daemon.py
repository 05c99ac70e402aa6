"""The daemon: the loop's jobs on APScheduler, signals, and word to systemd.

SIGINT: finish what runs, start nothing more; a second one aborts what runs. SIGTERM: stop at once; migrations under way
stay journalled for the next start. SIGHUP: read the configuration again.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from cluster.errors import TrimtabError, UnreachableError
from scheduler.loop import Job, Loop
from scheduler.notify import notify
from scheduler.trouble import Trouble

logger = logging.getLogger(__name__)

_POLL_S = 0.2
_SET_BACK_S = 1.0


def time_of_day_s() -> float:
    """Return the time that APScheduler goes by, as seconds since the epoch."""
    return time.time()


class _TimeOfDay:
    """Watches for a time of day that is set back: jobs would wait until it is again as late as it was."""

    def __init__(self, scheduler: BackgroundScheduler) -> None:
        self._scheduler = scheduler
        self._ahead_s = time_of_day_s() - time.monotonic()

    def look(self) -> None:
        """Have every job due now when the time was set back since the last look."""
        ahead_s = time_of_day_s() - time.monotonic()
        if ahead_s < self._ahead_s - _SET_BACK_S:
            for job in self._scheduler.get_jobs():
                job.modify(next_run_time=datetime.fromtimestamp(time_of_day_s(), UTC))
        self._ahead_s = ahead_s


class Daemon:
    """Runs a loop until a signal, or for a while."""

    def __init__(self, loop: Loop, say: Callable[[str], None], reload: Callable[[Loop], None]) -> None:
        """`reload` reads the configuration again into the loop, or raises `InputError`."""
        self._loop = loop
        self._say = say
        self._reload = reload
        self._interrupts = 0
        self._terminated = threading.Event()
        self._reload_wanted = threading.Event()
        self._trouble = Trouble(say)

    def run(self, for_s: float | None = None) -> None:
        """Run until told to stop; with `for_s`, finish what runs after that many seconds and return."""
        scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(8)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        previous = {one: signal.signal(one, self._on_signal) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            for job in self._loop.jobs():
                self._guarded(job)
                scheduler.add_job(self._guarded, "interval", (job,), seconds=job.every_s, id=job.name)
            scheduler.start()
            notify("READY=1")
            self._wait(for_s, _TimeOfDay(scheduler))
        finally:
            notify("STOPPING=1")
            scheduler.shutdown(wait=not self._terminated.is_set())
            for one, handler in previous.items():
                signal.signal(one, handler)

    def _wait(self, for_s: float | None, time_of_day: _TimeOfDay) -> None:
        stop_at = threading.Event()
        timer = threading.Timer(for_s, stop_at.set) if for_s is not None else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        told, aborted = False, False
        while not self._terminated.wait(_POLL_S):
            time_of_day.look()
            if self._reload_wanted.is_set():
                self._reload_wanted.clear()
                self._read_again()
            if self._interrupts or stop_at.is_set():
                if not told:
                    told = True
                    self._loop.stop_starting()
                if self._interrupts > 1 and not aborted:
                    aborted = True
                    self._say("aborting what runs")
                    self._loop.abort()
                if self._is_over():
                    return

    def _is_over(self) -> bool:
        try:
            return self._loop.is_idle_here()
        except UnreachableError:
            return self._interrupts > 1  # the journal has it all; insisting ends the wait for the store

    def _read_again(self) -> None:
        try:
            self._reload(self._loop)
            self._say("configuration read again")
        except TrimtabError as error:
            self._say(f"configuration not taken, the old one stays: {error}")

    def _guarded(self, job: Job) -> None:
        try:
            self._trouble.run(job)
        except Exception as error:  # a defect in one job must not stop the watching of running migrations
            if self._trouble.note(job.name, f"internal error in {job.name}: {error!r}; please report it"):
                logger.exception("job %s failed", job.name)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            self._terminated.set()
        elif number == signal.SIGHUP:
            self._reload_wanted.set()
        else:
            self._interrupts += 1
