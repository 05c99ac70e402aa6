"""A guest (virtual machine): what it needs, what it uses, and how it may be moved. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Usage:
    """Measured use. `None` is unknown, never zero: the resource is then not planned.

    CPU unknown is allowed only while the guest's host is unreachable or its figures are stale.
    """

    cpu_millicores: int | None
    memory_mib: int | None = None
    net_mbit_s: float | None = None
    disk_mib_s: float | None = None


@dataclass(frozen=True, slots=True)
class Dirty:
    """Memory dirtying, as sampled: unique MiB per second seen over a period, and the hot set.

    A rate means little without `over_s`, the sampling period: pages dirtied twice within it count once. The hot set is
    the one that samples over two periods speak for; with no end of it in sight, it may come out beyond the memory.
    """

    mib_s: float | None = None
    over_s: float | None = None
    hot_mib: float | None = None


class Compression(StrEnum):
    """How a migration packs memory: pages dirtied again as what changed in them (xbzrle), or all as zstd."""

    NONE = "none"
    XBZRLE = "xbzrle"
    ZSTD = "zstd"


class LocalDisks(StrEnum):
    """What becomes of disks that are on their guest's host only: they keep it there, or are copied with it."""

    STAY = "stay"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class MigrationPolicy:
    """How this guest may be moved. `None`: as the cluster's `[migration]` says."""

    max_downtime_ms: int = 300
    allow_postcopy: bool = False
    latency_sensitive: bool = False
    must_encrypt: bool = False
    auto_converge: bool | None = None
    compression: Compression | None = None
    parallel_connections: int | None = None
    local_disks: LocalDisks | None = None


@dataclass(frozen=True, slots=True)
class Guest:
    """An active guest on a host.

    `memory_mib` is libvirt's maximum; `overhead_mib` what its QEMU needs beside it. `movable` is false with the reason
    in `why_not`. `cpu_model`, `machine`, `storage`, `networks`: what it needs of a host; `None` or empty: nothing.
    `local_disks` names the disks on its host only that a move copies, all of `local_disk_mib`; empty: none is copied.
    `needs` are further things by kind, as `migration.compatibility` has them.
    """

    id: str
    host: str
    vcpus: int
    memory_mib: int
    usage: Usage
    name: str = ""
    overhead_mib: int = 0
    dirty: Dirty = Dirty()
    local_disk_mib: int = 0
    local_disks: tuple[str, ...] = ()
    hugepages_mib: int = 0
    cpu_model: str | None = None
    machine: str | None = None
    storage: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    movable: bool = True
    why_not: str | None = None
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    migration: MigrationPolicy = MigrationPolicy()

    @property
    def title(self) -> str:
        """The name to show to people: the guest's name, or its id when it has none."""
        return self.name or self.id

    @property
    def memory_demand_mib(self) -> int:
        """Memory it takes on a host: its maximum and QEMU's overhead."""
        return self.memory_mib + self.overhead_mib
