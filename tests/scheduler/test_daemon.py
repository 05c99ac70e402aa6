"""The daemon around a loop: its jobs, its signals, its word to systemd, and trouble said once."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import cast

import pytest

from cluster.errors import InputError, StoreUnavailableError, TrimtabError
from scheduler.daemon import Daemon
from scheduler.loop import Job, Loop

MOST_S = 10.0


class Pretend:
    """What the daemon needs of a loop. `busy` is a plan under way; `run` is what its job does."""

    def __init__(self, run: Callable[[], None] = lambda: None) -> None:
        self.run = run
        self.runs = 0
        self.busy = False
        self.stopped = 0
        self.aborted = 0
        self.store_gone = False

    def jobs(self) -> tuple[Job, ...]:
        """One job, twenty times a second."""
        return (Job("work", 0.05, self._work),)

    def _work(self) -> None:
        self.runs += 1
        self.run()

    def stop_starting(self) -> None:
        """Finish what runs."""
        self.stopped += 1

    def abort(self) -> None:
        """Stop what runs."""
        self.aborted += 1

    def is_idle_here(self) -> bool:
        """Whether nothing runs."""
        if self.store_gone:
            raise StoreUnavailableError("store: gone")
        return not self.busy


class Running:
    """A daemon in the main thread, and a timetable of what happens to it meanwhile on another."""

    def __init__(self, loop: Pretend, reload: Callable[[Loop], None] = lambda _: None) -> None:
        self.said: list[str] = []
        self.loop = loop
        self._daemon = Daemon(cast(Loop, loop), self.said.append, reload)
        self._trouble: list[str] = []

    def during(self, script: Callable[[Running], None], for_s: float | None = None) -> float:
        """Run until it ends by itself while the script goes on; return how long that took."""
        thread = threading.Thread(target=self._play, args=(script,), daemon=True)
        began = time.monotonic()
        thread.start()
        self._daemon.run(for_s)
        thread.join(MOST_S)
        assert self._trouble == []
        return time.monotonic() - began

    def _play(self, script: Callable[[Running], None]) -> None:
        try:
            self.until(lambda: self.loop.runs >= 2)
            script(self)
        except AssertionError as error:
            self._trouble.append(str(error))
            os.kill(os.getpid(), signal.SIGTERM)

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something is so."""
        end = time.monotonic() + MOST_S
        while not holds():
            assert time.monotonic() < end, "it does not come to pass"
            time.sleep(0.01)

    def signal(self, number: int) -> None:
        """Send a signal to this process."""
        os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The signal handlers are as before when a daemon has ended."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(one) for one in numbers]
    yield
    assert [signal.getsignal(one) for one in numbers] == before


def test_jobs_run_again_and_again_for_a_while() -> None:
    """With a time given it finishes and returns by itself, and starts nothing more."""
    running = Running(Pretend())
    took_s = running.during(lambda _: None, for_s=0.6)
    assert 0.6 <= took_s < 5
    assert running.loop.runs >= 3
    assert (running.loop.stopped, running.loop.aborted) == (1, 0)


def test_the_first_interrupt_finishes_what_runs() -> None:
    """It ends when the plan under way has, without an abort."""
    loop = Pretend()
    loop.busy = True

    def script(it: Running) -> None:
        it.signal(signal.SIGINT)
        it.until(lambda: loop.stopped == 1)
        runs = loop.runs
        it.until(lambda: loop.runs > runs + 2)
        loop.busy = False

    running = Running(loop)
    running.during(script)
    assert (loop.stopped, loop.aborted) == (1, 0)


def test_the_second_interrupt_aborts_what_runs() -> None:
    """It is said, and the daemon still waits for the end of what it aborted."""
    loop = Pretend()
    loop.busy = True

    def script(it: Running) -> None:
        it.signal(signal.SIGINT)
        it.until(lambda: loop.stopped == 1)
        it.signal(signal.SIGINT)
        it.until(lambda: loop.aborted == 1)
        loop.busy = False

    running = Running(loop)
    running.during(script)
    assert (loop.stopped, loop.aborted) == (1, 1)
    assert "aborting what runs" in running.said


