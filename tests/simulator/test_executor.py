"""Simulated executors: what they see, refuse and tell."""

from __future__ import annotations

import pytest

from cluster.errors import HostUnreachableError, RefusedError
from cluster.plan import Sleep, Wake
from executors.protocol import MigrationExecutor, PowerExecutor, Presence
from simulator.executor import SimMigrationExecutor, SimPowerExecutor
from simulator.faults import Fault, FaultKind
from simulator.guests import Writes
from tests.simulator.worlds import make_guest, make_world, move


def test_a_migration_is_seen_at_both_ends_and_told_when_done() -> None:
    """Leaving and arriving, then gone and running; figures come from the job."""
    world, clock = make_world([make_guest("g")])
    executor: MigrationExecutor = SimMigrationExecutor(world)
    step = move("g")
    assert (executor.look(step).source, executor.look(step).target) == (Presence.RUNNING, Presence.ABSENT)
    assert not executor.poll(step).running
    executor.start(step, 0)
    clock.advance(2)
    seen, progress = executor.look(step), executor.poll(step)
    assert (seen.source, seen.target, seen.elsewhere) == (Presence.LEAVING, Presence.ARRIVING, ())
    assert progress.running
    assert 0.4 < progress.ratio < 0.7
    clock.advance(10)
    seen, progress = executor.look(step), executor.poll(step)
    assert (seen.source, seen.target, seen.answering) == (Presence.ABSENT, Presence.RUNNING, True)
    assert (progress.running, progress.ratio, progress.mib, progress.error) == (False, 1.0, 4096, "")
    assert progress.downtime_ms is not None


def test_another_executor_finds_what_runs_and_can_stop_it() -> None:
    """Nothing is remembered outside the world, so a restarted process adopts it."""
    world, clock = make_world([make_guest("g", writes=Writes(3000, 9000))])
    SimMigrationExecutor(world).start(move("g"), 100)
    clock.advance(100)
    adopted = SimMigrationExecutor(world)
    assert adopted.poll(move("g")).running
    assert adopted.poll(move("g")).mib == pytest.approx(100 * 100, rel=0.01)
    assert not adopted.poll(move("g", target="c")).running
    adopted.abort(move("g", target="c"))
    assert adopted.poll(move("g")).running
    adopted.abort(move("g"))
    assert adopted.poll(move("g")).error == "aborted"
    assert adopted.look(move("g")).source is Presence.RUNNING
    adopted.abort(move("g"))


def test_a_running_migration_takes_another_cap() -> None:
    """Lower, and none at all; another step's migration is left alone, and one that is over needs none."""
    world, clock = make_world([make_guest("g", writes=Writes(3000, 9000))])
    executor = SimMigrationExecutor(world)
    executor.start(move("g"), 100)
    executor.set_limit(move("g"), 20)
    executor.set_limit(move("g", target="c"), 50)
    clock.advance(20)
    assert executor.poll(move("g")).mib == pytest.approx(20 * 20, rel=0.01)
    executor.set_limit(move("g"), 0)
    clock.advance(1)
    assert executor.poll(move("g")).mib > 900
    executor.abort(move("g"))
    executor.set_limit(move("g"), 20)


def test_a_silent_host_is_unknown_and_cannot_be_asked() -> None:
    """Neither its guests nor its jobs can be seen; a copy elsewhere is."""
    world, clock = make_world([make_guest("g")])
    executor = SimMigrationExecutor(world)
    executor.start(move("g"), 0)
    world.inject(Fault(0, FaultKind.HOST_SILENT, "a"))
    clock.advance(1)
    seen = executor.look(move("g"))
    assert (seen.source, seen.target) == (Presence.UNKNOWN, Presence.ARRIVING)
    with pytest.raises(HostUnreachableError):
        executor.poll(move("g"))
    with pytest.raises(HostUnreachableError):
        executor.abort(move("g"))
    clock.advance(60)
    assert executor.look(move("g")).target is Presence.RUNNING
    assert executor.look(move("g", "a", "c")).elsewhere == ("b",)


def test_sleep_refuses_a_host_with_guests_and_says_when_it_is_over() -> None:
    """The last look is on the host itself; asleep, the host surely runs nothing."""
    world, clock = make_world([make_guest("g")])
    power: PowerExecutor = SimPowerExecutor(world)
    with pytest.raises(RefusedError, match="holds 1 guest"):
        power.start(Sleep("s", "a", "a test"))
    step = Sleep("s", "b", "a test")
    power.start(step)
    assert power.poll(step).running
    clock.advance(11)
    assert (power.poll(step).running, power.poll(step).error) == (False, "")
    assert SimMigrationExecutor(world).look(move("g")).target is Presence.ABSENT
    with pytest.raises(HostUnreachableError):
        SimMigrationExecutor(world).start(move("g"), 0)


def test_a_failed_wake_is_told_as_an_error() -> None:
    """The host is asleep still."""
    world, clock = make_world([make_guest("g")], faults=[Fault(0, FaultKind.WAKE_FAILS, "b")])
    power = SimPowerExecutor(world)
    power.start(Sleep("s", "b", "a test"))
    clock.advance(20)
    step = Wake("w", "b", "a test")
    power.start(step)
    assert power.poll(step).running
    clock.advance(61)
    assert (power.poll(step).running, power.poll(step).error) == (False, "the host did not wake")


def test_a_hung_guest_does_not_answer() -> None:
    """It runs on the target, but its QEMU says nothing."""
    world, clock = make_world([make_guest("g")])
    executor = SimMigrationExecutor(world)
    executor.start(move("g"), 0)
    clock.advance(60)
    world.inject(Fault(0, FaultKind.MONITOR_HANGS, guest="g"))
    assert not executor.look(move("g")).answering
