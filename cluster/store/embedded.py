"""A private `redis-server` on a Unix socket: the store of one machine, started and stopped by Trimtab itself.

Two locks in its directory: `owner.lock` is held by the process that the server belongs to, `server.lock` by the server
as well (it inherits the descriptor), so that no second server ever opens the same files, whatever died when. The
kernel ends the server with SIGTERM when its owner dies; every write was on disk before it was answered.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from weakref import WeakMethod

from cluster.errors import InputError, RefusedError, StoreUnavailableError
from cluster.store.server import RedisServer

SOCKET = "redis.sock"
LOG = "redis.log"
_LONGEST_SOCKET_PATH = 107  # sun_path of unix(7), less its closing zero byte
_LOCK_WAIT_S = 10.0
_START_WAIT_S = 60.0
_STOP_WAIT_S = 10.0
_RESTART_PAUSE_S = 1.0
_LOOK_S = 0.02


def open_embedded(directory: Path, timeout_s: float, own: bool) -> RedisServer:
    """Return the private server of a directory: the one that runs, or, for an owner, always one of our own.

    Somebody who is not an owner and finds none running gets one that ends with `close`. `InputError` when the
    directory cannot be used, `RefusedError` when an owner finds another, `StoreUnavailableError` when Redis is missing
    or does not start.
    """
    directory = directory.absolute()
    socket = directory / SOCKET
    if len(os.fsencode(socket)) > _LONGEST_SOCKET_PATH:
        raise InputError(f"store.directory {directory} is too long for a socket's path; name a shorter one")
    if not own and _answers(socket, timeout_s):
        return _connect(socket, timeout_s)
    _prepare(directory)
    owner_lock = _owner_lock(directory, lambda: not own and _answers(socket, timeout_s))
    if owner_lock is None:
        return _connect(socket, timeout_s)
    private = PrivateRedis(directory, owner_lock)
    try:
        private.start(timeout_s)
    except BaseException:
        private.stop()
        raise
    return _connect(socket, timeout_s, private.stop)


class PrivateRedis:
    """The server process. A thread keeps it: starts it, starts it again when it dies, and ends only with `stop`.

    The thread is needed because the kernel's signal on a parent's death is on the death of the *thread* that started
    the child.
    """

    def __init__(self, directory: Path, owner_lock: int) -> None:
        self._directory = directory
        self._owner_lock = owner_lock
        self._server_lock = -1
        self._command: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._starting = threading.Lock()  # either a process is started before stop() looks for it, or none is
        self._started = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="private-redis", daemon=True)
        forget = WeakMethod(self._forget)
        os.register_at_fork(after_in_child=lambda: (method := forget()) and method())

    def start(self, timeout_s: float) -> None:
        """Start the server and wait until it answers."""
        program = shutil.which("redis-server")
        if program is None:
            raise StoreUnavailableError(
                "store embedded: needs redis-server, which is not here; run: apt-get install redis-server"
            )
        self._command = _command(program, self._directory)
        self._server_lock = self._lock_server(timeout_s)
        self._keeper.start()
        self._started.wait()
        deadline = time.monotonic() + _START_WAIT_S
        while not _answers(self._directory / SOCKET, timeout_s):
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise StoreUnavailableError(
                    f"store embedded: redis-server does not start: {_last_line(self._directory / LOG)}; "
                    f"look at {self._directory / LOG}"
                )
            time.sleep(_LOOK_S)

    def stop(self) -> None:
        """End the server and give the directory free. Does nothing the second time."""
        if self._owner_lock < 0:
            return
        with self._starting:
            self._stopping.set()
        if self._keeper.ident is not None:
            self._end()
            self._keeper.join()
        self._forget()

    def _forget(self) -> None:
        """In a forked child: the server is the parent's, to be ended by it, and locked no longer than it lives."""
        for lock in (self._server_lock, self._owner_lock):
            if lock >= 0:
                os.close(lock)
        self._server_lock = self._owner_lock = -1

    def _keep(self) -> None:
        while self._launch():
            if self._process is not None:
                self._process.wait()
            self._stopping.wait(_RESTART_PAUSE_S)

    def _launch(self) -> bool:
        """Start the server's process, if it is still wanted."""
        with self._starting:
            if self._stopping.is_set():
                return False
            try:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd=self._directory,
                    env={"LC_ALL": "C"},
                    pass_fds=(self._server_lock,),
                    start_new_session=True,  # an interrupt from the keyboard is for us; Redis ends after us
                )
            except OSError:
                self._process = None
            self._started.set()
            return True

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()

    def _lock_server(self, timeout_s: float) -> int:
        """Wait until no earlier server has the files open; end one that outlived its owner."""
        lock = _open_lock(self._directory / "server.lock")
        asked = False
        deadline = time.monotonic() + _LOCK_WAIT_S
        while not _take(lock):
            if not asked and time.monotonic() > deadline - _LOCK_WAIT_S + 1.0:
                asked = True
                with suppress(StoreUnavailableError):
                    # We own the directory, so whatever still answers there is left over from an owner that died.
                    _connect(self._directory / SOCKET, timeout_s).call("SHUTDOWN", "NOSAVE")
            if time.monotonic() > deadline:
                os.close(lock)
                raise StoreUnavailableError(
                    f"store embedded: an earlier redis-server still holds {self._directory}; "
                    f"find it with: fuser {self._directory / 'server.lock'}"
                )
            time.sleep(_LOOK_S)
        return lock


def _command(program: str, directory: Path) -> list[str]:
    """Return the server's command line: no network, nothing lost, nothing evicted, ended by its owner's death."""
    settings = {
        "port": "0",
        "unixsocket": str(directory / SOCKET),
        "unixsocketperm": "700",
        "dir": str(directory),
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "logfile": str(directory / LOG),
        "loglevel": "warning",
    }
    command = [program]
    for key, value in settings.items():
        command += [f"--{key}", value]
    setpriv = shutil.which("setpriv")
    return command if setpriv is None else [setpriv, "--pdeathsig", "TERM", "--", *command]


def _connect(socket: Path, timeout_s: float, on_close: Callable[[], None] | None = None) -> RedisServer:
    options = {"unix_socket_path": str(socket)}
    shown = f"embedded: ({socket})"
    return (
        RedisServer(shown, timeout_s, options) if on_close is None else RedisServer(shown, timeout_s, options, on_close)
    )


def _answers(socket: Path, timeout_s: float) -> bool:
    if not socket.exists():
        return False
    server = _connect(socket, timeout_s)
    try:
        server.call("PING")
    except StoreUnavailableError:
        return False
    finally:
        server.close()
    return True


def _prepare(directory: Path) -> None:
    """Make the directory, for this user alone, and see that it can be written."""
    todo = "set store.directory to one that this user may write"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"store.directory {directory} cannot be made: {error.strerror}; {todo}") from error
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise InputError(f"store.directory {directory} cannot be written; {todo}")


def _owner_lock(directory: Path, enough: Callable[[], bool]) -> int | None:
    """Take the owner's lock; `None` when `enough` says that waiting for it has become needless."""
    lock = _open_lock(directory / "owner.lock")
    deadline = time.monotonic() + _LOCK_WAIT_S
    while not _take(lock):
        if enough():
            os.close(lock)
            return None
        if time.monotonic() > deadline:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise RefusedError(
                f"store.directory {directory} belongs to a running trimtab (process {holder}); "
                "stop that one, or set another store.directory"
            )
        time.sleep(_LOOK_S)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror}; check the owner of store.directory") from error


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return "it said nothing"
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
