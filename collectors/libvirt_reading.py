"""The calls a look makes into libvirt. Each function runs on a connection's worker and returns plain data.

`read_guests` is the one bulk call of a look. libvirt waits for a QEMU without limit, so a guest that hangs stops the
call that first meets it; NOWAIT makes later calls pass over that guest, whose monitor stays busy with the first.
`read_guests_aside` is for when many hang: it asks no QEMU at all.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from cluster.connections.libvirt_connection import (
    INVALID_ARG,
    NO_CONNECT,
    NO_DOMAIN,
    NO_SUPPORT,
    OPERATION_INVALID,
    OPERATION_UNSUPPORTED,
)
from cluster.migration.ways import show_version
from collectors.capabilities import HostAbilities, read_capabilities, read_cpu_models, read_host_model, read_offers
from collectors.disks import Pool, read_pool
from collectors.movability import PAUSED, PAUSED_MIGRATION, PAUSED_POSTCOPY

if TYPE_CHECKING:
    import libvirt

T = TypeVar("T")

_STATE_KEYS = ("state", "reason")
_ACTIVE_POOLS = 2  # VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE
_NET_DEVICES = 16  # VIR_CONNECT_LIST_NODE_DEVICES_CAP_NET
_ACTIVE_NETWORKS = 2  # VIR_CONNECT_LIST_NETWORKS_ACTIVE

ARRIVING = "incoming migration"

_JOBS = {
    1: "start",
    2: "save",
    3: "restore",
    4: ARRIVING,
    5: "outgoing migration",
    6: "snapshot",
    7: "snapshot revert",
    8: "dump",
    9: "backup",
    10: "snapshot deletion",
}


@dataclass(frozen=True, slots=True)
class RunningDomain:
    """An active domain at one look. `domain_id` is libvirt's number for this run of it."""

    uuid: str
    domain_id: int
    name: str
    state: int
    reason: int
    stats: Mapping[str, object]

    @property
    def answered(self) -> bool:
        """Its QEMU was asked and has answered."""
        return "balloon.rss" in self.stats or "balloon.last-update" in self.stats


@dataclass(frozen=True, slots=True)
class RunningDomains:
    """Active domains by uuid (those that are still arriving, or have left in post-copy, left out), and inactive ids."""

    active: Mapping[str, RunningDomain]
    inactive: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadDomain:
    """A domain's definition as libvirt has it, and what else there is to know of it."""

    xml: str
    persistent: bool = True
    snapshots: int = 0
    job: str = ""
    block_job: str = ""


@dataclass(frozen=True, slots=True)
class ReadHost:
    """A host's size and abilities. `networks`: libvirt networks and network devices, `None` when it does not say."""

    cpus: int
    memory_mib: int
    abilities: HostAbilities = field(default_factory=HostAbilities)
    networks: tuple[str, ...] | None = None
    pools: Mapping[str, Pool] = field(default_factory=dict)
    libvirt_version: str | None = None
    qemu_version: str | None = None


@dataclass(frozen=True, slots=True)
class NodeTimes:
    """A host's CPU time counters in nanoseconds, and memory it could give out; `None`: it does not say."""

    busy_ns: int | None = None
    available_mib: int | None = None


def read_guests(
    connection: libvirt.virConnect, known: Collection[tuple[str, int]], *, dirty_rate: bool
) -> RunningDomains:
    """List active domains with all their statistics, and the ids of inactive ones.

    A guest whose QEMU hangs holds this up. Once such a call is under way, the next passes that guest over, with what
    libvirtd knows by itself. `known` are the (uuid, libvirt id) seen running here before: they cannot be arriving.
    """
    import libvirt

    wanted = (
        libvirt.VIR_DOMAIN_STATS_STATE
        | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
        | libvirt.VIR_DOMAIN_STATS_INTERFACE
        | libvirt.VIR_DOMAIN_STATS_BALLOON
        | libvirt.VIR_DOMAIN_STATS_VCPU
        | libvirt.VIR_DOMAIN_STATS_BLOCK
    )
    if dirty_rate:
        wanted |= libvirt.VIR_DOMAIN_STATS_DIRTYRATE
    flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
    try:
        rows = connection.getAllDomainStats(wanted, flags | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT)
    except libvirt.libvirtError as error:
        if error.get_error_code() not in (NO_SUPPORT, INVALID_ARG):
            raise
        rows = connection.getAllDomainStats(wanted, flags)
    return _domains(connection, rows, known)


