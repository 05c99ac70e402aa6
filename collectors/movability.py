"""What forbids a guest's live migration: one small function for each reason, in two registers. Pure.

A reason returns a sentence that says what is in the way, or `None`. To add one, write the function and add its line to
the register: `FROM_XML` for what a domain's XML shows, `FROM_STATE` for what changes without it. The reasons follow
what libvirt's QEMU driver refuses, and what it would let pass though the guest could not go on elsewhere.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass

from collectors.disks import Disk

RUNNING, BLOCKED, PAUSED, SHUTDOWN, SHUTOFF, CRASHED, PMSUSPENDED = range(1, 8)
"""libvirt's domain states."""

PAUSED_MIGRATION, PAUSED_IOERROR, PAUSED_POSTCOPY, PAUSED_POSTCOPY_FAILED = 2, 5, 12, 13
"""Some of libvirt's reasons for `PAUSED`."""

_HOST_KINDS = ("nvme", "vhostuser", "vhostvdpa")
_STATES = {PAUSED: "paused", SHUTDOWN: "shutting down", CRASHED: "crashed", PMSUSPENDED: "suspended to memory"}


@dataclass(frozen=True, slots=True)
class Definition:
    """What a domain's XML shows: the XML itself, its disks, its owner, and our `ignore` mark.

    `copies_disks`: policy lets its local disks be copied with it.
    """

    xml: ET.Element
    disks: tuple[Disk, ...]
    owner: str | None
    ignore: bool
    copies_disks: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """What is so now and not in the XML.

    `job` and `block_job` name what is under way, or are empty.
    """

    state: int = RUNNING
    reason: int = 0
    answering: bool = True
    persistent: bool = True
    snapshots: int = 0
    job: str = ""
    block_job: str = ""
    owner: str | None = None


def marked_ignore(guest: Definition) -> str | None:
    """Marked by its owner as not to be touched."""
    return "marked trimtab:ignore in its metadata" if guest.ignore else None


def other_manager(guest: Definition) -> str | None:
    """Its metadata say that another manager places it."""
    return f"belongs to {guest.owner}" if guest.owner is not None else None


def host_device(guest: Definition) -> str | None:
    """A PCI, USB, SCSI or mediated device of the host is passed through. A PCI device that teaming unplugs is none."""
    for device in guest.xml.iterfind("./devices/hostdev"):
        teaming = device.find("./teaming")
        if teaming is not None and teaming.get("type") == "transient":
            continue
        return f"has a host device passed through ({device.get('type') or device.get('mode', 'device')})"
    return None


def host_interface(guest: Definition) -> str | None:
    """A network card of the host is passed through, or one whose back end lives on this host."""
    for interface in guest.xml.iterfind("./devices/interface"):
        kind = interface.get("type", "")
        teaming = interface.find("./teaming")
        if kind == "hostdev" and not (teaming is not None and teaming.get("type") == "transient"):
            return "has a network card of the host passed through (interface type hostdev)"
        if kind in ("vdpa", "vhostuser", "vds"):
            return f"has a network interface of type {kind}, whose back end cannot be checked on other hosts"
    return None


def host_disk(guest: Definition) -> str | None:
    """A disk is a device or a process of this host."""
    for disk in guest.disks:
        if disk.kind in _HOST_KINDS:
            return f"disk {disk.target} is of type {disk.kind}, bound to this host"
    return None


def local_disk(guest: Definition) -> str | None:
    """A disk is on this host only, as far as is known, and is not copied: by policy, or because libvirt cannot."""
    for disk in guest.disks:
        if disk.local and disk.device in ("disk", "lun") and disk.kind not in _HOST_KINDS:
            place = f" ({disk.path})" if disk.path else ""
            if guest.copies_disks:
                if disk.pool:
                    continue
                return f"disk {disk.target}{place} is on this host only and no raw or qcow2 file of its own in a pool"
            return f"disk {disk.target}{place} is on this host only; where it is shared, list its path in hosts.storage"
    return None


def local_medium(guest: Definition) -> str | None:
    """A CD-ROM or floppy image exists on this host only."""
    for disk in guest.disks:
        if disk.device in ("cdrom", "floppy") and disk.local:
            return f"{disk.device} {disk.target} holds {disk.path or 'an image'} of this host: eject it"
    return None


def local_backing_file(guest: Definition) -> str | None:
    """A disk on shared storage stands on an image of this host."""
    for disk in guest.disks:
        if not disk.local and disk.local_backing:
            return f"disk {disk.target} is backed by {disk.local_backing}, which is on this host only"
    return None


def transient_disk(guest: Definition) -> str | None:
    """Changes to a disk are thrown away: libvirt refuses to migrate it."""
    return next((f"disk {disk.target} is transient" for disk in guest.disks if disk.transient), None)


def mirroring_disk(guest: Definition) -> str | None:
    """A block copy or active commit is under way (the XML shows a mirror)."""
    return next((f"a block job runs on disk {disk.target}" for disk in guest.disks if disk.mirroring), None)


