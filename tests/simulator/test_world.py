"""What the pretend cluster's witness sees, and that faults do what they say."""

from __future__ import annotations

import pytest

from cluster.errors import HostUnreachableError
from cluster.host import PowerState
from cluster.rules import Affinity, AntiAffinity, Forbid, Near, Pin, Rule, Selector, Spread
from simulator.clock import SimClock
from simulator.collector import SimCollector
from simulator.faults import SOURCE, TARGET, Fault, FaultKind
from simulator.guests import SquareLoad, SteadyLoad, Writes
from simulator.watcher import ViolationKind
from simulator.world import World
from tests.simulator.worlds import make_guest, make_host, make_world


def kinds(world: World) -> list[ViolationKind]:
    """Kinds of the violations recorded."""
    return [one.kind for one in world.violations()]


def migrate(world: World, clock: SimClock, guest: str, source: str, target: str) -> None:
    """Move a guest and wait."""
    world.start_migration(guest, source, target)
    clock.advance(60)


# -- the witness -------------------------------------------------------------------------------------------------------


def test_a_guest_running_twice_is_seen_once() -> None:
    """Started by hand on a second host, it is a violation when it begins, and not again while it lasts."""
    world, clock = make_world([make_guest("g")])
    world.inject(Fault(0, FaultKind.GUEST_STARTS, "b", "g"))
    clock.advance(100)
    assert kinds(world) == [ViolationKind.RUNS_TWICE]
    assert set(world.location("g")) == {"a", "b"}


def test_memory_over_capacity_is_seen_while_a_guest_is_still_arriving() -> None:
    """Both ends hold it; the one that is too small is named."""
    world, _ = make_world(
        [make_guest("g", memory_mib=4096), make_guest("h", "b", memory_mib=6000)],
        [make_host("a"), make_host("b", 8192)],
    )
    world.start_migration("g", "a", "b")
    assert [(one.kind, one.subject) for one in world.violations()] == [(ViolationKind.MEMORY_OVER, "b")]


def test_a_host_over_its_memory_from_the_start_may_get_better_but_not_worse() -> None:
    """What was there before is nobody's doing."""
    hosts = [make_host("a", 8192), make_host("b")]
    guests = [make_guest(name, memory_mib=5000) for name in ("g", "h")] + [make_guest("i", "b", 6000)]
    world, clock = make_world(guests, hosts)
    migrate(world, clock, "g", "a", "b")
    assert kinds(world) == []
    migrate(world, clock, "i", "b", "a")
    assert kinds(world) == [ViolationKind.MEMORY_OVER]


BOTH = Selector(labels={"app": "x"})


@pytest.mark.parametrize(
    ("rule", "places", "breaking", "harmless"),
    [
        (AntiAffinity(name="r", guests=BOTH), "ab", ("y", "b", "a"), ("y", "b", "c")),
        (Spread(name="r", guests=BOTH, domain="rack", at_least=2), "ac", ("y", "c", "b"), ("x", "a", "b")),
        (Pin(name="r", guests=BOTH, hosts=Selector(ids=("a", "b"))), "ab", ("x", "a", "c"), ("x", "a", "b")),
        (Forbid(name="r", guests=BOTH, hosts=Selector(ids=("c",))), "ab", ("x", "a", "c"), ("x", "a", "b")),
    ],
)
def test_a_newly_broken_rule_is_seen_and_a_kept_one_is_not(
    rule: Rule, places: str, breaking: tuple[str, str, str], harmless: tuple[str, str, str]
) -> None:
    """Hosts a and b are in one rack, c in another."""
    hosts = [make_host("a"), make_host("b"), make_host("c", rack="r2")]
    for way, expected in ((breaking, [ViolationKind.RULE_BROKEN]), (harmless, [])):
        guests = [make_guest(name, host, labels={"app": "x"}) for name, host in zip("xy", places, strict=True)]
        world, clock = make_world(guests, hosts, rules=[rule])
        migrate(world, clock, *way)
        assert kinds(world) == expected


@pytest.mark.parametrize(
    "rule",
    [
        Affinity(name="r", guests=BOTH),
        Near(name="r", guests=Selector(ids=("x",)), to=Selector(ids=("y",))),
    ],
)
def test_what_belongs_together_may_be_apart_while_it_moves_but_not_for_long(rule: Rule) -> None:
    """One after the other is fine; one alone is not."""
    for moved, expected in (("xy", []), ("x", [ViolationKind.RULE_BROKEN])):
        world, clock = make_world([make_guest(name, labels={"app": "x"}) for name in "xy"], rules=[rule])
        for name in moved:
            migrate(world, clock, name, "a", "b")
        clock.advance(300)
        assert kinds(world) == expected


