"""A guest's disks, as its XML has them, and which of them other hosts can reach. Pure.

How storage is named, in a guest's and a host's `storage`:

| disk | name | shared |
| --- | --- | --- |
| network (rbd, gluster, iscsi, nbd, ...) | `rbd:POOL`, `gluster:VOLUME`, `iscsi:TARGET`, `nbd:HOST`, ... | yes |
| file or block device below a shared path | that path, such as `/srv/vms` | yes |
| volume of a libvirt pool | as the network or path that the pool stands for | as that |
| anything else | none: it is a local disk | no |

A local disk keeps its guest where it is, unless policy lets it be copied and libvirt can. Shared paths are
those that the operator lists in the host's `storage`, the
targets of libvirt's network file system pools, and (seen by an agent on the host) mounts of network and cluster file
systems.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

SHARED_FILE_SYSTEMS = frozenset(
    {
        "nfs",
        "nfs4",
        "ceph",
        "fuse.ceph",
        "fuse.glusterfs",
        "glusterfs",
        "gfs2",
        "ocfs2",
        "cifs",
        "smb3",
        "lustre",
        "gpfs",
        "beegfs",
        "fuse.moosefs",
        "fuse.juicefs",
        "vxfs",
    }
)

_SHARED_DEVICES = (("/dev/drbd", "drbd"), ("/dev/mapper/mpath", "multipath"), ("/dev/rbd", "krbd"))
_NETWORK_POOLS = frozenset({"rbd", "gluster", "sheepdog", "iscsi-direct"})
_MOUNTED_POOLS = frozenset({"netfs", "vstorage"})
_DEVICE_POOLS = frozenset({"iscsi", "mpath", "scsi"})
_COPY_POOLS = frozenset({"dir", "fs"})
_COPY_FORMATS = frozenset({"raw", "qcow2"})


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of a guest. `storage` names the shared storage it is on, `None` for a local disk.

    `kind` is libvirt's source type (`file`, `block`, `network`, `volume`, `nvme`, ...), `device` its role (`disk`,
    `cdrom`, `floppy`, `lun`), `target` its name in the guest. `pool` is the directory of the storage pool that a local
    disk can be copied from, to one at the same path elsewhere; empty: it cannot be copied.
    """

    target: str
    device: str
    kind: str
    path: str = ""
    storage: str | None = None
    readonly: bool = False
    transient: bool = False
    mirroring: bool = False
    local_backing: str = ""
    pool: str = ""

    @property
    def local(self) -> bool:
        """It is on this host only."""
        return self.storage is None


@dataclass(frozen=True, slots=True)
class Pool:
    """A libvirt storage pool: its type, where it is seen on the host, and what it is made from."""

    name: str
    kind: str
    target: str = ""
    source: str = ""
    available_mib: int | None = None

    @property
    def takes_copies(self) -> bool:
        """Libvirt can create files in it for disks that it copies here."""
        return self.kind in _COPY_POOLS and bool(self.target)


@dataclass(frozen=True, slots=True)
class SharedStorage:
    """What is known of shared storage on a host: path prefixes, and libvirt's pools by name."""

    paths: tuple[str, ...] = ()
    pools: Mapping[str, Pool] = field(default_factory=dict)

    def below(self, path: str) -> str | None:
        """Return the longest shared path that holds `path`, or the name of its kind of shared device."""
        pure = PurePosixPath(path)
        targets = (pool.target for pool in self.pools.values() if pool.kind in _MOUNTED_POOLS | _DEVICE_POOLS)
        holding = [shared for shared in (*self.paths, *targets) if shared and pure.is_relative_to(shared)]
        if holding:
            return max(holding, key=len)
        if path.startswith("/dev/disk/by-path/") and "-iscsi-" in path:
            return "iscsi"
        return next((name for beginning, name in _SHARED_DEVICES if path.startswith(beginning)), None)


