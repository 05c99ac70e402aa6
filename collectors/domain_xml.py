"""A domain's XML, read into the facts a plan needs. Pure; the XML format is libvirt's (formatdomain)."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from cluster.guest import LocalDisks
from collectors.disks import Disk, SharedStorage, read_disks
from collectors.metadata import GuestMetadata, owner_of, read_metadata
from collectors.movability import Definition, why_not_by_xml
from collectors.needs import read_needs

MIB = 1024 * 1024
_UNITS = {
    "b": 1,
    "bytes": 1,
    "KB": 10**3,
    "k": 2**10,
    "KiB": 2**10,
    "MB": 10**6,
    "M": 2**20,
    "MiB": 2**20,
    "GB": 10**9,
    "G": 2**30,
    "GiB": 2**30,
    "TB": 10**12,
    "T": 2**40,
    "TiB": 2**40,
}


@dataclass(frozen=True, slots=True)
class DomainFacts:
    """What a domain's XML says.

    `virt_type` is `kvm`, `qemu` (emulated), ...; `cpu_mode` libvirt's mode, `cpu_model` its named model, if any;
    `why_not` the reasons against a live migration that the XML shows; `needs` those of a host.
    """

    uuid: str
    name: str
    virt_type: str
    memory_mib: int
    vcpus: int
    machine: str | None
    cpu_mode: str
    cpu_model: str | None
    networks: tuple[str, ...]
    disks: tuple[Disk, ...]
    hugepages_mib: int
    metadata: GuestMetadata
    why_not: tuple[str, ...]
    needs: tuple[str, ...] = ()
    copies_disks: bool = False

    @property
    def storage(self) -> tuple[str, ...]:
        """Names of the shared storage its disks are on, sorted."""
        return tuple(sorted({disk.storage for disk in self.disks if disk.storage is not None}))

    @property
    def local_disks(self) -> tuple[Disk, ...]:
        """Writable disks that would have to be copied to another host."""
        return tuple(disk for disk in self.disks if disk.local and disk.device in ("disk", "lun"))


def copied_disks(facts: DomainFacts) -> tuple[Disk, ...]:
    """Return the disks that a move of the guest would copy: all local ones where policy says so, or none."""
    return facts.local_disks if facts.copies_disks else ()


def read_domain(text: str, shared: SharedStorage, local_disks: LocalDisks = LocalDisks.STAY) -> DomainFacts:
    """Read a domain's XML. `ValueError` when it is not a domain's. `local_disks`: the cluster's policy for them."""
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise ValueError(f"not XML: {error}") from None
    uuid, memory = root.findtext("./uuid"), root.find("./memory")
    if root.tag != "domain" or not uuid or memory is None:
        raise ValueError(f"not a domain with a uuid and memory: <{root.tag}>")
    disks = read_disks(root, shared)
    metadata = read_metadata(root)
    copies = (metadata.migration.local_disks or local_disks) is LocalDisks.COPY
    definition = Definition(root, disks, owner_of(root), metadata.ignore, copies)
    cpu = root.find("./cpu")
    os_type = root.find("./os/type")
    memory_mib = math.ceil(_bytes(memory) / MIB)
    return DomainFacts(
        uuid=uuid,
        name=root.findtext("./name") or "",
        virt_type=root.get("type", ""),
        memory_mib=memory_mib,
        vcpus=_vcpus(root),
        machine=os_type.get("machine") if os_type is not None else None,
        cpu_mode="" if cpu is None else cpu.get("mode", "custom"),
        cpu_model=root.findtext("./cpu/model"),
        networks=_networks(root),
        disks=disks,
        hugepages_mib=memory_mib if root.find("./memoryBacking/hugepages") is not None else 0,
        metadata=metadata,
        why_not=why_not_by_xml(definition),
        needs=read_needs(root),
        copies_disks=copies,
    )


def _vcpus(root: ET.Element) -> int:
    element = root.find("./vcpu")
    if element is None:
        return 1
    return int(element.get("current") or element.text or "1")


def _bytes(element: ET.Element) -> int:
    return int(element.text or "0") * _UNITS.get(element.get("unit", "KiB"), 2**10)


def _networks(root: ET.Element) -> tuple[str, ...]:
    """Names of what the host must have for its interfaces: libvirt networks, bridges, devices (macvtap)."""
    names = set()
    for interface in root.iterfind("./devices/interface"):
        source = interface.find("./source")
        key = {"network": "network", "bridge": "bridge", "direct": "dev"}.get(interface.get("type", ""))
        if source is not None and key is not None and source.get(key):
            names.add(source.get(key, ""))
    return tuple(sorted(names))
