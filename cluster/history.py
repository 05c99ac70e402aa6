"""Usage history: one ring of fixed 5-minute slots, four weeks long, per owner and metric, packed for one read. Pure.

An owner is a guest, by its id, or a host, as `host_owner` names it.

Layout of a packed ring: header (last slot written as u64, samples in it as u32, then u32 zero), then `SLOTS` values of
u32, little-endian; slot number s stands at index s % SLOTS; `EMPTY` marks a slot with no sample.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

SLOT_S = 300
SLOTS = 28 * 24 * 3600 // SLOT_S
EMPTY = 0xFFFFFFFF
HEADER = struct.Struct("<QII")
RING_BYTES = HEADER.size + 4 * SLOTS


class Metric(StrEnum):
    """What is kept per guest; of a host its own CPU use and, where a meter shows it, the draw of the whole machine."""

    CPU_MILLICORES = "cpu_millicores"
    MEMORY_MIB = "memory_mib"
    NET_MBIT_S = "net_mbit_s"
    DISK_MIB_S = "disk_mib_s"
    DIRTY_MIB_S = "dirty_mib_s"
    MILLIWATTS = "milliwatts"


def host_owner(host: str) -> str:
    """Return the owner of a host's rings. No guest has such an id: guests' are UUIDs."""
    return f"host:{host}"


def slot_of(at: datetime) -> int:
    """Return the number of the 5-minute slot since 1970 that holds a moment."""
    return int(at.timestamp()) // SLOT_S


@dataclass(frozen=True, slots=True)
class UsageRing:
    """A ring as read: `last_slot` is the newest slot written, 0 when nothing was."""

    packed: bytes = b""

    @property
    def last_slot(self) -> int:
        """Number of the newest slot with a sample; 0 for an empty ring."""
        return int(HEADER.unpack_from(self.packed)[0]) if self.packed else 0

    def values(self, first_slot: int, count: int) -> list[int | None]:
        """Return `count` slots from `first_slot` on; `None` where nothing was recorded or it is over four weeks old."""
        last = self.last_slot
        if last == 0:
            return [None] * count
        ring = self._ring()
        return [
            ring[slot % SLOTS] if last - SLOTS < slot <= last and ring[slot % SLOTS] != EMPTY else None
            for slot in range(first_slot, first_slot + count)
        ]

    def latest(self, at: datetime, slots: int) -> list[int]:
        """Return the recorded values of the `slots` slots up to the one that holds `at`, oldest first, without gaps."""
        last = slot_of(at)
        return [value for value in self.values(last - slots + 1, slots) if value is not None]

    def _ring(self) -> array[int]:
        ring = array("I", self.packed[HEADER.size :].ljust(4 * SLOTS, b"\xff")[: 4 * SLOTS])
        if sys.byteorder == "big":
            ring.byteswap()
        return ring


def slot_start(slot: int) -> datetime:
    """Return when a slot begins, UTC."""
    return datetime.fromtimestamp(slot * SLOT_S, UTC)


def with_sample(packed: bytes, at: datetime, value: int) -> bytes:
    """Return the packed ring with a sample added: the reference that every back end's write must agree with.

    A slot's figure is the rounded-down running mean of its samples; slots skipped since the last write become empty; a
    sample older than the newest slot is dropped.
    """
    ring = bytearray(packed) or empty_ring()
    add_sample(ring, at, value)
    return bytes(ring)


def empty_ring() -> bytearray:
    """Return a packed ring without a sample, to be written to."""
    return bytearray(HEADER.pack(0, 0, 0) + b"\xff" * (4 * SLOTS))


def add_sample(ring: bytearray, at: datetime, value: int) -> None:
    """Add a sample to a packed ring in place, as `with_sample` says."""
    slot = slot_of(at)
    last, count, _ = HEADER.unpack_from(ring)
    if slot < last:
        return
    offset = HEADER.size + 4 * (slot % SLOTS)
    if slot == last:
        mean = struct.unpack_from("<I", ring, offset)[0]
        value = (mean * count + value) // (count + 1)
        count += 1
    else:
        for gap in range(max(last + 1, slot - SLOTS + 1) if last else slot, slot):
            struct.pack_into("<I", ring, HEADER.size + 4 * (gap % SLOTS), EMPTY)
        count = 1
    struct.pack_into("<I", ring, offset, min(value, EMPTY - 1))
    HEADER.pack_into(ring, 0, slot, count, 0)


def ring_of(first_slot: int, values: Sequence[int | None]) -> UsageRing:
    """Return the ring that one sample in each slot from `first_slot` on gives; `None`: none. The last four weeks count.

    The newest slot counts as one sample, as after `with_sample` for each.
    """
    slots = [first_slot + number for number, value in enumerate(values) if value is not None]
    if not slots:
        return UsageRing()
    ring = array("I", b"\xff" * (4 * SLOTS))
    for slot in slots[-SLOTS:]:
        if slot > slots[-1] - SLOTS:
            ring[slot % SLOTS] = min(values[slot - first_slot] or 0, EMPTY - 1)
    if sys.byteorder == "big":
        ring.byteswap()
    return UsageRing(HEADER.pack(slots[-1], 1, 0) + ring.tobytes())
