"""What can be seen of the pretend cluster: a collector's observation of one host, and the whole truth as a snapshot."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cluster.errors import HostUnreachableError
from cluster.guest import Dirty, Guest, Usage
from cluster.report import HostUsage, Observation
from cluster.snapshot import Snapshot
from simulator.watcher import Holding

if TYPE_CHECKING:
    from simulator.world import World

KERNEL_MIB = 1024
"""What a host's kernel and services use of its memory."""


def observe_host(world: World, host_id: str) -> Observation:
    """Return what a collector on a host sees now; its last report while its agent is stopped.

    A host that was put to sleep says nothing itself; its power is seen all the same (as a BMC would tell it), with no
    guests. `HostUnreachableError` for one that is silent or has lost its power.
    """
    host = world.hosts[host_id]
    if host.last_report is not None:
        return host.last_report
    if not host.reachable:
        raise HostUnreachableError(f"host {host_id} does not answer; its guests are left alone until it does")
    now = world.time()
    facts = replace(host.facts, power=host.power.observed_model, measured_at=now, reachable=True)
    if not host.answers:
        return Observation(now, facts, HostUsage(), ())
    at_s = world.load_time_s()
    wanted = world.wanted_millicores(host_id, at_s)
    share = min(1.0, facts.cpu_millicores / wanted) if wanted > 0 else 1.0
    on = world.holdings[host_id]
    # A guest that is still arriving is its source's to report; here it only takes memory.
    guests = tuple(_seen(world, host_id, one, share) for one in sorted(on) if on[one] is Holding.RUNNING)
    used_mib = sum(world.guests[one].facts.memory_mib for one in on) + KERNEL_MIB
    usage = HostUsage(
        cpu_millicores=round(wanted * share),
        memory_available_mib=max(0, facts.memory_mib - used_mib),
        net_mbit_s=sum(guest.usage.net_mbit_s or 0.0 for guest in guests),
        disk_mib_s=sum(guest.usage.disk_mib_s or 0.0 for guest in guests),
        load_1min=round(wanted / 1000, 2),
        cpu_pressure_ratio=round(1 - share, 4),
    )
    warnings = tuple(
        f"guest {guest.title} on {host_id}: its QEMU monitor does not answer"
        for guest in guests
        if guest.id in world.hung
    )
    return Observation(now, facts, usage, guests, warnings=warnings, kill_switch=host.kill_switch)


def true_snapshot(world: World) -> Snapshot:
    """Return who runs where and how much each guest wants, reachable or not."""
    now = world.time()
    hosts = tuple(
        replace(host.facts, power=host.power.observed_model, measured_at=now, reachable=host.reachable)
        for host in world.hosts.values()
    )
    guests = tuple(
        _seen(world, host_id, guest_id, 1.0)
        for host_id, on in world.holdings.items()
        for guest_id, holding in sorted(on.items())
        if holding is Holding.RUNNING
    )
    return Snapshot(f"world-{world.now_s:.3f}", now, hosts, guests, world.rules)


def _seen(world: World, host_id: str, guest_id: str, share: float) -> Guest:
    """Return a guest as its host's statistics show it, given this share of the CPU it wants."""
    guest = world.guests[guest_id]
    facts = replace(guest.facts, host=host_id)
    at_s = world.load_time_s()
    cpu = round(guest.wanted_millicores(at_s) * share)
    if guest_id in world.hung:
        usage, dirty = Usage(cpu_millicores=cpu), Dirty()
        return replace(facts, usage=usage, dirty=dirty, movable=False, why_not="its QEMU monitor does not answer")
    usage = replace(facts.usage, cpu_millicores=cpu, memory_mib=round(guest.resident_mib))
    if guest_id in world.migrations:
        return replace(facts, usage=usage, dirty=facts.dirty, movable=False, why_not="a migration is under way")
    return replace(facts, usage=usage, dirty=guest.measured_dirty(at_s))
