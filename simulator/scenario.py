"""A scenario: a pretend cluster, settings, faults and operators' commands on a timetable. Pure data.

Times are seconds from the start; guests are named by name, which is their id too. `scenario_file` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from cluster.clock import Clock
from cluster.config.settings import Settings, SimulatorSettings
from cluster.formats.cluster_file import load_cluster
from cluster.guest import Guest, MigrationPolicy, Usage
from cluster.host import Host, PowerModel, Reserved
from cluster.rules import Rule
from simulator.build import demo_settings_hosts, demo_world, world_from_snapshot
from simulator.faults import Fault
from simulator.guests import ChangingLoad, Load, SimGuest, SquareLoad, SteadyLoad, Writes
from simulator.network import SharedLink
from simulator.world import World

VERBS = (
    *("pause", "resume", "drain", "undrain", "fail", "unfail", "sleep", "wake", "abort"),
    *("crash", "kill_switch", "migrate"),
)
"""What a person does in a scenario: verbs of the command line, or `crash`, `kill_switch` (argument on or off) and
`migrate` (argument guest and target host), which asks the hosts without Trimtab.
"""


@dataclass(frozen=True, slots=True)
class HostSpec:
    """Hosts that are alike: `ids` are theirs."""

    ids: tuple[str, ...]
    cores: int
    memory_gib: int
    link_mbit_s: float = 10000.0
    domains: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    power: PowerModel = PowerModel()


@dataclass(frozen=True, slots=True)
class GuestSpec:
    """Guests that are alike: `name` alone, or `name`-1 to `name`-`count`.

    CPU is `cpu_millicores`, changing by up to `noise_ratio`; with `high_millicores` it flaps between the two, each half
    of `period_s`.
    """

    name: str
    host: str
    memory_gib: int
    cpu_millicores: int
    count: int = 1
    vcpus: int = 2
    in_use_ratio: float = 0.75
    noise_ratio: float = 0.0
    high_millicores: int | None = None
    period_s: float = 600.0
    hot_mib: float = 0.0
    hot_mib_s: float = 0.0
    cold_mib_s: float = 0.0
    max_downtime_ms: int = 300
    movable: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timed:
    """Something a person does at a time; `verb` is one of `VERBS`."""

    at_s: float
    verb: str
    argument: str = ""


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """A link shared by all that passes between `hosts` and the others."""

    name: str
    mbit_s: float
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What `scenario.toml` says. The cluster is `hosts` and `guests`, or invented (`demo`), or in `cluster_file`.

    `sample_s` is how often the world looks at loads; a long scenario needs no look each second. `trace` is a file of
    recorded loads in the folder: guests named in it follow it from its beginning on, and what it comes to is counted.
    """

    duration_s: float
    start: datetime = datetime(2026, 11, 23, 10, tzinfo=UTC)
    seed: int = 1
    sample_s: float = 1.0
    hosts: tuple[HostSpec, ...] = ()
    guests: tuple[GuestSpec, ...] = ()
    links: tuple[LinkSpec, ...] = ()
    rules: tuple[Rule, ...] = ()
    faults: tuple[Fault, ...] = ()
    commands: tuple[Timed, ...] = ()
    demo: SimulatorSettings | None = None
    cluster_file: str = ""
    trace: str = ""
    settings: Settings = Settings()
    folder: Path = Path()

    def world(self, clock: Clock) -> World:
        """Return the pretend cluster at its start."""
        if self.demo is not None:
            return demo_world(self.demo, clock, faults=self.faults, sample_s=self.sample_s)
        if self.cluster_file:
            snapshot = load_cluster(self.folder / self.cluster_file)
            return world_from_snapshot(snapshot, clock, self.seed, faults=self.faults, sample_s=self.sample_s)
        hosts = [host for spec in self.hosts for host in _hosts(spec)]
        guests = [guest for spec in self.guests for guest in _guests(spec, self.seed)]
        links = [SharedLink(link.name, link.mbit_s, frozenset(link.hosts)) for link in self.links]
        if not self.trace:
            return World(
                hosts, guests, clock, self.rules, faults=self.faults, shared_links=links, sample_s=self.sample_s
            )
        # Late: numpy takes a while to load.
        from simulator.accounting import AccountLedger
        from simulator.following import follow
        from simulator.published_accounting import PublishedLedger

        return World(
            hosts,
            follow(guests, self.folder / self.trace),
            clock,
            self.rules,
            faults=self.faults,
            shared_links=links,
            load_start_s=0.0,
            sample_s=self.sample_s,
            ledgers=(AccountLedger(), PublishedLedger()),
        )

    def settings_for(self, world: World) -> Settings:
        """Return the settings with the hosts and rules of the world, as its operator would have written them."""
        return replace(self.settings, hosts=demo_settings_hosts(world), rules=world.rules)


def _hosts(spec: HostSpec) -> list[Host]:
    return [
        Host(
            id=one,
            cpu_millicores=spec.cores * 1000,
            memory_mib=spec.memory_gib * 1024,
            reserved=Reserved(),
            migration_mbit_s=spec.link_mbit_s,
            domains=spec.domains,
            labels=spec.labels,
            power=spec.power,
        )
        for one in spec.ids
    ]


def guest_names(spec: GuestSpec) -> list[str]:
    """Return the names of the guests that a spec stands for."""
    return [spec.name] if spec.count == 1 else [f"{spec.name}-{number}" for number in range(1, spec.count + 1)]


def _guests(spec: GuestSpec, seed: int) -> list[SimGuest]:
    memory_mib = spec.memory_gib * 1024
    guests: list[SimGuest] = []
    for name in guest_names(spec):
        facts = Guest(
            id=name,
            host=spec.host,
            name=name,
            vcpus=spec.vcpus,
            memory_mib=memory_mib,
            usage=Usage(None, memory_mib=round(memory_mib * spec.in_use_ratio)),
            movable=spec.movable,
            why_not=None if spec.movable else "fixed by the scenario",
            labels=spec.labels,
            migration=MigrationPolicy(max_downtime_ms=spec.max_downtime_ms),
        )
        writes = Writes(spec.hot_mib, spec.hot_mib_s, spec.cold_mib_s)
        guests.append(SimGuest(facts, _load(spec, seed + len(guests)), writes))
    return guests


def _load(spec: GuestSpec, seed: int) -> Load:
    if spec.high_millicores is not None:
        return SquareLoad(spec.cpu_millicores, spec.high_millicores, spec.period_s)
    if spec.noise_ratio > 0:
        seed += sum(ord(char) << (8 * (i % 5)) for i, char in enumerate(spec.name))
        return ChangingLoad(spec.cpu_millicores, spec.vcpus * 1000.0, seed, noise_ratio=spec.noise_ratio)
    return SteadyLoad(spec.cpu_millicores)
