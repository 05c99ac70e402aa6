"""What the libvirt executor reads of a guest on one host: presence, job, facts, and what forbids it to run there.

Every function is given an open connection and runs inside `LibvirtConnection.call`, which turns libvirt's errors.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.connections.libvirt_connection import INVALID_ARG, NO_DOMAIN, OPERATION_INVALID
from cluster.errors import StepError
from cluster.formats.metadata_policy import read_policy
from cluster.guest import MigrationPolicy
from executors.ladder import Passes
from executors.libvirt_steering import is_broken_postcopy, is_postcopy, passes_of
from executors.protocol import Presence

if TYPE_CHECKING:
    import libvirt

METADATA = "{https://trimtab.dev/xmlns/guest/1}"
MIB = 1 << 20
_OPERATION_UNSUPPORTED = 84
_NO_LIMIT_MIB_S = (2**63 - 1) // MIB
"""What libvirt itself gives QEMU where no bandwidth is set."""
HUNG_S = 2.0
"""How long a guest's QEMU may owe libvirt an answer before it is not asked anything more."""


@dataclass(frozen=True, slots=True)
class GuestFacts:
    """What a migration has to know of its guest, as in its XML. `cpu_xml` only for a fixed CPU model."""

    persistent: bool
    memory_mib: int
    kind: str
    arch: str
    machine: str
    cpu_xml: str
    policy: MigrationPolicy


@dataclass(frozen=True, slots=True)
class JobView:
    """The outgoing migration job of a guest. `out` false: there is none. `mib` is what it has sent.

    `seconds`: how long one that is over took. `disk_mib`: size of the local disks that it copies, part of `mib` once
    they are, but not of the `mib` of one that is over.
    """

    out: bool
    ratio: float = 0.0
    mib: int = 0
    downtime_ms: int | None = None
    postcopy: bool = False
    passes: Passes | None = None
    seconds: float | None = None
    disk_mib: int = 0


def find(connection: libvirt.virConnect, guest: str) -> libvirt.virDomain | None:
    """Return the guest's domain, or `None` when the host does not know it."""
    import libvirt

    try:
        return connection.lookupByUUIDString(guest)
    except libvirt.libvirtError as error:
        if error.get_error_code() == NO_DOMAIN:
            return None
        raise


def presence(connection: libvirt.virConnect, guest: str, *, waiting: Presence) -> Presence:
    """Say how the guest is here. `waiting` is what a guest paused for a migration without a job here counts as."""
    import libvirt

    domain = find(connection, guest)
    if domain is None:
        return Presence.ABSENT
    try:
        if not domain.isActive():
            return Presence.STOPPED
        _refuse_hung(domain)
        state, reason = domain.state()
        for_migration = (libvirt.VIR_DOMAIN_PAUSED_MIGRATION, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP)
        operation = _operation(domain)
    except libvirt.libvirtError as error:
        # It left between two calls.
        if error.get_error_code() == NO_DOMAIN:
            return Presence.ABSENT
        raise
    if is_broken_postcopy(state, reason):
        return Presence.STOPPED  # it runs on at the target as far as its memory got there, and never here again
    if operation == libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT:
        return Presence.LEAVING
    if operation == libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN:
        return Presence.ARRIVING
    if state == libvirt.VIR_DOMAIN_PAUSED and reason in for_migration:
        return waiting
    return Presence.RUNNING


def answers(connection: libvirt.virConnect, guest: str) -> bool:
    """Make one cheap round trip to the guest's QEMU monitor. False, too, for a guest that its QEMU stopped on an error.

    Blocks while the monitor hangs, for whoever is the first to ask it.
    """
    import libvirt

    domain = find(connection, guest)
    if domain is None:
        return False
    _refuse_hung(domain)
    domain.ioThreadInfo(0)
    state, reason = domain.state()
    if state == libvirt.VIR_DOMAIN_PAUSED:
        # A guest that a person had paused arrives paused.
        return bool(reason == libvirt.VIR_DOMAIN_PAUSED_USER)
    broken = state == libvirt.VIR_DOMAIN_RUNNING and reason == libvirt.VIR_DOMAIN_RUNNING_POSTCOPY_FAILED
    return bool(state != libvirt.VIR_DOMAIN_CRASHED and not broken)