def shared_directory(guest: Definition) -> str | None:
    """A directory of this host is shared into the guest (virtiofs, 9p)."""
    share = guest.xml.find("./devices/filesystem")
    if share is None:
        return None
    source = share.find("./source")
    path = source.get("dir", "") if source is not None else ""
    return f"shares {f'directory {path}' if path else 'a directory'} of this host"


def shared_memory(guest: Definition) -> str | None:
    """Memory shared with other guests; only a device with role master can move."""
    for device in guest.xml.iterfind("./devices/shmem"):
        if device.get("role") != "master":
            return f"shared memory device {device.get('name', '')} has not the role master".replace("  ", " ")
    return None


def host_memory_device(guest: Definition) -> str | None:
    """An NVDIMM or persistent memory device is a file of this host."""
    for device in guest.xml.iterfind("./devices/memory"):
        if device.get("model") in ("nvdimm", "virtio-pmem", "sgx-epc"):
            return f"has a memory device of model {device.get('model')}, bound to this host"
    return None


def host_tpm(guest: Definition) -> str | None:
    """The TPM of the host is passed through."""
    for backend in guest.xml.iterfind("./devices/tpm/backend"):
        if backend.get("type") == "passthrough":
            return "has the host's TPM passed through"
    return None


def host_character_device(guest: Definition) -> str | None:
    """A serial or parallel port, an input device or a smart card reader of the host is passed through."""
    for kind in ("serial", "parallel", "console", "channel"):
        if guest.xml.find(f"./devices/{kind}[@type='dev']") is not None:
            return f"has a {kind} device of the host passed through"
    for device in guest.xml.iterfind("./devices/input"):
        if device.get("type") in ("passthrough", "evdev"):
            return "has an input device of the host passed through"
    for device in guest.xml.iterfind("./devices/smartcard"):
        if device.get("mode") in ("host", "host-certificates"):
            return "has the host's smart card reader passed through"
    return None


def encrypted_memory(guest: Definition) -> str | None:
    """Memory encrypted by the host's processor (SEV, TDX) cannot leave it."""
    security = guest.xml.find("./launchSecurity")
    return None if security is None else f"the host protects its memory ({security.get('type', 'launchSecurity')})"


def invariant_tsc(guest: Definition) -> str | None:
    """QEMU refuses to move a guest with an invariant TSC of no stated frequency."""
    for feature in guest.xml.iterfind("./cpu/feature"):
        if feature.get("name") == "invtsc" and feature.get("policy") in ("require", "force"):
            timers = guest.xml.iterfind("./clock/timer")
            if not any(timer.get("name") == "tsc" and timer.get("frequency") for timer in timers):
                return "has CPU feature invtsc without a TSC frequency"
    return None


def not_running(guest: Condition) -> str | None:
    """Only what runs can be seen to run on after a move."""
    if guest.state == PAUSED and guest.reason == PAUSED_IOERROR:
        return "is paused by an I/O error"
    return f"is {_STATES[guest.state]}" if guest.state in _STATES else None


def silent_qemu(guest: Condition) -> str | None:
    """Its QEMU hangs, so it could not be told to move."""
    return None if guest.answering else "its QEMU does not answer"


def transient_domain(guest: Condition) -> str | None:
    """A domain without a definition belongs to whoever created it, and would be gone for good if it stopped."""
    return None if guest.persistent else "is transient (not defined on its host)"


def snapshots(guest: Condition) -> str | None:
    """It has snapshots: libvirt refuses to migrate it, in every release up to now."""
    return f"has {guest.snapshots} snapshot{'s' if guest.snapshots > 1 else ''}" if guest.snapshots else None


def job(guest: Condition) -> str | None:
    """A job of libvirt (backup, save, dump, migration, ...) is under way."""
    return f"a job is under way: {guest.job}" if guest.job else None


def block_job(guest: Condition) -> str | None:
    """A block job is under way that the XML does not show."""
    return f"a block job runs on disk {guest.block_job}" if guest.block_job else None


def cluster_resource(guest: Condition) -> str | None:
    """A cluster manager on the host (Pacemaker) runs it."""
    return f"belongs to {guest.owner}" if guest.owner is not None else None


FROM_XML: tuple[Callable[[Definition], str | None], ...] = (
    marked_ignore,
    other_manager,
    host_device,
    host_interface,
    host_disk,
    local_disk,
    local_medium,
    local_backing_file,
    transient_disk,
    mirroring_disk,
    shared_directory,
    shared_memory,
    host_memory_device,
    host_tpm,
    host_character_device,
    encrypted_memory,
    invariant_tsc,
)

FROM_STATE: tuple[Callable[[Condition], str | None], ...] = (
    not_running,
    silent_qemu,
    cluster_resource,
    transient_domain,
    snapshots,
    job,
    block_job,
)


def why_not_by_xml(guest: Definition) -> tuple[str, ...]:
    """Return every reason the XML gives, in register order."""
    return tuple(why for reason in FROM_XML if (why := reason(guest)) is not None)


def why_not_now(guest: Condition) -> tuple[str, ...]:
    """Return every reason the present condition gives, in register order."""
    return tuple(why for reason in FROM_STATE if (why := reason(guest)) is not None)