def read_guests_aside(connection: libvirt.virConnect, known: Collection[tuple[str, int]]) -> RunningDomains:
    """List active domains with what libvirtd knows without asking any QEMU: state, CPU time, network counters."""
    import libvirt

    wanted = libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_INTERFACE
    rows = connection.getAllDomainStats(wanted, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE)
    return _domains(connection, rows, known)


def read_definitions(connection: libvirt.virConnect, busy_by_uuid: Mapping[str, bool]) -> dict[str, ReadDomain]:
    """Read definitions by uuid; those gone meanwhile are left out. Of a busy one, nothing that could wait for it."""
    found = {}
    for uuid, busy in busy_by_uuid.items():
        try:
            found[uuid] = _read_definition(connection.lookupByUUIDString(uuid), busy)
        except _libvirt_error() as error:
            if error.get_error_code() != NO_DOMAIN:
                raise
    return found


def read_jobs(connection: libvirt.virConnect, uuids: Collection[str]) -> dict[str, str]:
    """Return the job under way, or nothing, of guests known to have had one."""
    found = {}
    for uuid in uuids:
        try:
            domain = connection.lookupByUUIDString(uuid)
        except _libvirt_error() as error:
            if error.get_error_code() != NO_DOMAIN:
                raise
            continue
        found[uuid] = _job(domain)
    return found


def read_host(connection: libvirt.virConnect) -> ReadHost:
    """Read the host's size, abilities, networks and pools. What the driver does not support is left unknown."""
    info = connection.getInfo()
    text = _supported(connection.getCapabilities)
    abilities = HostAbilities() if text is None else read_capabilities(text)
    text = _supported(lambda: connection.getDomainCapabilities(None, abilities.arch or None, None, None))
    if text is not None:
        offers = read_offers(text, _expanded_cpu(connection, abilities, text))
        models = _with_own(read_cpu_models(text), abilities.own_cpu)
        abilities = replace(abilities, cpu_models=models, offers=(*abilities.offers, *offers))
    pools = _supported(lambda: _pools(connection)) or ()
    return ReadHost(
        cpus=int(info[2]),
        memory_mib=int(info[1]),
        abilities=abilities,
        networks=_supported(lambda: _networks(connection)),
        pools={pool.name: pool for pool in pools},
        libvirt_version=_version(_supported(connection.getLibVersion)),
        qemu_version=_version(_supported(connection.getVersion)),
    )


def read_node_times(connection: libvirt.virConnect) -> NodeTimes:
    """Read the host's CPU time and memory counters. Buffers and cache are memory that could be given out."""
    cpu = _supported(lambda: connection.getCPUStats(-1, 0))
    memory = _supported(lambda: connection.getMemoryStats(-1, 0))
    return NodeTimes(
        busy_ns=int(cpu["kernel"] + cpu["user"]) if cpu and "kernel" in cpu and "user" in cpu else None,
        available_mib=sum(memory.get(key, 0) for key in ("free", "buffers", "cached")) // 1024 if memory else None,
    )


def start_dirty_rate(connection: libvirt.virConnect, uuid: str, seconds: int) -> bool:
    """Begin to measure a guest's dirty rate, unless a job is under way. False when this was not possible."""
    try:
        domain = connection.lookupByUUIDString(uuid)
        if _job(domain):
            return False
        domain.startDirtyRateCalc(seconds, 0)
    except _libvirt_error():
        return False
    return True


def _version(number: int | None) -> str | None:
    return None if not number else show_version(int(number))


def _libvirt_error() -> type[libvirt.libvirtError]:
    import libvirt

    error: type[libvirt.libvirtError] = libvirt.libvirtError
    return error


def _supported(read: Callable[[], T]) -> T | None:
    """Return what `read` returns, or `None` where this driver or daemon does not have it."""
    try:
        return read()
    except _libvirt_error() as error:
        if error.get_error_code() in (NO_SUPPORT, INVALID_ARG, NO_CONNECT, OPERATION_UNSUPPORTED):
            return None
        raise


