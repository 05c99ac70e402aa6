"""A lab guest: domain XML around the program of `bootimage`, and what tests ask of it from outside."""

from __future__ import annotations

import hashlib
import struct
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from xml.sax.saxutils import quoteattr

from tests.lab import bootimage
from tests.lab.processes import LabError

if TYPE_CHECKING:
    import libvirt

    from tests.lab.hosts import LabHost

METADATA_NAMESPACE = "https://trimtab.dev/xmlns/guest/1"
_NAMESPACE = uuid.UUID("6f3c1b1e-7f0d-5d53-8b59-3a5e0d0b4c77")
_KEY_HOLD_MS = 40
_KEYS = {"1": 2, "2": 3, "3": 4, "4": 5, "5": 6, "6": 7, "7": 8, "8": 9, "9": 10, "0": 11, "d": 32, "c": 46}


@dataclass(frozen=True, slots=True)
class Memory:
    """What a guest's memory says: who it is, and how far it has counted since it was started."""

    signature: bytes
    counter: int


class Hosts(Protocol):
    """What a guest needs of the lab."""

    def where(self, name: str) -> list[str]: ...

    def host(self, name: str) -> LabHost: ...

    def connection(self, name: str) -> libvirt.virConnect: ...


class LabGuest:
    """One guest, wherever it runs now."""

    def __init__(self, lab: Hosts, name: str, signature: bytes) -> None:
        self.name = name
        self.uuid = guest_uuid(name)
        self.signature = signature
        self._lab = lab

    @property
    def host(self) -> str:
        """Name of the one host where it runs; LabError when it runs nowhere or twice."""
        running = self._lab.where(self.name)
        if len(running) != 1:
            raise LabError(f"guest {self.name} runs on {running or 'no host'}: expected exactly one")
        return running[0]

    def domain(self) -> libvirt.virDomain:
        """The domain on the host where it runs, over a connection that the lab owns."""
        return self._lab.connection(self.host).lookupByName(self.name)

    def read(self) -> Memory:
        """Signature and counter out of the guest's memory."""
        import libvirt

        peeked = self.domain().memoryPeek(bootimage.STATE_ADDRESS, bootimage.MEMORY_BYTES, libvirt.VIR_MEMORY_PHYSICAL)
        signature = bytes(peeked[: bootimage.SIGNATURE_BYTES])
        return Memory(signature, struct.unpack("<Q", peeked[bootimage.SIGNATURE_BYTES :])[0])

    def wait_booted(self, seconds: float = 15) -> None:
        """Return when the guest counts and says its own signature."""
        deadline = time.monotonic() + seconds
        while True:
            memory = self.read()
            if memory.signature == self.signature and memory.counter > 0:
                return
            if time.monotonic() > deadline:
                raise LabError(f"guest {self.name} did not start counting in {seconds} s")
            time.sleep(0.05)

    def qemu_pid(self) -> int:
        """Process id of its QEMU on its current host, as this namespace sees it (to kill, stop or continue it)."""
        return self._lab.host(self.host).qemus()[self.name]

    def set_cpu(self, millicores: int) -> None:
        """Turn the CPU dial while the guest runs (not during a migration: libvirt refuses keys then)."""
        self._type(f"{millicores}c")

    def set_dirty(self, mib_s: float) -> None:
        """Turn the dirty-rate dial while the guest runs; at most the hot area is dirty in any one pass."""
        self._type(f"{bootimage.pages_per_tick(mib_s)}d")

    def destroy(self) -> None:
        """Stop it at once where it runs; its definition stays."""
        for host in self._lab.where(self.name):
            self._lab.connection(host).lookupByName(self.name).destroy()

    def _type(self, text: str) -> None:
        import libvirt

        domain = self.domain()
        for character in text:
            domain.sendKey(libvirt.VIR_KEYCODE_SET_LINUX, _KEY_HOLD_MS, [_KEYS[character]], 1, 0)
            # A key that is down still does not repeat, so each is let go before the next.
            time.sleep(2 * _KEY_HOLD_MS / 1000)


def guest_uuid(name: str) -> str:
    """The same name has the same id in every lab."""
    return str(uuid.uuid5(_NAMESPACE, name))


def guest_signature(name: str) -> bytes:
    """16 bytes that no other guest's memory has."""
    return hashlib.sha256(f"trimtab lab {name}".encode()).digest()[: bootimage.SIGNATURE_BYTES]


def metadata_xml(labels: Mapping[str, str], migration: Mapping[str, str], *, ignore: bool = False) -> str:
    """The element of Trimtab's own namespace in a domain's metadata; empty when it would say nothing."""
    children = [f"<trimtab:label key={quoteattr(key)} value={quoteattr(labels[key])}/>" for key in sorted(labels)]
    if migration:
        attributes = " ".join(f"{key}={quoteattr(migration[key])}" for key in sorted(migration))
        children.append(f"<trimtab:migration {attributes}/>")
    if ignore:
        children.append("<trimtab:ignore/>")
    if not children:
        return ""
    return f'<trimtab:guest xmlns:trimtab="{METADATA_NAMESPACE}">{"".join(children)}</trimtab:guest>'


def domain_xml(name: str, image: Path, *, memory_mib: int, vcpus: int, metadata: str, devices: str) -> str:
    """A guest without disk or network card: software emulation, the image loaded as a kernel."""
    return f"""\
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{guest_uuid(name)}</uuid>
  <metadata>{metadata}</metadata>
  <memory unit='MiB'>{memory_mib}</memory>
  <vcpu>{vcpus}</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><kernel>{image}</kernel></os>
  <features><acpi/><tcg><tb-cache unit='MiB'>32</tb-cache></tcg></features>
  <clock offset='utc'/>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='virtio'/>
    {devices}
  </devices>
</domain>
"""
