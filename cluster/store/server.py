"""A Redis server as the store talks to it: connections, time-outs, errors as ours, and commands safe to send again.

An answer can get lost after the server has done its work. A command is sent a second time only where the caller says
that doing it twice is the same as doing it once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cluster.errors import StoreUnavailableError
from cluster.store.scripts import script

ROOT = "trimtab:{trimtab}:"
"""What every key begins with; the hash tag keeps one cluster's keys in one slot, so that scripts may use them all."""

LEAST_VERSION = (7, 0)


def _nothing() -> None:
    pass


class RedisServer:
    """Connections to one Redis server. Thread-safe; connects on the first call, and again after a failure.

    `shown` is how errors call it: its address without a password. `on_close` lets go of what stands behind it.
    """

    def __init__(
        self, shown: str, timeout_s: float, options: dict[str, Any], on_close: Callable[[], None] = _nothing
    ) -> None:
        self._shown = shown
        self._on_close = on_close
        # Any: the methods used here carry no types in the oldest redis-py that is supported.
        self._client: Any = redis.Redis(
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            **options,
        )

    @property
    def shown(self) -> str:
        """How errors call this server."""
        return self._shown

    def call(self, *command: str | int | bytes, again: bool = False) -> Any:
        """Send a command; `again`: once more if its answer got lost. `StoreUnavailableError` when it cannot be done."""
        try:
            try:
                return self._client.execute_command(*command)
            except (redis.ConnectionError, redis.TimeoutError):
                if not again:
                    raise
                return self._client.execute_command(*command)
        except (redis.RedisError, OSError) as error:
            raise self._unavailable(error) from error

    def run(self, name: str, *arguments: str | int | bytes, again: bool = False) -> Any:
        """Run a script of the store as one atomic step."""
        lua = script(name)
        try:
            return self.call("EVALSHA", lua.sha, 1, ROOT, *arguments, again=again)
        except StoreUnavailableError as error:
            if not isinstance(error.__cause__, redis.exceptions.NoScriptError):
                raise
        return self.call("EVAL", lua.text, 1, ROOT, *arguments, again=again)

    def durability_problems(self) -> tuple[str, ...]:
        """Say what keeps this server from holding a journal and a lease safely."""
        info = self.call("INFO")
        problems = []
        version = str(info.get("redis_version", "0.0"))
        if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < LEAST_VERSION:
            problems.append(f"store {self._shown} is Redis {version}; Trimtab needs 7.0 or newer")
        for key, wanted in (("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")):
            try:
                found = self._setting(key)
            except StoreUnavailableError as error:
                if not isinstance(error.__cause__, redis.ResponseError):
                    raise
                problems.append(
                    f"store {self._shown} does not let us read its configuration ({_line(error.__cause__)}), so "
                    "appendonly, appendfsync and maxmemory-policy are unknown; allow this user the command CONFIG GET"
                )
                break
            if found != wanted:
                problems.append(f"store {self._shown} has {key} {found}; set {key} {wanted} in its redis.conf")
        if info.get("aof_last_write_status", "ok") != "ok":
            problems.append(f"store {self._shown} could not write its append-only file; look at its disk and log")
        return tuple(problems)

    def close(self) -> None:
        """Let go of the connections and of what stands behind them."""
        self._client.close()
        self._on_close()

    def _setting(self, key: str) -> str:
        answer = self.call("CONFIG GET", key)
        return str({_str(name): _str(value) for name, value in answer.items()}.get(key, "unknown"))

    def _unavailable(self, error: Exception) -> StoreUnavailableError:
        what = _line(error)
        match error:
            case (
                redis.AuthenticationError()
                | redis.exceptions.AuthorizationError()
                | redis.exceptions.NoPermissionError()
            ):
                text = f"refuses this user: {what}; check store.user and store.password_file"
            case redis.BusyLoadingError():
                text = "is still reading its files; try again in a moment"
            case redis.TimeoutError():
                text = f"does not answer in time: {what}; check its load and the network, or raise store.timeout_s"
            case redis.ResponseError():
                text = f"refuses: {what}; look at its log, memory and disk"
            case _:
                text = f"cannot be reached: {what}; check that Redis runs there and store.url is right"
        return StoreUnavailableError(f"store {self._shown} {text}")


def _line(error: BaseException) -> str:
    """Return an error's text on one line, without its last full stop."""
    return (" ".join(str(error).split()) or type(error).__name__).rstrip(".")


def _str(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
