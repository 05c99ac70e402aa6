"""Laws of the simulator's migrations."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import HostUnreachableError, RefusedError, StepError
from simulator.clock import SimClock
from simulator.faults import Fault, FaultKind
from simulator.guests import SimGuest, Writes
from simulator.migration import JobResult
from simulator.network import SharedLink
from simulator.world import World
from tests.simulator.worlds import LINK_MIB_S, make_guest, make_host, make_world


def finish(world: World, clock: SimClock, guest: str, within_s: float = 1000.0) -> JobResult:
    """Let time pass until a guest's migration is over."""
    end_s = clock.monotonic_s() + within_s
    while (result := world.last_result(guest)) is None:
        assert clock.monotonic_s() < end_s, "the migration goes on"
        clock.advance(0.5)
    return result


@given(st.integers(64, 200_000), st.floats(1000, 40_000))
@settings(max_examples=50)
def test_an_idle_guest_takes_its_memory_over_the_bandwidth(memory_mib: int, mbit_s: float) -> None:
    """One pass, nothing to send again, and a tenth of a second beside it."""
    hosts = [make_host(name, 400_000, mbit_s=mbit_s) for name in "ab"]
    world, clock = make_world([make_guest("g", memory_mib=memory_mib)], hosts)
    world.start_migration("g", "a", "b")
    expected_s = memory_mib / (mbit_s * 1e6 / 8 / 2**20)
    clock.advance(expected_s + 1)
    result = world.last_result("g")
    assert result is not None
    assert result.ended_s - result.began_s == pytest.approx(expected_s, abs=0.25)
    assert result.mib == pytest.approx(memory_mib)
    assert world.location("g") == ("b",)


def test_a_small_hot_set_converges_however_fast_it_is_written() -> None:
    """100 MiB written at three times the link's rate still fit into the allowed downtime."""
    guest = make_guest("g", writes=Writes(hot_mib=100, hot_mib_s=3 * LINK_MIB_S))
    world, clock = make_world([guest])
    world.start_migration("g", "a", "b")
    result = finish(world, clock, "g", 30)
    assert (result.passes, result.error) == (2, "")
    assert 100 / LINK_MIB_S <= result.downtime_ms / 1000 <= 0.3 + 0.05


def test_a_guest_that_writes_faster_than_the_link_never_arrives_and_can_be_aborted() -> None:
    """It sends pass after pass; after the abort it runs where it was, and the target holds nothing."""
    guest = make_guest("g", writes=Writes(hot_mib=3000, hot_mib_s=4 * LINK_MIB_S))
    world, clock = make_world([guest])
    world.start_migration("g", "a", "b")
    clock.advance(600)
    assert world.last_result("g") is None
    assert world.migrations["g"].passes > 100
    world.abort_migration("g")
    result = world.last_result("g")
    assert result is not None
    assert result.error == "aborted"
    assert (world.location("g"), world.holdings["b"]) == (("a",), {})


def test_a_slow_writer_needs_several_passes_and_sends_more_than_its_memory() -> None:
    """Each pass is shorter than the one before, and what is sent is memory and what was dirtied meanwhile."""
    guest = make_guest("g", writes=Writes(cold_mib_s=0.7 * LINK_MIB_S), downtime_ms=50)
    world, clock = make_world([guest])
    world.start_migration("g", "a", "b")
    result = finish(world, clock, "g")
    assert 3 <= result.passes <= 15
    assert 4096 * 1.4 < result.mib < 4096 / (1 - 0.7)
    assert result.downtime_ms <= 50 + 20 + 1


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("abc"), st.floats(0, 3), st.none() | st.floats(50, 800)),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=40, deadline=None)
def test_links_never_carry_more_than_they_have_and_all_bytes_arrive(
    moves: list[tuple[str, str, float, float | None]],
) -> None:
    """Integrated rates equal what the jobs count, and at no moment is a link over its capacity."""
    ends = [(source, target, after_s, limit) for source, target, after_s, limit in moves if source != target]
    guests = [make_guest(f"g{i}", source, writes=Writes(10, 400, 1)) for i, (source, *_) in enumerate(ends)]
    world, clock = make_world(guests, links=[SharedLink("uplink", 6000, frozenset("a"))])
    carried = 0.0
    for number, (source, target, after_s, limit) in enumerate(ends):
        start_s = clock.monotonic_s() + after_s - 1e-6
        while clock.monotonic_s() < start_s:
            carried += tick(world, clock, start_s)
        world.start_migration(f"g{number}", source, target, limit)
    while world.migrations:
        carried += tick(world, clock)
    counted = world.tally().moved_mib
    assert carried == pytest.approx(counted, rel=1e-4)
    assert counted >= 4096 * len(ends)
    assert world.tally().moves_done == len(ends)


