"""Small pretend clusters for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from cluster.guest import Guest, MigrationPolicy, Usage
from cluster.host import Host, PowerModel
from cluster.plan import Estimate, Migrate
from cluster.rules import Rule
from simulator.clock import SimClock
from simulator.faults import Fault
from simulator.guests import Load, SimGuest, SteadyLoad, Writes
from simulator.network import MIB_S_PER_MBIT_S, SharedLink
from simulator.world import World

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
LINK_MBIT_S = 10000.0
LINK_MIB_S = LINK_MBIT_S * MIB_S_PER_MBIT_S


def make_host(
    name: str, memory_mib: int = 65536, cores: int = 16, rack: str = "r1", mbit_s: float = LINK_MBIT_S
) -> Host:
    """A host whose power can be controlled, asleep after 10 s and awake after 60 s."""
    power = PowerModel(controllable=True, watts=((0, 100), (1, 300)), sleep_watts=5, wake_s=60, sleep_s=10)
    return Host(name, cores * 1000, memory_mib, migration_mbit_s=mbit_s, domains={"rack": rack}, power=power)


def make_guest(
    name: str,
    host: str = "a",
    memory_mib: int = 4096,
    load: Load | None = None,
    writes: Writes | None = None,
    labels: Mapping[str, str] | None = None,
    downtime_ms: int = 300,
) -> SimGuest:
    """A guest that uses all of its memory, idle unless told otherwise."""
    facts = Guest(
        name,
        host,
        4,
        memory_mib,
        Usage(None, memory_mib=memory_mib),
        name=name,
        labels=labels or {},
        migration=MigrationPolicy(max_downtime_ms=downtime_ms),
    )
    return SimGuest(facts, load or SteadyLoad(500), writes or Writes())


def make_world(
    guests: Sequence[SimGuest],
    hosts: Sequence[Host] = (),
    *,
    rules: Sequence[Rule] = (),
    faults: Sequence[Fault] = (),
    links: Sequence[SharedLink] = (),
) -> tuple[World, SimClock]:
    """A world on a virtual clock; three equal hosts a, b, c unless told otherwise."""
    clock = SimClock(START)
    hosts = hosts or [make_host(name) for name in "abc"]
    return World(hosts, guests, clock, rules, faults=faults, shared_links=links), clock


def move(guest: str, source: str = "a", target: str = "b") -> Migrate:
    """A migration step."""
    return Migrate("s1", guest, source, target, "a test", Estimate(0, 0, 0, 1, 0))