def test_overload_is_accounted_while_it_lasts() -> None:
    """Two cores wanted beyond sixteen, half of the time."""
    hosts = [make_host("a", cores=4)]
    guests = [make_guest("g", load=SquareLoad(1000, 3000, 100)), make_guest("h", load=SteadyLoad(3000))]
    world, clock = make_world(guests, hosts)
    clock.advance(1000)
    tally = world.tally()
    assert tally.overload_s["a"] == pytest.approx(500, abs=10)
    assert tally.unserved_core_s == pytest.approx(2 * 500, abs=20)
    assert tally.highest_cpu_ratio == 1.5


def test_concurrent_migrations_are_counted_at_their_most() -> None:
    """Two out of a, two into b, three at once."""
    world, clock = make_world([make_guest("g"), make_guest("h"), make_guest("i", "c")])
    for guest, source, target in (("g", "a", "b"), ("h", "a", "c"), ("i", "c", "b")):
        world.start_migration(guest, source, target)
    clock.advance(60)
    tally = world.tally()
    assert (tally.most_at_once, tally.most_out_of["a"], tally.most_into["b"], tally.moves_done) == (3, 2, 2, 3)


# -- faults ------------------------------------------------------------------------------------------------------------


def test_a_lost_host_takes_its_guests_with_it_and_that_is_no_violation() -> None:
    """It answers nobody; back again it is empty."""
    world, clock = make_world([make_guest("g"), make_guest("h", "b")], faults=[Fault(10, FaultKind.HOST_LOST, "a")])
    clock.advance(11)
    assert (world.location("g"), world.location("h"), kinds(world)) == ((), ("b",), [])
    with pytest.raises(HostUnreachableError):
        world.observe("a")
    world.inject(Fault(0, FaultKind.HOST_BACK, "a"))
    assert world.observe("a").guests == ()


def test_a_silent_host_runs_on_and_its_migrations_arrive() -> None:
    """Only nobody can look at it."""
    world, clock = make_world([make_guest("g")], faults=[Fault(1, FaultKind.HOST_SILENT, "a")])
    world.start_migration("g", "a", "b")
    clock.advance(60)
    with pytest.raises(HostUnreachableError):
        world.observe("a")
    assert world.location("g") == ("b",)


@pytest.mark.parametrize(
    ("fault", "where"),
    [
        (Fault(0, FaultKind.MIGRATION_FAILS, ratio=0.5), ("a",)),
        (Fault(0, FaultKind.TARGET_DIES, ratio=0.5), ("a",)),
        (Fault(0, FaultKind.SOURCE_DIES, ratio=0.5), ()),
        (Fault(0, FaultKind.HOST_LOST, SOURCE, ratio=0.5), ()),
        (Fault(0, FaultKind.HOST_LOST, TARGET, ratio=0.5), ("a",)),
        (Fault(0, FaultKind.HOST_SILENT, SOURCE, ratio=0.5), ("b",)),
    ],
)
def test_a_fault_in_mid_migration_happens_at_its_share_of_the_memory(fault: Fault, where: tuple[str, ...]) -> None:
    """Half of the memory is sent, then it strikes; the guest ends up in one place or, its host dead, in none."""
    world, clock = make_world([make_guest("g")], faults=[fault])
    clock.advance(5)
    world.start_migration("g", "a", "b")
    clock.advance(60)
    result = world.last_result("g")
    assert result is not None
    assert world.location("g") == where
    if where != ("b",):
        assert result.mib == pytest.approx(2048, rel=1e-6)
        assert world.holdings["b"] == {}
    assert kinds(world) == []


def test_a_hung_monitor_hides_its_guests_figures_and_no_others() -> None:
    """Its CPU is still counted by the host; it is not movable, and said so."""
    world, _ = make_world([make_guest("g"), make_guest("h")], faults=[Fault(0, FaultKind.MONITOR_HANGS, guest="g")])
    seen = world.observe("a")
    hung, other = seen.guests
    assert (hung.movable, hung.usage.memory_mib, hung.usage.cpu_millicores) == (False, None, 500)
    assert (other.movable, other.usage.memory_mib) == (True, 4096)
    assert len(seen.warnings) == 1


