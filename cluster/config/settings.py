"""The effective configuration: one frozen dataclass per section of the TOML file, holding every default.

`loader.py` fills these from a file and `--set`, checks ranges and remembers where each value came from. The docstring
line of each section and the comment of each key are what `config/trimtab.toml` documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import time
from enum import StrEnum

from cluster.config.consolidate import ConsolidateSettings as ConsolidateSettings
from cluster.config.consolidate import Depth
from cluster.config.energy import EnergySettings, PriceSettings
from cluster.config.power import BmcSettings, PowerSettings
from cluster.guest import Compression, LocalDisks
from cluster.host import PowerModel
from cluster.limits import Limits
from cluster.plan import EVACUATE
from cluster.rules import Rule, Selector


class Mode(StrEnum):
    """What the daemon may do. The most cautious of the cluster's and both hosts' modes counts."""

    OBSERVE = "observe"
    ADVISE = "advise"
    ACT = "act"


class WindowKind(StrEnum):
    """What a time window allows or forbids. A blackout wins over everything."""

    ACT = "act"
    BLACKOUT = "blackout"
    NIGHT = "night"


class CollectSource(StrEnum):
    """Where reports come from: agents push them, the daemon asks each host's libvirt, a simulation, a recording."""

    AGENTS = "agents"
    LIBVIRT = "libvirt"
    SIMULATED = "simulated"
    RECORDED = "recorded"


class HostLoad(StrEnum):
    """What a host's own load is taken from: the whole machine, or the sum of its guests."""

    SYSTEM = "system"
    GUESTS = "guests"


class BudgetScope(StrEnum):
    """What a bandwidth budget is for: what leaves a host, what comes to one, a named link, all of the cluster."""

    HOST_OUT = "host_out"
    HOST_IN = "host_in"
    LINK = "link"
    CLUSTER = "cluster"


class Encryption(StrEnum):
    """Whether migrations are encrypted."""

    REQUIRED = "required"
    PREFER = "prefer"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """The loop: what it may do, how often, and with which policy."""

    mode: Mode = Mode.OBSERVE
    policy: str = "balance"
    level: int = 3
    interval_s: float = 60.0
    time_limit_s: float = 5.0
    work_limit: float | None = None
    workers: int = 2
    engine: str = "local"
    seed: int = 1
    plan_expires_s: float = 900.0
    lease_s: float = 15.0


