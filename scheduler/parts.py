"""What a loop is built of: the store, the eyes and the hands. Made by `wiring.py`, or by a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from cluster.store.protocol import Store
from executors.protocol import MigrationExecutor, PowerExecutor
from simulator.world import World


class Fleet(Protocol):
    """Collectors of all hosts, asked together."""

    def collect(self) -> Mapping[str, str]:
        """Report every host that answers to the store; return those that do not, each with the reason."""

    def close(self) -> None:
        """Let go of connections."""


class Closeable(Protocol):
    """Something to let go of at the end."""

    def close(self) -> None:
        """Let go."""


class Meters(Protocol):
    """Meters of whole machines that the leader reads itself."""

    def read(self, not_older_s: float) -> Mapping[str, float]:
        """Ask all; return the watts read within so many seconds, by host."""

    @property
    def troubles(self) -> Mapping[str, str]:
        """Why a meter said nothing when it was last asked, by host."""


class PowerEyes(Protocol):
    """Looks at the power of hosts that sleep or are silent."""

    def look(self) -> tuple[str, ...]:
        """Look, without waiting for anybody; return what is worth telling."""


@dataclass(frozen=True)
class Parts:
    """`fleet` is `None` where agents report, `power` where power cannot be controlled, `world` where hosts are real.

    `meters` is `None` where no host's draw is read from outside.
    """

    store: Store
    fleet: Fleet | None
    migrations: MigrationExecutor
    power: PowerExecutor | None
    world: World | None = None
    also_close: tuple[Closeable, ...] = ()
    meters: Meters | None = None
    power_eyes: PowerEyes | None = None

    def close(self) -> None:
        """Let go of everything, the store last."""
        if self.fleet is not None:
            self.fleet.close()
        for one in self.also_close:
            one.close()
        self.store.close()
