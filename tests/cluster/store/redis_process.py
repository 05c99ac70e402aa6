"""A redis-server of the tests' own on a Unix socket, which tests may stop, kill and start again."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

PROGRAM = shutil.which("redis-server")
WHY_SKIPPED = "redis-server is not installed: the tests that need a real Redis are skipped"


def client_of(socket: Path) -> redis.Redis:
    """Return a plain client of the server at a socket, which fails at once where none answers."""
    return redis.Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0))


class RedisProcess:
    """A server with its own short-named directory (a socket's path must be short)."""

    def __init__(self, *options: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="trimtab-redis-"))
        self.socket = self.directory / "redis.sock"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The server as `store.url` names it."""
        return f"unix:{self.socket}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        assert PROGRAM is not None
        settings = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.directory), "--save", ""]
        settings += ["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"]
        settings += ["--logfile", str(self.directory / "redis.log"), *self._options]
        self._process = subprocess.Popen([PROGRAM, *settings], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return
            except redis.AuthenticationError:
                return
            except redis.RedisError:
                assert time.monotonic() < deadline, "the tests' redis-server does not answer"
                time.sleep(0.02)

    def stop(self) -> None:
        """End it, if it runs, and wait until it is gone."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def remove(self) -> None:
        """End it and remove its files."""
        self.stop()
        shutil.rmtree(self.directory)

    def client(self) -> redis.Redis:
        """Return a plain client, for what the store does not offer."""
        return client_of(self.socket)
