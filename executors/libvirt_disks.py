"""Copies of local disks as libvirt makes them: which disks a migration copies, and whether their target has a place.

libvirt creates the target's file itself, in the storage pool at the same path. It would write over one that is there,
so a place counts only where nothing is: shared storage that was taken for local would be copied onto itself.
Every function is given an open connection and runs inside `LibvirtConnection.call`, which turns libvirt's errors.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.errors import RefusedError

if TYPE_CHECKING:
    import libvirt

MIB = 1 << 20
_NO_STORAGE_POOL, _NO_STORAGE_VOL = 49, 50


@dataclass(frozen=True, slots=True)
class LocalDisk:
    """A disk file to be copied: its name in the guest, where it is on both hosts, and its size when full."""

    name: str
    path: str
    mib: int


def local_disks(connection: libvirt.virConnect, guest: str, names: Sequence[str]) -> tuple[LocalDisk, ...]:
    """Read the disks of these names. `RefusedError` when one is gone or no file of its own any more."""
    domain = connection.lookupByUUIDString(guest)
    by_name: Mapping[str, ET.Element] = {
        target.get("dev", ""): element
        for element in ET.fromstring(domain.XMLDesc(0)).iterfind("./devices/disk[@type='file']")
        if (target := element.find("./target")) is not None
    }
    found = []
    for name in names:
        element = by_name.get(name)
        source = None if element is None else element.find("./source")
        path = "" if source is None else source.get("file", "")
        if element is None or not path or element.find("./backingStore/source") is not None:
            raise RefusedError(f"its disk {name} is not what it was when the plan was made")
        found.append(LocalDisk(name, path, -(-int(domain.blockInfo(name)[0]) // MIB)))
    return tuple(found)


def why_no_place(connection: libvirt.virConnect, disks: Sequence[LocalDisk]) -> str | None:
    """Say why these disks cannot be copied to this host; `None`: each has a pool, room and nothing in its way."""
    import libvirt

    wanted_mib: dict[str, int] = {}
    for disk in disks:
        directory = disk.path.rpartition("/")[0]
        try:
            pool = connection.storagePoolLookupByTargetPath(directory)
            pool.refresh(0)
        except libvirt.libvirtError as error:
            if error.get_error_code() == _NO_STORAGE_POOL:
                return f"no active storage pool is at {directory}, to which disk {disk.name} could be copied"
            raise
        try:
            pool.storageVolLookupByName(disk.path.rpartition("/")[2])
        except libvirt.libvirtError as error:
            if error.get_error_code() != _NO_STORAGE_VOL:
                raise
        else:
            return (
                f"{disk.path} is there already: disk {disk.name} would be written over it; if the storage is shared, "
                "list it in hosts.storage; if it was left by an earlier move, remove it"
            )
        wanted_mib[directory] = wanted_mib.get(directory, 0) + disk.mib
        free_mib = int(pool.info()[3]) // MIB
        if free_mib < wanted_mib[directory]:
            return f"{free_mib} MiB are free in the pool at {directory}, the guest's disks need {wanted_mib[directory]}"
    return None