def test_a_stopped_agent_repeats_its_last_report_and_the_host_answers() -> None:
    """Its figures grow old; migrations still work."""
    world, clock = make_world([make_guest("g")], faults=[Fault(10, FaultKind.AGENT_STOPS, "a")])
    clock.advance(500)
    assert (clock.now() - world.observe("a").taken_at).total_seconds() == 490
    migrate(world, clock, "g", "a", "b")
    assert world.location("g") == ("b",)
    assert [guest.id for guest in world.observe("a").guests] == ["g"]
    world.inject(Fault(0, FaultKind.AGENT_BACK, "a"))
    assert world.observe("a").guests == ()


def test_a_dirty_storm_keeps_a_migration_from_ending() -> None:
    """It arrives when the storm is over."""
    guest = make_guest("g", writes=Writes(hot_mib=2000, hot_mib_s=100))
    storm = Fault(1, FaultKind.DIRTY_STORM, guest="g", factor=50, duration_s=120)
    world, clock = make_world([guest], faults=[storm])
    world.start_migration("g", "a", "b")
    clock.advance(110)
    assert world.location("g") == ("a",)
    clock.advance(30)
    assert world.location("g") == ("b",)


# -- power -------------------------------------------------------------------------------------------------------------


def test_sleep_and_wake_take_their_time_and_are_seen() -> None:
    """On, neither, asleep, waking, on; asleep it draws little."""
    world, clock = make_world([make_guest("g")])
    seen = []
    world.sleep_host("b")
    for wait_s in (5, 10, 0, 55, 10):
        if wait_s == 0:
            world.wake_host("b")
        clock.advance(wait_s)
        seen.append(world.observe("b").host.power.state)
    assert seen == [PowerState.UNKNOWN, PowerState.ASLEEP, PowerState.WAKING, PowerState.WAKING, PowerState.ON]


def test_energy_is_what_the_states_draw() -> None:
    """An idle hour at 100 W against an hour asleep at 5 W."""
    world, clock = make_world([make_guest("g")])
    world.sleep_host("b")
    clock.advance(10)
    before = world.joules()
    clock.advance(3600)
    spent = {host: joules - before[host] for host, joules in world.joules().items()}
    assert spent["c"] == pytest.approx(3600 * 100, rel=0.01)
    assert spent["b"] == pytest.approx(3600 * 5, rel=0.01)


def test_a_host_put_to_sleep_with_a_guest_on_it_is_a_lost_guest() -> None:
    """The world does as it is told and the witness says so."""
    world, clock = make_world([make_guest("g")])
    world.sleep_host("a")
    clock.advance(20)
    assert kinds(world) == [ViolationKind.GUEST_LOST]
    assert world.location("g") == ()


def test_a_failed_wake_leaves_the_host_asleep_and_the_next_one_works() -> None:
    """One failure was injected."""
    world, clock = make_world([make_guest("g")], faults=[Fault(0, FaultKind.WAKE_FAILS, "b")])
    world.sleep_host("b")
    clock.advance(20)
    for expected in (PowerState.ASLEEP, PowerState.ON):
        world.wake_host("b")
        clock.advance(70)
        assert world.observe("b").host.power.state is expected


def test_faults_that_make_no_sense_are_refused() -> None:
    """A power cut needs a host, a failing migration a share, an end of a migration too."""
    for bad in (
        {"kind": FaultKind.HOST_LOST},
        {"kind": FaultKind.MIGRATION_FAILS},
        {"kind": FaultKind.HOST_LOST, "host": SOURCE},
        {"kind": FaultKind.DIRTY_STORM},
    ):
        with pytest.raises(ValueError, match="fault"):
            Fault(0, **bad)


def test_the_collector_sees_delivered_cpu_and_pressure() -> None:
    """Eight cores wanted of four: half is delivered, and the rest shows as pressure."""
    hosts = [make_host("a", cores=4)]
    world, _ = make_world([make_guest(name, load=SteadyLoad(4000)) for name in "gh"], hosts)
    collector = SimCollector(world, "a")
    seen = collector.collect()
    assert (collector.host, seen.host.id) == ("a", "a")
    assert [guest.usage.cpu_millicores for guest in seen.guests] == [2000, 2000]
    assert (seen.usage.cpu_millicores, seen.usage.cpu_pressure_ratio) == (4000, 0.5)


def test_an_agent_that_stops_on_a_silent_host_changes_nothing() -> None:
    """Nothing can be read there anyway; the fault passes by."""
    faults = [
        Fault(5, FaultKind.HOST_SILENT, "a"),
        Fault(10, FaultKind.AGENT_STOPS, "a"),
        Fault(20, FaultKind.HOST_BACK, "a"),
    ]
    world, clock = make_world([make_guest("g")], faults=faults)
    clock.advance(30)
    assert (clock.now() - world.observe("a").taken_at).total_seconds() == 0
