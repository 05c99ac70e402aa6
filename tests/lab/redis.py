"""A private redis-server for the lab: reachable by the hosts, and as durable as a real store has to be."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.lab.lab import Lab
from tests.lab.network import CONTROLLER_ADDRESS
from tests.lab.processes import LabError, end_process, wait_until

_START_S = 10


class LabRedis:
    """Redis on 10.77.0.254 and 127.0.0.1 with every write flushed and nothing evicted; it ends with its lab.

    `settings` are options of redis-server (`{"appendfsync": "everysec"}` to show what is refused).
    """

    def __init__(self, lab: Lab, password: str | None = None, settings: dict[str, str] | None = None) -> None:
        self.password = password
        self.port = _free_port()
        self.directory = lab.directory / f"redis-{self.port}"
        self._lab = lab
        self._settings = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
        self._settings.update(settings or {})
        self._process: subprocess.Popen[Any] | None = None

    @property
    def url(self) -> str:
        """The URL without the password: Trimtab takes that from a file (see `password_file`)."""
        return f"redis://{CONTROLLER_ADDRESS}:{self.port}/0"

    @property
    def password_file(self) -> Path:
        return self.directory / "password"

    def start(self) -> Self:
        """Start, or start again on the same data and port; returns when it takes connections."""
        if self._process is not None:
            return self
        self.directory.mkdir(parents=True, exist_ok=True)
        options = {
            "port": str(self.port),
            "bind": f"{CONTROLLER_ADDRESS} 127.0.0.1",
            "dir": str(self.directory),
            "save": '""',
            "protected-mode": "no",
            **self._settings,
        }
        if self.password is not None:
            self.password_file.write_text(self.password)
            self.password_file.chmod(0o600)
            options["requirepass"] = self.password
        configuration = self.directory / "redis.conf"
        configuration.write_text("".join(f"{key} {value}\n" for key, value in options.items()))
        with (self.directory / "redis.log").open("ab") as log:
            process = self._lab.spawner.start(
                ["redis-server", str(configuration)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._process = process
        failure = f"redis-server did not start: see {self.directory / 'redis.log'}"
        wait_until(lambda: self._listens(failure), _START_S, failure)
        return self

    def stop(self) -> None:
        """An orderly stop; the data stay for the next `start`."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def kill(self) -> None:
        """SIGKILL; the data stay for the next `start`."""
        if self._process is not None:
            end_process(self._process)
            self._process = None

    def pause(self) -> None:
        """Hang: connections are taken, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _signal(self, sig: int) -> None:
        if self._process is not None:
            os.kill(self._process.pid, sig)

    def _listens(self, failure: str) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise LabError(failure)
        try:
            socket.create_connection((CONTROLLER_ADDRESS, self.port), timeout=1).close()
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((CONTROLLER_ADDRESS, 0))
        port: int = probe.getsockname()[1]
        return port