@dataclass(frozen=True, slots=True)
class GateSettings:
    """What must hold before the daemon acts by itself."""

    quiet_start_s: float = 600.0
    max_moves: int = 20
    least_gain_ratio: float = 0.05
    guest_cooldown_s: float = 1800.0
    manual_move_cooldown_s: float = 14400.0
    cluster_cooldown_s: float = 0.0
    stale_hosts_ratio: float = 0.2
    quiet_within_s: float = 0.0
    regret_after_s: float = 300.0
    regret_least_ratio: float = 0.25
    regret_limit: int = 5
    kill_switch: str = "/etc/trimtab/stop"


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where reports, history and journal are kept."""

    url: str = "embedded:"
    user: str = ""
    password_file: str = ""
    ca_file: str = ""
    directory: str = "/var/lib/trimtab"
    timeout_s: float = 3.0


@dataclass(frozen=True, slots=True)
class CollectSettings:
    """How hosts are measured."""

    source: CollectSource = CollectSource.AGENTS
    interval_s: float = 10.0
    jitter_ratio: float = 0.1
    deadline_s: float = 5.0
    stale_s: float = 90.0
    report_ttl_s: float = 3600.0
    smoothing_s: float = 60.0
    host_load: HostLoad = HostLoad.SYSTEM
    dirty_rate_every_s: float = 1800.0
    dirty_rate_period_s: float = 1.0
    recording: str = ""


@dataclass(frozen=True, slots=True)
class MigrationSettings:
    """How guests are moved, and how many at once."""

    mbit_s: float | None = None
    out_per_host: int = 1
    in_per_host: int = 1
    per_cluster: int = 4
    urgent_out_per_host: int = 4
    urgent_in_per_host: int = 2
    urgent_per_cluster: int = 8
    cpu_overhead_millicores: int = 1000
    least_mib_s: int = 8
    timeout_s: float = 1800.0
    estimate_mbit_s: float = 10000.0
    estimate_dirty_mib_s: float = 50.0
    least_converges: float = 0.5
    encryption: Encryption = Encryption.PREFER
    compression: Compression = Compression.NONE
    parallel_connections: int = 1
    auto_converge: bool = True
    postcopy: bool = True
    downtime_steps: int = 3
    local_disks: LocalDisks = LocalDisks.STAY

    def for_policy(self, policy: str) -> MigrationSettings:
        """Return the settings that a plan of a policy runs under: evacuating a failing host is urgent."""
        if policy != EVACUATE:
            return self
        return replace(
            self,
            out_per_host=max(self.out_per_host, self.urgent_out_per_host),
            in_per_host=max(self.in_per_host, self.urgent_in_per_host),
            per_cluster=max(self.per_cluster, self.urgent_per_cluster),
            cpu_overhead_millicores=0,
        )


@dataclass(frozen=True, slots=True)
class RateSettings:
    """How many migrations may begin within a time, over all plans and schedulers. `None`: not limited."""

    guest_per_day: int | None = None
    host_out_per_hour: int | None = None
    host_in_per_hour: int | None = None
    cluster_per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class GuestSettings:
    """What is assumed of guests where nothing measured is at hand."""

    overhead_mib: int = 256


@dataclass(frozen=True, slots=True)
class ReserveSettings:
    """What every host keeps for itself unless its own entry says otherwise: the larger of both memory figures."""

    cpu_millicores: int = 0
    memory_mib: int = 4096
    memory_ratio: float = 0.03


@dataclass(frozen=True, slots=True)
class HostSettings:
    """One `[[hosts]]` entry. `None`: take what is measured, or the cluster's default."""

    id: str
    uri: str = ""
    migration_address: str = ""
    migration_tls: bool | None = None
    migration_mbit_s: float | None = None
    cpu_millicores: int | None = None
    memory_mib: int | None = None
    net_mbit_s: float | None = None
    disk_mib_s: float | None = None
    mode: Mode = Mode.ACT
    reserved_cpu_millicores: int | None = None
    reserved_memory_mib: int | None = None
    domains: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    storage: tuple[str, ...] | None = None
    power: PowerModel = PowerModel()
    bmc: BmcSettings | None = None


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """One `[[windows]]` entry: days (0 Monday), from and to (may pass midnight), in a time zone.

    Of a night window: how deep it goes, and by when all hosts are awake again (`None`: by its end).
    """

    kind: WindowKind
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    start: time = time(0, 0)
    end: time = time(0, 0)
    time_zone: str = "UTC"
    depth: Depth = Depth.BALANCED
    awake_by: time | None = None


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """One `[[groups]]` entry: guests of which at most so many are under way at once."""

    name: str
    guests: Selector
    in_flight: int = 1


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """One `[[links]]` entry: a link that carries what passes between the hosts behind it and all others."""

    name: str
    mbit_s: float
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """One `[[budgets]]` entry: the most that all migrations together may take of what the scope and name say.

    `name` is a host's id or a link's name; empty: each one. With days or times it counts only while they say so.
    """

    scope: BudgetScope
    mbit_s: float
    name: str = ""
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    start: time = time(0, 0)
    end: time = time(0, 0)
    time_zone: str = "UTC"

    @property
    def has_window(self) -> bool:
        """Whether it counts at some times only."""
        return len(self.days) < 7 or self.start != self.end


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """The simulated cluster that `collect.source = "simulated"` watches and moves."""

    hosts: int = 12
    guests: int = 120
    seed: int = 1
    skew: float = 0.7
    drift_ratio: float = 0.1
    link_mbit_s: float = 10000.0
    cluster_file: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration."""

    scheduler: SchedulerSettings = SchedulerSettings()
    gate: GateSettings = GateSettings()
    store: StoreSettings = StoreSettings()
    collect: CollectSettings = CollectSettings()
    limits: Limits = Limits()
    migration: MigrationSettings = MigrationSettings()
    rates: RateSettings = RateSettings()
    consolidate: ConsolidateSettings = ConsolidateSettings()
    energy: EnergySettings = EnergySettings()
    power: PowerSettings = PowerSettings()
    guests: GuestSettings = GuestSettings()
    reserve: ReserveSettings = ReserveSettings()
    simulator: SimulatorSettings = SimulatorSettings()
    hosts: tuple[HostSettings, ...] = ()
    windows: tuple[WindowSettings, ...] = ()
    links: tuple[LinkSettings, ...] = ()
    budgets: tuple[BudgetSettings, ...] = ()
    prices: tuple[PriceSettings, ...] = ()
    groups: tuple[GroupSettings, ...] = ()
    rules: tuple[Rule, ...] = ()