def _domains(
    connection: libvirt.virConnect,
    rows: list[tuple[libvirt.virDomain, dict[str, object]]],
    known: Collection[tuple[str, int]],
) -> RunningDomains:
    import libvirt

    active = {}
    for domain, stats in rows:
        state, reason = (value if isinstance(value := stats.get(f"state.{key}"), int) else 0 for key in _STATE_KEYS)
        if domain.ID() < 0 or (state == PAUSED and _runs_elsewhere(domain, reason, known)):
            continue
        if "cpu.time" not in stats:
            stats["cpu.time"] = int(domain.info()[4])
        uuid = str(domain.UUIDString())
        active[uuid] = RunningDomain(uuid, int(domain.ID()), str(domain.name()), state, reason, stats)
    inactive = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_INACTIVE)
    return RunningDomains(active, tuple(sorted(str(domain.UUIDString()) for domain in inactive)))


def _runs_elsewhere(domain: libvirt.virDomain, reason: int, known: Collection[tuple[str, int]]) -> bool:
    """A paused domain is here in name only while it is arriving, or when it has gone on elsewhere in post-copy."""
    if reason == PAUSED_POSTCOPY:
        return True
    if reason != PAUSED_MIGRATION or (domain.UUIDString(), domain.ID()) in known:
        return False
    return _job(domain) == ARRIVING


def _read_definition(domain: libvirt.virDomain, busy: bool) -> ReadDomain:
    xml = str(domain.XMLDesc(0))
    read = ReadDomain(
        xml=xml,
        persistent=bool(domain.isPersistent()),
        snapshots=_supported(lambda: int(domain.snapshotNum(0))) or 0,
    )
    return read if busy else replace(read, job=_job(domain), block_job=_block_job(domain, xml))


def _job(domain: libvirt.virDomain) -> str:
    """Name the job under way, or return nothing."""
    try:
        stats = domain.jobStats()
    except _libvirt_error() as error:
        # libvirt gives the statistics of a migration on its source only.
        return ARRIVING if error.get_error_code() in (OPERATION_INVALID, OPERATION_UNSUPPORTED) else ""
    if not stats.get("type"):
        return ""
    return _JOBS.get(int(stats.get("operation", 0)), "unknown")


def _block_job(domain: libvirt.virDomain, xml: str) -> str:
    """Name the disk a block job runs on, or return nothing."""
    for disk in ET.fromstring(xml).iterfind("./devices/disk[source]"):
        target = disk.find("./target")
        name = target.get("dev", "") if target is not None else ""
        if name and disk.get("device", "disk") in ("disk", "lun"):
            try:
                if domain.blockJobInfo(name, 0):
                    return name
            except _libvirt_error():
                return ""
    return ""


def _pools(connection: libvirt.virConnect) -> tuple[Pool, ...]:
    return tuple(read_pool(pool.XMLDesc(0)) for pool in connection.listAllStoragePools(_ACTIVE_POOLS))


def _networks(connection: libvirt.virConnect) -> tuple[str, ...]:
    names = {str(network.name()) for network in connection.listAllNetworks(_ACTIVE_NETWORKS)}
    for device in connection.listAllDevices(_NET_DEVICES):
        # A guest's own tap devices are nobody's network.
        if not device.name().startswith(("net_vnet", "net_lo_")):
            names.add(ET.fromstring(device.XMLDesc(0)).findtext("./capability/interface") or "")
    return tuple(sorted(names - {""}))


def _expanded_cpu(connection: libvirt.virConnect, abilities: HostAbilities, text: str) -> str | None:
    """Let libvirt name every feature of the CPU that a guest may have here at most; `None` where it will not."""
    import libvirt

    if (cpu := read_host_model(text)) is None:
        return None
    place = (None, abilities.arch or None, None, abilities.virt_type or None)
    expand = libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES
    try:
        return str(connection.baselineHypervisorCPU(*place, [cpu], expand))
    except _libvirt_error():
        # Drivers refuse it in many ways; a host is not to be lost for that.
        return None


def _with_own(models: tuple[str, ...] | None, own: str | None) -> tuple[str, ...] | None:
    if models is None:
        return None
    return models if own is None else tuple(sorted((*models, own)))
