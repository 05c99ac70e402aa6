"""The invented cluster is what the demonstration promises, and snapshots come to life as they are."""

from __future__ import annotations

from statistics import pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.config.settings import SimulatorSettings
from cluster.limits import Limits, Resource, demand, limit, room
from cluster.snapshot import Snapshot
from simulator.build import demo_settings_hosts, demo_world, world_from_snapshot
from simulator.clock import SimClock
from simulator.world import World
from tests.simulator.worlds import START


def demo(seed: int = 1, hosts: int = 12, guests: int = 120) -> tuple[World, SimClock]:
    """The invented cluster on a virtual clock."""
    clock = SimClock(START)
    return demo_world(SimulatorSettings(hosts=hosts, guests=guests, seed=seed), clock), clock


def ratios(snapshot: Snapshot, resource: Resource) -> list[float]:
    """How full each host is, of its room."""
    return [
        sum(demand(guest, resource) for guest in snapshot.guests_by_host[host.id]) / (room(host, resource) or 1)
        for host in snapshot.hosts
    ]


@pytest.mark.parametrize("seed", [1, 2, 3, 7, 42])
def test_the_demo_starts_skewed_yet_within_capacity_and_with_rules_kept(seed: int) -> None:
    """A wide spread of CPU and memory, no host over its memory, and room to level it all out."""
    world, clock = demo(seed)
    snapshot = world.snapshot()
    assert (len(snapshot.hosts), len(snapshot.guests), len(snapshot.rules)) == (12, 120, 4)
    assert len({host.cpu_millicores for host in snapshot.hosts}) == 3
    assert {host.domains["rack"] for host in snapshot.hosts} == {"r1", "r2", "r3"}
    for resource, least in ((Resource.CPU, 0.15), (Resource.MEMORY, 0.1)):
        assert pstdev(ratios(snapshot, resource)) > least
        assert max(ratios(snapshot, resource)) <= 0.95
        assert sum(ratios(snapshot, resource)) / 12 < 0.6
    clock.advance(60)
    assert world.violations() == ()


def test_the_demo_moves_each_guest_in_a_few_seconds() -> None:
    """At 10 Gbit/s: about one to six seconds, so that a minute is enough to see it level out."""
    world, clock = demo()
    seconds = []
    target = world.snapshot().hosts[-1].id
    for guest in world.snapshot().guests:
        if guest.host != target:
            world.start_migration(guest.id, guest.host, target)
            clock.advance(30)
            result = world.last_result(guest.id)
            assert result is not None
            assert result.error == ""
            seconds.append(result.ended_s - result.began_s)
    assert min(seconds) > 0.8
    assert max(seconds) < 8
    assert sum(seconds) / len(seconds) < 4


@given(st.integers(0, 2**31), st.integers(1, 20), st.integers(0, 60))
@settings(max_examples=25, deadline=None)
def test_the_same_seed_gives_the_same_world(seed: int, hosts: int, guests: int) -> None:
    """At the start and a while later, for any size that fits."""
    guests = min(guests, hosts * 6)
    (one, clock), (other, other_clock) = demo(seed, hosts, guests), demo(seed, hosts, guests)
    clock.advance(100)
    other_clock.advance(40)
    other.snapshot()
    other_clock.advance(60)
    assert one.snapshot() == other.snapshot()


def test_settings_of_the_demo_name_all_hosts_as_an_operator_would() -> None:
    """Domains, power and reserves are those of the world."""
    world, _ = demo()
    for host, entry in zip(world.snapshot().hosts, demo_settings_hosts(world), strict=True):
        assert (entry.id, entry.domains, entry.power) == (host.id, host.domains, host.power)
        assert entry.reserved_memory_mib == host.reserved.memory_mib


def test_too_many_guests_are_refused() -> None:
    """An invented cluster that cannot hold its guests is an error, not an overfull one."""
    with pytest.raises(ValueError, match="do not fit"):
        demo(hosts=2, guests=200)


def test_a_snapshot_comes_to_life_as_it_is() -> None:
    """Same hosts, guests, places and rules; without drift the same CPU use, and about the same dirty rate."""
    original = demo()[0].snapshot()
    world = world_from_snapshot(original, SimClock(START))
    alive = world.snapshot()
    assert alive.rules == original.rules
    assert [host.id for host in alive.hosts] == [host.id for host in original.hosts]
    for guest in alive.guests:
        before = original.guest_by_id[guest.id]
        assert (guest.host, guest.usage, guest.memory_mib) == (before.host, before.usage, before.memory_mib)
        assert guest.dirty.mib_s == pytest.approx(before.dirty.mib_s, rel=0.15)
    assert limit(alive.hosts[0], Resource.CPU, Limits()) == limit(original.hosts[0], Resource.CPU, Limits())