def read_pool(text: str) -> Pool:
    """Read a pool's XML."""
    root = ET.fromstring(text)
    source = root.find("./source")
    name = root.findtext("./source/name") or ""
    if not name and source is not None:
        device = source.find("./device")
        name = device.get("path", "") if device is not None else ""
    available = root.findtext("./available") or ""
    available_mib = int(available) >> 20 if available.isdigit() else None
    return Pool(
        root.findtext("./name") or "", root.get("type", ""), root.findtext("./target/path") or "", name, available_mib
    )


def read_disks(domain: ET.Element, shared: SharedStorage) -> tuple[Disk, ...]:
    """Read all disks that have something in them."""
    disks = (_read_disk(element, shared) for element in domain.iterfind("./devices/disk"))
    return tuple(disk for disk in disks if disk is not None)


def _read_disk(element: ET.Element, shared: SharedStorage) -> Disk | None:
    source = element.find("./source")
    kind = element.get("type", "file")
    if source is None:
        return None
    path = source.get("file") or source.get("dev") or source.get("dir") or source.get("name") or ""
    if kind in ("file", "block", "dir") and not path:
        return None
    target = element.find("./target")
    storage = _storage(kind, source, path, shared)
    return Disk(
        target=target.get("dev", "") if target is not None else "",
        device=element.get("device", "disk"),
        kind=kind,
        path=path,
        storage=storage,
        readonly=element.find("./readonly") is not None,
        transient=element.find("./transient") is not None,
        mirroring=element.find("./mirror") is not None,
        local_backing=_local_backing(element, shared),
        pool=_pool_to_copy(element, kind, path, shared) if storage is None else "",
    )


def _storage(kind: str, source: ET.Element, path: str, shared: SharedStorage) -> str | None:
    if kind == "network":
        return _network_name(source)
    if kind == "volume":
        pool = shared.pools.get(source.get("pool", ""))
        return None if pool is None else _pool_storage(pool, shared)
    return shared.below(path) if path else None


def _network_name(source: ET.Element) -> str:
    protocol = source.get("protocol", "network")
    name = source.get("name", "").lstrip("/").partition("/")[0]
    host = source.find("./host")
    address = host.get("name") or host.get("socket") or "" if host is not None else ""
    by_address = protocol in ("nbd", "http", "https", "ftp", "ftps", "tftp", "ssh")
    return f"{protocol}:{address or name if by_address else name or address}"


def _pool_storage(pool: Pool, shared: SharedStorage) -> str | None:
    if pool.kind in _NETWORK_POOLS:
        return f"{pool.kind.removesuffix('-direct')}:{pool.source}"
    if pool.kind in _MOUNTED_POOLS | _DEVICE_POOLS:
        return pool.target or pool.name
    return shared.below(pool.target) if pool.target else None


def _local_backing(element: ET.Element, shared: SharedStorage) -> str:
    for backing in element.iter("backingStore"):
        source = backing.find("./source")
        path = source.get("file") or source.get("dev") or "" if source is not None else ""
        if path and shared.below(path) is None:
            return path
    return ""


def _pool_to_copy(element: ET.Element, kind: str, path: str, shared: SharedStorage) -> str:
    """Return the directory of the pool that a local disk can be copied from, or nothing.

    libvirt creates the target's volume only for a file right in a pool's directory. A disk that stands on another
    image, is encrypted, shared with other guests or read-only is not copied.
    """
    driver = element.find("./driver")
    if kind != "file" or driver is None or driver.get("type") not in _COPY_FORMATS or element.get("device") == "lun":
        return ""
    backed = element.find("./backingStore/source") is not None or element.find("./source/encryption") is not None
    if backed or any(element.find(f"./{mark}") is not None for mark in ("shareable", "readonly", "encryption")):
        return ""
    directory = str(PurePosixPath(path).parent)
    pools = (pool for pool in shared.pools.values() if pool.takes_copies)
    return directory if any(str(PurePosixPath(pool.target)) == directory for pool in pools) else ""


def shared_mounts(mountinfo: str) -> tuple[str, ...]:
    """Return where network and cluster file systems are mounted, from the text of `/proc/self/mountinfo`."""
    found = set()
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.partition(" ")[0]
        if len(fields) >= 5 and kind in SHARED_FILE_SYSTEMS:
            found.add(fields[4].replace("\\040", " "))
    return tuple(sorted(found))