def test_insisting_ends_the_wait_for_a_store_that_is_gone() -> None:
    """After one interrupt it waits for the store, after two it goes: the journal has it all."""
    loop = Pretend()
    loop.busy = loop.store_gone = True

    def script(it: Running) -> None:
        it.signal(signal.SIGINT)
        it.until(lambda: loop.stopped == 1)
        time.sleep(0.3)
        it.signal(signal.SIGINT)

    Running(loop).during(script)
    assert loop.aborted == 1


def test_terminate_ends_at_once() -> None:
    """What runs is left to the next start: nothing is stopped or aborted, and nothing waited for."""
    loop = Pretend()
    loop.busy = True
    began: list[float] = []

    def script(it: Running) -> None:
        began.append(time.monotonic())
        it.signal(signal.SIGTERM)

    Running(loop).during(script)
    assert time.monotonic() - began[0] < 2
    assert (loop.stopped, loop.aborted) == (0, 0)


def test_hang_up_reads_the_configuration_again() -> None:
    """The new one is taken and said, and the daemon goes on."""
    taken: list[Loop] = []
    running = Running(Pretend(), taken.append)

    def script(it: Running) -> None:
        it.signal(signal.SIGHUP)
        it.until(lambda: bool(taken))
        it.until(lambda: "configuration read again" in it.said)
        it.signal(signal.SIGTERM)

    running.during(script)
    assert taken == [cast(Loop, running.loop)]


def test_a_bad_configuration_keeps_the_old_one() -> None:
    """The refusal is one line, and the daemon goes on."""

    def refuse(_: Loop) -> None:
        raise InputError("trimtab.toml: gate.max_moves: found -1; allowed: 0 and more")

    def script(it: Running) -> None:
        it.signal(signal.SIGHUP)
        it.until(lambda: bool(it.said))
        runs = it.loop.runs
        it.until(lambda: it.loop.runs > runs + 2)
        it.signal(signal.SIGTERM)

    running = Running(Pretend(), refuse)
    running.during(script)
    assert running.said == [
        "configuration not taken, the old one stays: trimtab.toml: gate.max_moves: found -1; allowed: 0 and more"
    ]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (StoreUnavailableError("store: no answer"), "store: no answer; not acting until it is back"),
        (TrimtabError("the answer is no"), "the answer is no"),
        (KeyError("x"), "internal error in work: KeyError('x'); please report it"),
    ],
)
def test_trouble_is_said_once_and_so_is_its_end(error: Exception, says: str, caplog: pytest.LogCaptureFixture) -> None:
    """However often the job fails meanwhile; the job goes on being run, and a defect's traceback is logged once."""
    well = threading.Event()

    def work() -> None:
        if not well.is_set():
            raise error

    def script(it: Running) -> None:
        it.until(lambda: it.loop.runs >= 5)
        well.set()
        it.until(lambda: it.said[-1] == "all is well again")
        it.signal(signal.SIGTERM)

    running = Running(Pretend(work))
    running.during(script)
    assert running.said == [says, "all is well again"]
    assert len([record for record in caplog.records if record.exc_info]) == isinstance(error, KeyError)


def test_systemd_is_told_of_ready_and_stopping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ready once the first round of jobs is done, stopping before what runs is waited for."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(MOST_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        Running(Pretend()).during(lambda _: None, for_s=0.1)
        assert [listener.recv(100) for _ in range(2)] == [b"READY=1", b"STOPPING=1"]


def test_jobs_go_on_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that came up with a wrong time and is corrected by hours must not stand still for hours."""

    class Shifted(datetime):
        """The time of day, some of it taken back."""

        back_s = 0.0

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain one is enough
            return datetime.now(tz) - timedelta(seconds=cls.back_s)

    for module in ("schedulers.base", "triggers.interval"):
        monkeypatch.setattr(f"apscheduler.{module}.datetime", Shifted)
    monkeypatch.setattr("scheduler.daemon.time_of_day_s", lambda: time.time() - Shifted.back_s)

    def script(it: Running) -> None:
        it.until(lambda: it.loop.runs >= 3)
        Shifted.back_s = 3600.0
        time.sleep(0.3)
        runs = it.loop.runs
        it.until(lambda: it.loop.runs >= runs + 5)
        it.signal(signal.SIGTERM)

    Running(Pretend()).during(script)
