"""What collectors say of one host: a report with its origin, so that an older never replaces a newer. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cluster.guest import Guest
from cluster.host import Host


@dataclass(frozen=True, slots=True)
class HostUsage:
    """Measured use of a whole host. `None`: this kernel or collector does not say.

    `memory_available_mib` is what the kernel could give out (cache is not used memory). Pressure (PSI) is the share of
    the last 10 s in which some task waited. `watts` is the draw of the whole machine as a meter of its own shows it,
    `package_watts` that of its CPU packages and their memory alone (RAPL).
    """

    cpu_millicores: int | None = None
    steal_millicores: int | None = None
    memory_available_mib: int | None = None
    net_mbit_s: float | None = None
    disk_mib_s: float | None = None
    load_1min: float | None = None
    cpu_pressure_ratio: float | None = None
    memory_pressure_ratio: float | None = None
    io_pressure_ratio: float | None = None
    watts: float | None = None
    package_watts: float | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What a collector saw of one host at `taken_at`: the host's own facts, its use, its active guests, and warnings.

    Capacities and guests come from reality; what only the operator knows (domains, labels, power) is merged later.
    `inactive` lists ids of guests defined but not running there, so that `status` can show them. `kill_switch`: the
    file that stops Trimtab is there on that host.
    """

    taken_at: datetime
    host: Host
    usage: HostUsage
    guests: tuple[Guest, ...]
    inactive: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    kill_switch: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """An observation with its origin: across agents ordered by `agent_start`, within one agent's life by `sequence`."""

    boot_id: str
    agent_start: datetime
    sequence: int
    observation: Observation

    @property
    def host(self) -> str:
        """Id of the host reported."""
        return self.observation.host.id

    @property
    def order(self) -> tuple[datetime, int]:
        """Sort key: a report replaces another only when its key is greater; a restarted agent starts later."""
        return (self.agent_start, self.sequence)
