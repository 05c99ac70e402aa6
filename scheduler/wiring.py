"""The one place that builds everything from a configuration."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from cluster.clock import Clock
from cluster.config.settings import CollectSource, Settings
from cluster.errors import InputError
from cluster.store.open import open_store
from cluster.store.protocol import Store
from scheduler.loop import Listener, Loop
from scheduler.parts import Parts
from scheduler.see import Sight, build_snapshot


def open_parts(settings: Settings, clock: Clock, own_store: bool) -> Parts:
    """Open the store, the eyes and the hands that the settings name. The caller closes them.

    `own_store`: start an embedded store for as long as the parts live. Raises `InputError` for settings that name no
    host, `StoreUnavailableError` when the store does not answer.
    """
    store = open_store(settings.store, clock, own_store)
    try:
        store.ping()
        return PARTS[settings.collect.source](settings, clock, store)
    except BaseException:
        store.close()
        raise


def _simulated(settings: Settings, clock: Clock, store: Store) -> Parts:
    from cluster.formats.cluster_file import load_cluster
    from simulator.build import demo_world, world_from_snapshot
    from simulator.executor import SimMigrationExecutor, SimPowerExecutor
    from simulator.fleet import SimFleet

    chosen = settings.simulator
    if chosen.cluster_file:
        snapshot = load_cluster(Path(chosen.cluster_file))
        world = world_from_snapshot(
            snapshot, clock, chosen.seed, drift_ratio=chosen.drift_ratio, link_mbit_s=chosen.link_mbit_s
        )
    else:
        world = demo_world(chosen, clock)
    fleet = SimFleet(world, store, clock, settings.collect)
    return Parts(store, fleet, SimMigrationExecutor(world), SimPowerExecutor(world), world)


def _libvirt(settings: Settings, clock: Clock, store: Store) -> Parts:
    """Hosts measured over their libvirt connections."""
    from collectors.registry import open_fleet

    hands = _agents(settings, clock, store)
    return replace(hands, fleet=open_fleet(settings, store, clock))


def _agents(settings: Settings, clock: Clock, store: Store) -> Parts:
    """Hosts that report by themselves; libvirt is only for acting."""
    from cluster.connections.libvirt_connection import LibvirtConnection
    from collectors.bmc_meters import open_meters
    from executors.registry import Means, migration_executor
    from scheduler.power.wiring import open_power

    if not settings.hosts:
        raise InputError("configuration: no [[hosts]] entry; give each host's id and libvirt uri")
    connections = {
        host.id: LibvirtConnection(host.uri, settings.collect.deadline_s, clock) for host in settings.hosts if host.uri
    }
    addresses = {host.id: host.migration_address for host in settings.hosts if host.migration_address}
    means = Means(clock, settings.migration, connections, addresses, partial(_tls_of, settings, store))
    hands = migration_executor("libvirt", means)
    meters = open_meters(settings, clock)
    parts = Parts(store, None, hands, None, also_close=tuple(connections.values()), meters=meters)
    if (power := open_power(settings, clock, store)) is None:
        return parts
    also_close = (*parts.also_close, power.executor, *power.connections)
    return replace(parts, power=power.executor, power_eyes=power.observer, also_close=also_close)


def _tls_of(settings: Settings, store: Store, host: str) -> bool | None:
    """Tell whether a host's migrations can be encrypted: as its entry says, or else as it reports."""
    if (said := next((one.migration_tls for one in settings.hosts if one.id == host), None)) is not None:
        return said
    return next((one.observation.host.migration_tls for one in store.reports() if one.host == host), None)


def _recorded(settings: Settings, clock: Clock, store: Store) -> Parts:
    """A recording replayed: nothing can be moved in it."""
    from collectors.registry import open_recorded_fleet
    from executors.dry_run import DryRunMigrationExecutor

    return Parts(store, open_recorded_fleet(settings, store, clock), DryRunMigrationExecutor(clock), None)


PARTS: dict[CollectSource, Callable[[Settings, Clock, Store], Parts]] = {
    CollectSource.SIMULATED: _simulated,
    CollectSource.LIBVIRT: _libvirt,
    CollectSource.AGENTS: _agents,
    CollectSource.RECORDED: _recorded,
}


def effective_settings(settings: Settings, parts: Parts) -> Settings:
    """Return the settings with what a simulated world knows of itself: its `[[hosts]]` and `[[rules]]`."""
    if parts.world is None:
        return settings
    from simulator.build import demo_settings_hosts

    return replace(
        settings,
        hosts=settings.hosts or demo_settings_hosts(parts.world),
        rules=(*settings.rules, *parts.world.rules),
    )


def build_loop(parts: Parts, settings: Settings, clock: Clock, listener: Listener, holder: str = "") -> Loop:
    """Return a loop over the parts; `holder` names this scheduler in the lease."""
    # Containers may share host name and process id; schedulers of one name would share the lease.
    name = holder or f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"
    return Loop(parts, effective_settings(settings, parts), clock, name, listener)


def see(parts: Parts, settings: Settings, clock: Clock) -> Sight:
    """Return the cluster as the store's reports show it, after measuring where no agents do."""
    unreachable = parts.fleet.collect() if parts.fleet is not None else {}
    settings = effective_settings(settings, parts)
    store = parts.store
    active = store.active_plan()
    return build_snapshot(store.reports(), settings, store.flags(), clock.now(), active, dict(unreachable))
