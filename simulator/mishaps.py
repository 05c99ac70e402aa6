"""How each kind of fault is carried out on the pretend cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from cluster.host import PowerState
from simulator.faults import SOURCE, TARGET, Fault, FaultKind
from simulator.guests import Storm
from simulator.migration import Migration
from simulator.network import MIB_S_PER_MBIT_S
from simulator.observe import observe_host
from simulator.watcher import Holding

if TYPE_CHECKING:
    from simulator.world import World


def apply(world: World, fault: Fault) -> None:
    """Let a fault happen now; one with a ratio waits for its migration, under way or yet to begin."""
    if fault.ratio is None:
        _do(world, fault)
        return
    for guest, one in sorted(world.migrations.items()):
        if fault.guest in ("", guest):
            one.traps.append(fault)
            return
    world.armed.append(fault)


def spring(world: World, fault: Fault, migration: Migration) -> None:
    """Let a fault happen that has waited for this migration."""
    ends = {SOURCE: migration.source, TARGET: migration.target}
    _do(world, replace(fault, guest=migration.guest.id, host=ends.get(fault.host, fault.host)))


def _do(world: World, fault: Fault) -> None:
    _DEEDS[fault.kind](world, fault)
    world.divide_links()


def _host_lost(world: World, fault: Fault) -> None:
    host = world.hosts[fault.host]
    host.reachable = False
    host.power.cut()
    world.say(f"host {fault.host} lost its power")
    for guest in sorted(world.holdings[fault.host]):
        world.kill_guest(guest, fault.host)
    world.watcher.settle_rules(world.holdings)


def _host_silent(world: World, fault: Fault) -> None:
    world.hosts[fault.host].reachable = False
    world.say(f"host {fault.host} is silent")


def _host_back(world: World, fault: Fault) -> None:
    host = world.hosts[fault.host]
    host.reachable = True
    if host.power.state is PowerState.OFF:
        host.power.state = PowerState.ON
    world.say(f"host {fault.host} is back")


def _migration_fails(world: World, fault: Fault) -> None:
    if fault.guest in world.migrations:
        world.end_migration(fault.guest, "the connection between the hosts broke")


def _source_dies(world: World, fault: Fault) -> None:
    if (one := world.migrations.get(fault.guest)) is not None:
        world.kill_guest(fault.guest, one.source)
        world.watcher.settle_rules(world.holdings)


def _target_dies(world: World, fault: Fault) -> None:
    if (one := world.migrations.get(fault.guest)) is not None:
        world.kill_guest(fault.guest, one.target)


def _guest_dies(world: World, fault: Fault) -> None:
    for host, on in world.holdings.items():
        if on.get(fault.guest) is Holding.RUNNING:
            world.kill_guest(fault.guest, host)
    world.watcher.settle_rules(world.holdings)


def _guest_starts(world: World, fault: Fault) -> None:
    if not world.hosts[fault.host].power.is_on:
        return
    world.holdings[fault.host][fault.guest] = Holding.RUNNING
    world.say(f"guest {world.guests[fault.guest].facts.title} was started on {fault.host}")
    world.placement_changed()


def _monitor_hangs(world: World, fault: Fault) -> None:
    world.hung.add(fault.guest)
    world.say(f"the QEMU monitor of {world.guests[fault.guest].facts.title} hangs")


def _monitor_back(world: World, fault: Fault) -> None:
    world.hung.discard(fault.guest)
    world.say(f"the QEMU monitor of {world.guests[fault.guest].facts.title} answers again")


def _agent_stops(world: World, fault: Fault) -> None:
    if not world.hosts[fault.host].answers:
        return  # nothing can be read of it anyway
    world.hosts[fault.host].last_report = observe_host(world, fault.host)
    world.say(f"the agent on {fault.host} stopped")


def _agent_back(world: World, fault: Fault) -> None:
    world.hosts[fault.host].last_report = None
    world.say(f"the agent on {fault.host} is back")


def _dirty_storm(world: World, fault: Fault) -> None:
    start_s = world.load_time_s()
    world.guests[fault.guest].storms.append(Storm(start_s, start_s + fault.duration_s, fault.factor))
    world.say(f"guest {world.guests[fault.guest].facts.title} writes {fault.factor:g} times as much")


def _wake_fails(world: World, fault: Fault) -> None:
    world.hosts[fault.host].power.wakes_to_fail += fault.count


def _sleep_fails(world: World, fault: Fault) -> None:
    world.hosts[fault.host].power.sleeps_to_fail += fault.count


def _kill_switch_set(world: World, fault: Fault) -> None:
    world.hosts[fault.host].kill_switch = True
    world.say(f"the kill switch is set on {fault.host}")


def _kill_switch_gone(world: World, fault: Fault) -> None:
    world.hosts[fault.host].kill_switch = False
    world.say(f"the kill switch is gone from {fault.host}")


def _link_changes(world: World, fault: Fault) -> None:
    for way in ("out", "in"):
        world.network.capacity_mib_s[f"{way}:{fault.host}"] = fault.mbit_s * MIB_S_PER_MBIT_S
    world.say(f"the migration link of {fault.host} has {fault.mbit_s:g} Mbit/s now")


_DEEDS: dict[FaultKind, Callable[[World, Fault], None]] = {
    FaultKind.HOST_LOST: _host_lost,
    FaultKind.HOST_SILENT: _host_silent,
    FaultKind.HOST_BACK: _host_back,
    FaultKind.MIGRATION_FAILS: _migration_fails,
    FaultKind.SOURCE_DIES: _source_dies,
    FaultKind.TARGET_DIES: _target_dies,
    FaultKind.GUEST_DIES: _guest_dies,
    FaultKind.GUEST_STARTS: _guest_starts,
    FaultKind.MONITOR_HANGS: _monitor_hangs,
    FaultKind.MONITOR_BACK: _monitor_back,
    FaultKind.AGENT_STOPS: _agent_stops,
    FaultKind.AGENT_BACK: _agent_back,
    FaultKind.DIRTY_STORM: _dirty_storm,
    FaultKind.WAKE_FAILS: _wake_fails,
    FaultKind.SLEEP_FAILS: _sleep_fails,
    FaultKind.KILL_SWITCH_SET: _kill_switch_set,
    FaultKind.KILL_SWITCH_GONE: _kill_switch_gone,
    FaultKind.LINK_CHANGES: _link_changes,
}
