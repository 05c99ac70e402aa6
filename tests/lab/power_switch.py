"""The power switch behind the lab's BMC emulators: a socket on which they read and turn the power of lab hosts.

One request per connection, one line: `HOST get`, `HOST on` (power on), `HOST soft` (the operating system is asked to
shut down), `HOST off` (a hard power-off). The answer is `on`, `off`, or `error TEXT`. A `Mood` makes a host's BMC bad.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from enum import StrEnum
from types import TracebackType
from typing import Self

from tests.lab.hosts import LabHost
from tests.lab.lab import Lab
from tests.lab.processes import LabError

BOOT_S = 1.0
"""What a lab host's firmware takes before it boots."""


class Mood(StrEnum):
    """How a host's BMC does what it is told."""

    OBEYS = "obeys"
    REFUSES = "refuses"  # every order is an error
    LIES = "lies"  # it says that it was done, and nothing was
    HANGS = "hangs"  # it takes the order and never answers
    NO_BOOT = "no_boot"  # power comes on, the host does not boot


class PowerSwitch:
    """Serves the emulators on a loopback port. `on_boot` is called with each host that has booted."""

    def __init__(self, lab: Lab, on_boot: Callable[[LabHost], None] = lambda _host: None) -> None:
        self.on_boot = on_boot
        self.moods: dict[str, Mood] = {}
        self.orders: list[tuple[str, str]] = []
        """Every order as it came: host and word."""
        self.hard_offs: list[str] = []
        self._lab = lab
        self._said: dict[str, str] = {}
        self._busy: dict[str, threading.Lock] = {host.name: threading.Lock() for host in lab.hosts}
        self._over = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, name="power-switch", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        port: int = self._socket.getsockname()[1]
        return port

    def mood(self, host: str, mood: Mood) -> None:
        """Change how a host's BMC behaves from now on; a good one forgets what it has lied about."""
        self.moods[host] = mood
        if mood is Mood.OBEYS:
            self._said.pop(host, None)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._accepting.join(10)
        for thread in self._threads:
            thread.join(20)

    # -- serving ---------------------------------------------------------------------------------------------------
    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            self._run(self._serve, connection)

    def _run(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="power-switch", daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            words = connection.makefile("r").readline().split()
            try:
                answer = self._answer(*words)
            except (LabError, TypeError) as error:
                answer = f"error {error}"
            connection.sendall(f"{answer}\n".encode())

    def _answer(self, name: str, word: str) -> str:
        host = self._lab.host(name)
        mood = self.moods.get(name, Mood.OBEYS)
        if mood is Mood.HANGS:
            self._over.wait()
        if word == "get":
            return self._said.get(name) or ("on" if host.up else "off")
        self.orders.append((name, word))
        if word == "off":
            self.hard_offs.append(name)
        if mood is Mood.REFUSES:
            raise LabError("this BMC refuses every order")
        if mood is Mood.LIES or (mood is Mood.NO_BOOT and word == "on"):
            self._said[name] = "on" if word == "on" else "off"
        else:
            self._said.pop(name, None)
            self._run(self._turn, host, word)
        return "on" if word == "on" else "off"

    # -- turning ---------------------------------------------------------------------------------------------------
    def _turn(self, host: LabHost, word: str) -> None:
        """A host takes its time: whoever gave the order looks later."""
        with self._busy[host.name]:
            if word == "off":
                host.kill()
            elif word == "soft":
                host.shut_down()
            elif not host.up and not self._over.wait(BOOT_S):
                host.boot()
                host.wait_ready()
                self.on_boot(host)
