"""What an executor is: the hands that carry out one kind of step, re-entrantly, and eyes to see how it ended.

The runner (`executors/runner.py`) owns order, limits and the journal; an executor only starts, watches and ends one
step. Every call returns soon: a migration runs on while `poll` is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from cluster.plan import Migrate, Sleep, Wake


class Presence(StrEnum):
    """How a guest is seen on one host."""

    RUNNING = "running"
    LEAVING = "leaving"  # running, with an outgoing migration under way
    ARRIVING = "arriving"  # an incoming migration under way, not running yet
    STOPPED = "stopped"  # defined there but not running
    ABSENT = "absent"
    UNKNOWN = "unknown"  # the host does not answer


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where a guest was seen: on its step's source, on the target, and running on any `elsewhere` host."""

    source: Presence
    target: Presence
    elsewhere: tuple[str, ...] = ()
    answering: bool = True  # the guest's QEMU on the target answered; meaningful when running there
    silent: tuple[str, ...] = ()  # source or target, where the host itself does not answer: not only this guest of it


@dataclass(frozen=True, slots=True)
class Progress:
    """A step under way. `running` false: it is over or nothing of it is known here; `error` as the world gave it.

    `postcopy`: the guest runs on its target already, and part of its memory is still on its source. `seconds`: how
    long a migration that is over took, where the world says so.
    """

    running: bool
    ratio: float = 0.0
    mib: int = 0
    downtime_ms: int | None = None
    error: str = ""
    postcopy: bool = False
    seconds: float | None = None


MayBegin = Callable[[], bool]
"""Asked in the last moment before a migration is set going, on any thread. False: it is not, whatever was prepared."""


def always() -> bool:
    """Let every migration begin, for a caller whom nobody can replace meanwhile."""
    return True


class MigrationExecutor(Protocol):
    """Carries out `Migrate` steps. Raises `HostUnreachableError`, `RefusedError` (nothing was begun) or `StepError`."""

    def look(self, step: Migrate) -> Sighting:
        """See where the guest is now, on both ends and on every other host that can be asked."""

    def start(self, step: Migrate, limit_mib_s: int, may_begin: MayBegin = always) -> None:
        """Begin the migration, with this bandwidth cap (0: none). Return once it is under way."""

    def set_limit(self, step: Migrate, limit_mib_s: int) -> None:
        """Change the bandwidth cap of the running migration, whoever began it (0: none). Nothing when none runs."""

    def poll(self, step: Migrate) -> Progress:
        """Say how far it is. Works for a migration begun by an earlier process, too."""

    def abort(self, step: Migrate) -> None:
        """Ask the running migration to stop; the guest stays on its source. Nothing when none runs, or in post-copy."""


@runtime_checkable
class LeavesBehind(Protocol):
    """A migration executor whose migrations leave something behind that has to follow the guest (libvirt: autostart).

    The runner keeps what `left_behind` says in the journal, so that it follows even after a crash in mid-migration.
    """

    def left_behind(self, step: Migrate) -> str:
        """Say, before the start, what has to follow, as a short text that `bring_along` reads; empty: nothing."""

    def bring_along(self, step: Migrate, what: str) -> None:
        """Make it so on the target, after arrival. Repeatable. `HostUnreachableError`, `StepError`."""


class PowerExecutor(Protocol):
    """Carries out `Sleep` and `Wake` steps, and says whether they are over."""

    def start(self, step: Sleep | Wake, may_begin: MayBegin = always) -> None:
        """Begin. `RefusedError` when the host may not be touched or holds guests.

        `may_begin` is asked once more right before the host is told anything, if that is later and on another thread.
        """

    def poll(self, step: Sleep | Wake) -> Progress:
        """Say whether the host has reached the state asked for: `running` false and no error.

        `RefusedError`: it may not be touched after all, and nothing was begun.
        """


@runtime_checkable
class PowerOfHosts(Protocol):
    """A power executor of real hosts: changing takes its own time, and may have been begun by another process."""

    def timeout_s(self, step: Sleep | Wake) -> float:
        """Return after how many seconds a step that is not over has failed."""

    def adopt(self, step: Sleep | Wake, asked: bool, may_begin: MayBegin) -> None:
        """Take over a step that another process began; `asked`: it had come to telling the host.

        `RefusedError` for one that had not, and is not gone on with.
        """

    def forget(self, step: Sleep | Wake) -> None:
        """Let go of what is remembered of a step: it is over."""
