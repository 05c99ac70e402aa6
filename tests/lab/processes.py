"""Processes of the lab that cannot outlive it: parent-death signals, one spawning thread, a list of pids.

The kernel sends a parent-death signal when the *thread* that started the process ends, so a `Spawner` starts everything
from one thread that lives as long as the lab.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_ON_PARENT_DEATH = ["setpriv", "--pdeathsig", "KILL", "--"]


class LabError(Exception):
    """The lab cannot do what was asked: one line saying what, where and what to do."""


class Spawner:
    """Starts processes that are killed when this Python process ends, however it ends."""

    def __init__(self, pid_file: Path) -> None:
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="lab-spawner")
        self._pid_file = pid_file
        self._pid_file.write_text("")

    def start(self, argv: list[str], **popen: Any) -> subprocess.Popen[Any]:
        """A process outside every lab host, noted in the pid file."""
        # In a session of its own, so that Ctrl-C in a terminal reaches the tests or the daemon and not the hosts.
        popen.setdefault("start_new_session", True)
        process = self._threads.submit(lambda: subprocess.Popen([*_ON_PARENT_DEATH, *argv], **popen)).result()
        with self._pid_file.open("a") as file:
            file.write(f"{process.pid} {_started_at(process.pid)}\n")
        return process

    def start_inside(self, pid: int, argv: list[str], **popen: Any) -> HostProcess:
        """A process in the mount, network, host name and process namespaces of `pid`; they die with that host."""
        enter = ["nsenter", "-t", str(pid), "-m", "-u", "-n", "-p", "--"]
        popen.setdefault("start_new_session", True)
        directory = str(popen.pop("cwd", None) or Path.cwd())
        change = ["sh", "-c", 'cd "$0" && exec "$@"', directory]
        return self._threads.submit(lambda: HostProcess([*enter, *_ON_PARENT_DEATH, *change, *argv], **popen)).result()

    def close(self) -> None:
        self._threads.shutdown()
        self._pid_file.unlink(missing_ok=True)


class HostProcess(subprocess.Popen[Any]):
    """A process inside a lab host: signals reach the program itself, not the `nsenter` that waits for it."""

    @property
    def inner_pid(self) -> int | None:
        """Process id of the program as seen from outside the host; None when it has ended."""
        children = child_pids(self.pid)
        return children[0] if children else None

    def send_signal(self, sig: int) -> None:
        if self.poll() is not None:
            return
        inner = self.inner_pid
        if inner is not None:
            os.kill(inner, sig)
            if sig == signal.SIGCONT:
                self.wake()
        elif sig == signal.SIGKILL:
            super().send_signal(sig)

    def wake(self) -> None:
        """Let `nsenter` go on: it stops itself when its program is stopped, and then nobody reaps the program."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGCONT)


def child_pids(pid: int) -> list[int]:
    """Children of a process, oldest first; none when it has ended."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def wait_until(condition: Any, seconds: float, failure: str, every_s: float = 0.02) -> Any:
    """The first true value of `condition()`; LabError with `failure` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(failure)
        time.sleep(every_s)


def end_process(process: subprocess.Popen[Any], seconds: float = 10) -> None:
    """SIGKILL and reap."""
    process.kill()
    process.wait(seconds)


def kill_leftovers(pid_file: Path) -> list[int]:
    """Kill what an earlier lab noted and did not stop; a pid that names another process by now is left alone."""
    killed = []
    lines = pid_file.read_text().splitlines() if pid_file.exists() else []
    for line in lines:
        pid_text, _, started = line.partition(" ")
        if pid_text.isdigit() and started and _started_at(int(pid_text)) == started:
            os.kill(int(pid_text), signal.SIGKILL)
            killed.append(int(pid_text))
    pid_file.unlink(missing_ok=True)
    return killed


def _started_at(pid: int) -> str:
    """Start time in clock ticks since boot: with the pid it names one process for ever. Empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
