"""Which collector stands behind each `collect.source`: one line each. (Simulated hosts are wired where they live.)"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from cluster.clock import Clock
from cluster.config.settings import CollectSource, HostLoad, HostSettings, Settings
from cluster.connections.libvirt_connection import LibvirtConnection, is_remote
from cluster.errors import InputError
from cluster.store.protocol import Store
from collectors import system
from collectors.disks import shared_mounts
from collectors.fleet import WITHOUT_AGENT, Fleet
from collectors.health import HealthCollector
from collectors.libvirt_collector import CollectorOptions, LibvirtCollector, LocalSources
from collectors.ownership import cluster_owned
from collectors.protocol import Collector
from collectors.recorded import recorded_collectors
from collectors.reporter import Reporter
from collectors.tls import migration_tls

DEFAULT_URI = "qemu:///system"

Builder = Callable[[Settings, HostSettings, Clock], Collector]


def libvirt_collector(settings: Settings, host: HostSettings, clock: Clock) -> LibvirtCollector:
    """Build the collector of one host's libvirt. On the host itself, its kernel is asked, too."""
    collect = settings.collect
    uri = host.uri or DEFAULT_URI
    options = CollectorOptions(
        deadline_s=collect.deadline_s,
        overhead_mib=settings.guests.overhead_mib,
        shared_paths=tuple(name for name in host.storage or () if name.startswith("/")),
        storage=host.storage,
        cpu_millicores=host.cpu_millicores,
        memory_mib=host.memory_mib,
        net_mbit_s=host.net_mbit_s,
        disk_mib_s=host.disk_mib_s,
        migration_mbit_s=host.migration_mbit_s,
        load_from_guests=collect.host_load is HostLoad.GUESTS,
        dirty_rate_every_s=collect.dirty_rate_every_s,
        dirty_rate_period_s=collect.dirty_rate_period_s,
        local_disks=settings.migration.local_disks,
    )
    connection = LibvirtConnection(uri, collect.deadline_s, clock, name=host.id)
    here = not is_remote(uri) or (collect.source is CollectSource.AGENTS and system.is_this_machine(uri))
    return LibvirtCollector(host.id, connection, clock, options, _local(settings, clock) if here else None)


def recorded_collector(settings: Settings, host: HostSettings, clock: Clock) -> Collector:
    """Build the collector that plays one host of the configured recording back."""
    if not settings.collect.recording:
        raise InputError('configuration: collect.recording: found ""; allowed: the file to play back')
    collectors = recorded_collectors(Path(settings.collect.recording), clock)
    if host.id not in collectors:
        known = ", ".join(collectors) or "none"
        raise InputError(f"{settings.collect.recording}: host {host.id} is not in this recording; it holds: {known}")
    return collectors[host.id]


def _local(settings: Settings, clock: Clock) -> LocalSources:
    machine = system.SystemCollector(clock)
    kill_switch = Path(settings.gate.kill_switch)
    return LocalSources(
        usage=machine.usage,
        shared_mounts=lambda: shared_mounts(system.mountinfo()),
        owners=cluster_owned,
        networks=system.network_devices,
        kill_switch=kill_switch.exists,
        migration_tls=migration_tls,
        signs_of_failing=HealthCollector(clock).signs,
    )


COLLECTORS: Mapping[CollectSource, Builder] = {
    CollectSource.AGENTS: libvirt_collector,
    CollectSource.LIBVIRT: libvirt_collector,
    CollectSource.RECORDED: recorded_collector,
}


def make_collector(settings: Settings, host: HostSettings, clock: Clock) -> Collector:
    """Build the configured source's collector for one host."""
    builder = COLLECTORS.get(settings.collect.source)
    if builder is None:
        allowed = ", ".join(sorted(source.value for source in COLLECTORS))
        raise InputError(
            f"configuration: collect.source: found {settings.collect.source.value}; allowed here: {allowed}"
        )
    return builder(settings, host, clock)


def open_fleet(settings: Settings, store: Store, clock: Clock) -> Fleet:
    """Build collectors for all configured hosts, over libvirt or out of the configured recording."""
    if not settings.hosts:
        raise InputError("configuration: no [[hosts]] entry; give each host's id and libvirt uri")
    collect = settings.collect
    reporters = [
        Reporter(make_collector(settings, host, clock), clock, WITHOUT_AGENT, collect.smoothing_s)
        for host in settings.hosts
    ]
    return Fleet(reporters, store, clock, collect.deadline_s, collect.report_ttl_s)


def open_recorded_fleet(settings: Settings, store: Store, clock: Clock) -> Fleet:
    """Play back every host of the configured recording, as the fleet of a daemon that cannot act."""
    if not settings.collect.recording:
        raise InputError('configuration: collect.recording: found ""; allowed: the file to play back')
    collectors = recorded_collectors(Path(settings.collect.recording), clock)
    collect = settings.collect
    reporters = [Reporter(one, clock, "recorded", collect.smoothing_s) for one in collectors.values()]
    return Fleet(reporters, store, clock, collect.deadline_s, collect.report_ttl_s)