def tick(world: World, clock: SimClock, most_s: float = 1e9) -> float:
    """Let time pass up to the next event; return the MiB that crossed, having checked every link."""
    with world.present() as now_s:
        rates = {guest: one.rate_mib_s for guest, one in world.migrations.items()}
        for link, capacity in world.network.capacity_mib_s.items():
            on_it = sum(rates[guest] for guest, one in world.migrations.items() if link in one.links)
            assert on_it <= capacity * (1 + 1e-9)
        clock.advance_to(min(most_s, world.next_event_s()) + 1e-6)
    return sum(rates.values()) * (clock.monotonic_s() - now_s)


def test_two_leaving_one_host_share_its_link_and_the_second_speeds_up_when_the_first_is_done() -> None:
    """Half the link each, so twice the time; the longer one has it alone in the end."""
    guests: list[SimGuest] = [make_guest("small", memory_mib=2048), make_guest("large", memory_mib=8192)]
    world, clock = make_world(guests)
    world.start_migration("small", "a", "b")
    world.start_migration("large", "a", "c")
    small, large = finish(world, clock, "small"), finish(world, clock, "large")
    assert small.ended_s == pytest.approx(2 * 2048 / LINK_MIB_S, abs=0.2)
    assert large.ended_s == pytest.approx((2048 + 8192) / LINK_MIB_S, abs=0.2)


def test_a_changed_cap_takes_effect_in_mid_flight() -> None:
    """A quarter of the link from the middle on."""
    world, clock = make_world([make_guest("g", memory_mib=12000)])
    world.start_migration("g", "a", "b")
    clock.advance(0.1 + 6000 / LINK_MIB_S)
    world.set_migration_limit("g", LINK_MIB_S / 4)
    assert finish(world, clock, "g").ended_s == pytest.approx(0.1 + (6000 + 4 * 6000) / LINK_MIB_S, abs=0.1)


@given(st.lists(st.floats(0.001, 7), max_size=30))
@settings(max_examples=30, deadline=None)
def test_how_often_one_looks_changes_nothing(pauses: list[float]) -> None:
    """Ten small steps end exactly as one large one: same events at the same times, same figures."""

    def history(steps: list[float]) -> tuple[object, ...]:
        faults = [Fault(3, FaultKind.DIRTY_STORM, guest="g"), Fault(9.5, FaultKind.LINK_CHANGES, "a", mbit_s=2000)]
        guests = [make_guest("g", writes=Writes(100, 400, 50)), make_guest("h", memory_mib=9000)]
        world, clock = make_world(guests, faults=faults)
        world.start_migration("g", "a", "b")
        world.start_migration("h", "a", "c")
        for step in steps:
            clock.advance(step)
            world.snapshot()
        clock.advance_to(300)
        return (world.snapshot(), world.take_events(), world.tally(), world.last_result("g"))

    assert history(pauses) == history([])


def test_what_libvirt_would_refuse_is_refused() -> None:
    """A guest that is not there, is under way already, or hangs; a host that does not answer. Nothing has begun."""
    world, _ = make_world([make_guest("g"), make_guest("h"), make_guest("i")])
    with pytest.raises(RefusedError, match="does not run on b"):
        world.start_migration("g", "b", "c")
    world.start_migration("g", "a", "b")
    with pytest.raises(RefusedError, match="already under way"):
        world.start_migration("g", "a", "c")
    world.inject(Fault(0, FaultKind.MONITOR_HANGS, guest="h"))
    with pytest.raises(StepError, match="monitor"):
        world.start_migration("h", "a", "b")
    world.inject(Fault(0, FaultKind.HOST_SILENT, "c"))
    with pytest.raises(HostUnreachableError, match="host c"):
        world.start_migration("i", "a", "c")
    assert list(world.migrations) == ["g"]