def job(connection: libvirt.virConnect, guest: str) -> JobView:
    """Look at the guest's outgoing migration."""
    import libvirt

    domain = find(connection, guest)
    try:
        if domain is None or not domain.isActive():
            return JobView(out=False)
        _refuse_hung(domain)
        statistics = domain.jobStats()
        state, reason = domain.state()
    except libvirt.libvirtError as error:
        # It left between two calls; on a receiving host there are no figures.
        if error.get_error_code() in (NO_DOMAIN, OPERATION_INVALID, _OPERATION_UNSUPPORTED):
            return JobView(out=False)
        raise
    if statistics.get("operation") != libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT or not statistics.get("type"):
        return JobView(out=False)
    # libvirt keeps the job of a broken post-copy for an operator to resume; nothing runs of it.
    if is_broken_postcopy(state, reason):
        return JobView(out=False)
    postcopy = is_postcopy(state, reason)
    sent, left = int(statistics.get("data_processed", 0)), int(statistics.get("data_remaining", 0))
    ratio = sent / (sent + left) if sent + left else 0.0
    passes = None if postcopy else passes_of(statistics)
    disk_mib = int(statistics.get("disk_total", 0)) // MIB
    return JobView(True, ratio, sent // MIB, postcopy=postcopy, passes=passes, disk_mib=disk_mib)


def completed(connection: libvirt.virConnect, guest: str) -> JobView:
    """Read the statistics of the migration that brought the guest here; zeros when this libvirt has kept none."""
    import libvirt

    domain = find(connection, guest)
    statistics = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED) if domain is not None else {}
    downtime_ms = int(statistics["downtime"]) if "downtime" in statistics else None
    seconds = int(statistics["time_elapsed"]) / 1000 if "time_elapsed" in statistics else None
    return JobView(False, 1.0, int(statistics.get("data_processed", 0)) // MIB, downtime_ms, seconds=seconds)


def abort(connection: libvirt.virConnect, guest: str) -> None:
    """Stop the outgoing migration, unless it is in post-copy: the guest's memory is then on both hosts."""
    import libvirt

    domain = find(connection, guest)
    if domain is None or not job(connection, guest).out:
        return
    try:
        if not is_postcopy(*domain.state()):
            domain.abortJob()
    except libvirt.libvirtError as error:
        # It ended by itself meanwhile.
        if error.get_error_code() not in (OPERATION_INVALID, NO_DOMAIN):
            raise


def set_bandwidth(connection: libvirt.virConnect, guest: str, limit_mib_s: int) -> None:
    """Cap the outgoing migration, before and in post-copy; 0: no cap. Nothing when none is under way."""
    import libvirt

    domain = find(connection, guest)
    if domain is None or not job(connection, guest).out:
        return
    try:
        for flags in (0, libvirt.VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY):
            domain.migrateSetMaxSpeed(limit_mib_s or _NO_LIMIT_MIB_S, flags)
    except libvirt.libvirtError as error:
        # It ended by itself meanwhile.
        if error.get_error_code() not in (OPERATION_INVALID, NO_DOMAIN):
            raise


def facts(connection: libvirt.virConnect, guest: str) -> GuestFacts:
    """Read the running guest's facts."""
    domain = connection.lookupByUUIDString(guest)
    root = ET.fromstring(domain.XMLDesc(0))
    kind = root.find("os/type")
    cpu = root.find("cpu")
    fixed = cpu is not None and cpu.get("mode") == "custom" and cpu.find("model") is not None
    policy = root.find(f"metadata/{METADATA}guest/{METADATA}migration")
    return GuestFacts(
        persistent=bool(domain.isPersistent()),
        memory_mib=domain.maxMemory() >> 10,
        kind=root.get("type", "kvm"),
        arch="" if kind is None else kind.get("arch", ""),
        machine="" if kind is None else kind.get("machine", ""),
        cpu_xml=ET.tostring(cpu, encoding="unicode") if cpu is not None and fixed else "",
        # What is wrong with it the collectors say.
        policy=MigrationPolicy() if policy is None else read_policy(policy.attrib, []),
    )


def why_not_here(connection: libvirt.virConnect, guest: str, wants: GuestFacts) -> str | None:
    """Say why the guest cannot come to this host now: a domain of its own here, memory, machine type or CPU model."""
    import libvirt

    domain = find(connection, guest)
    if domain is not None and domain.isActive():
        return "the guest is active there already"
    if domain is not None:
        return "a stopped definition of the guest is there: remove it first (virsh undefine)"
    memory = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)
    free_mib = sum(int(memory.get(part, 0)) for part in ("free", "buffers", "cached")) >> 10
    if free_mib < wants.memory_mib:
        return f"{free_mib} MiB of memory are free there, the guest needs {wants.memory_mib}"
    try:
        connection.getDomainCapabilities(None, wants.arch or None, wants.machine or None, wants.kind, 0)
        if wants.cpu_xml:
            place = (None, wants.arch, wants.machine, wants.kind)
            if connection.compareHypervisorCPU(*place, wants.cpu_xml, 0) == libvirt.VIR_CPU_COMPARE_INCOMPATIBLE:
                return "its CPU model does not run there"
    except libvirt.libvirtError as error:
        # Other codes: this libvirt cannot compare, and the migration itself will.
        if error.get_error_code() == INVALID_ARG:
            return f"its machine type does not run there: {error.get_error_message()}"
    return None


def _refuse_hung(domain: libvirt.virDomain) -> None:
    """Raise `StepError` when an earlier question still waits for the guest's QEMU.

    Every further one would hang, too, and cost its host a connection: in the end no guest there could be seen.
    """
    import libvirt

    try:
        state, _, waits_ms = domain.controlInfo()
    except libvirt.libvirtError:
        return  # this driver does not say, or the guest left between two calls
    if state == libvirt.VIR_DOMAIN_CONTROL_OCCUPIED and waits_ms >= HUNG_S * 1000:
        raise StepError(f"the guest's QEMU has not answered for {waits_ms / 1000:.0f} s")


def _operation(domain: libvirt.virDomain) -> int:
    """Return the running job's operation number, 0 for none."""
    import libvirt

    try:
        statistics = domain.jobStats()
    except libvirt.libvirtError as error:
        # libvirt gives no statistics on the receiving side, in these words of its own code.
        if error.get_error_code() == _OPERATION_UNSUPPORTED:
            return int(libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN)
        raise
    return int(statistics.get("operation", 0)) if statistics.get("type") else 0
