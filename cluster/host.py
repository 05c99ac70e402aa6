"""A host: what it offers, how it is, and what it draws. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class PowerState(StrEnum):
    """Power state as observed. Only a host that is `on` takes guests."""

    ON = "on"
    ASLEEP = "asleep"
    OFF = "off"
    WAKING = "waking"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reserved:
    """What a host keeps for itself, taken off its capacity before planning."""

    cpu_millicores: int = 0
    memory_mib: int = 0


@dataclass(frozen=True, slots=True)
class PowerModel:
    """Power state and energy figures of a host.

    `watts` is a curve of (CPU load ratio, watts), load rising strictly from 0; empty when unknown.
    Only a `controllable` host may be put to sleep.
    """

    state: PowerState = PowerState.ON
    controllable: bool = False
    watts: tuple[tuple[float, float], ...] = ()
    sleep_watts: float = 0.0
    wake_s: float = 180.0
    sleep_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Host:
    """A libvirt host at one moment.

    Capacities are whole, before `reserved`; `None` means not limited (network, disk, huge pages, local disk) or
    "reaches everything" (`cpu_models`, `machines`, `storage`, `networks`). `offers` are further things by kind, as
    `migration.compatibility` has them; a kind that is not among them is not known. `migration_tls`: whether QEMU's
    certificates for encrypted migrations are there; `None`: not known.
    """

    id: str
    cpu_millicores: int
    memory_mib: int
    net_mbit_s: float | None = None
    disk_mib_s: float | None = None
    hugepages_mib: int | None = None
    local_disk_mib: int | None = None
    reserved: Reserved = Reserved()
    migration_mbit_s: float | None = None
    reachable: bool = True
    measured_at: datetime | None = None
    domains: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    cpu_models: tuple[str, ...] | None = None
    machines: tuple[str, ...] | None = None
    storage: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None
    offers: tuple[str, ...] = ()
    power: PowerModel = PowerModel()
    cordoned: bool = False
    failing: bool = False
    libvirt_version: str | None = None
    qemu_version: str | None = None
    migration_tls: bool | None = None

    def domain(self, key: str) -> str:
        """Return this host's cell of a domain kind: `host` is the host itself, as is a key it does not name."""
        if key == "host":
            return self.id
        return self.domains.get(key, self.id)
