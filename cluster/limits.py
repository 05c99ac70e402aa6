"""How full a host may be made, and the demand and room in each planned resource, as integers.

`room` is capacity less what is reserved; a limit is a ratio of that. Demand of memory is a guest's maximum plus
overhead, of CPU its use; a resource that a host does not limit has no room figure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from cluster.guest import Guest
from cluster.host import Host


class Resource(StrEnum):
    """The resources a placement is planned in. Values are the units used."""

    CPU = "cpu_millicores"
    MEMORY = "memory_mib"
    VCPUS = "vcpus"
    NET = "net_mbit_s"
    DISK = "disk_mib_s"
    HUGEPAGES = "hugepages_mib"
    LOCAL_DISK = "local_disk_mib"


HELD_AT_BOTH_ENDS = (Resource.MEMORY, Resource.HUGEPAGES, Resource.LOCAL_DISK)
"""Resources a guest under way takes on its source and on its target."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Ratios of (capacity - reserved) that plans keep to; `vcpus_per_core` counts virtual CPUs per core of that."""

    cpu: float = 0.8
    memory: float = 1.0
    network: float = 1.0
    disk: float = 1.0
    vcpus_per_core: float = 8.0


DEMANDS: Mapping[Resource, Callable[[Guest], int]] = MappingProxyType(
    {
        Resource.CPU: lambda guest: guest.usage.cpu_millicores or 0,
        Resource.MEMORY: lambda guest: guest.memory_demand_mib,
        Resource.VCPUS: lambda guest: guest.vcpus,
        Resource.NET: lambda guest: math.ceil(guest.usage.net_mbit_s or 0),
        Resource.DISK: lambda guest: math.ceil(guest.usage.disk_mib_s or 0),
        Resource.HUGEPAGES: lambda guest: guest.hugepages_mib,
        Resource.LOCAL_DISK: lambda guest: guest.local_disk_mib,
    }
)
"""What a guest takes of each resource, rounded up; unknown use counts as nothing (not planned)."""


def demand(guest: Guest, resource: Resource) -> int:
    """Return what a guest takes of a resource, as `DEMANDS` has it."""
    return DEMANDS[resource](guest)


def room(host: Host, resource: Resource) -> int | None:
    """Return capacity less reserved, at least 0, or `None` where the host sets no limit; of vCPUs, whole cores."""
    match resource:
        case Resource.CPU:
            return max(0, host.cpu_millicores - host.reserved.cpu_millicores)
        case Resource.MEMORY:
            return max(0, host.memory_mib - host.reserved.memory_mib)
        case Resource.VCPUS:
            return max(0, host.cpu_millicores - host.reserved.cpu_millicores) // 1000
        case Resource.NET:
            return None if host.net_mbit_s is None else math.floor(host.net_mbit_s)
        case Resource.DISK:
            return None if host.disk_mib_s is None else math.floor(host.disk_mib_s)
        case Resource.HUGEPAGES:
            return host.hugepages_mib
        case Resource.LOCAL_DISK:
            return host.local_disk_mib


def limit(host: Host, resource: Resource, limits: Limits) -> int | None:
    """Return the most of a resource that plans may put on a host, or `None` where it is not limited."""
    if resource is Resource.VCPUS:
        return _share(max(0, host.cpu_millicores - host.reserved.cpu_millicores), limits.vcpus_per_core / 1000)
    whole = room(host, resource)
    if whole is None:
        return None
    ratio = {
        Resource.CPU: limits.cpu,
        Resource.MEMORY: limits.memory,
        Resource.NET: limits.network,
        Resource.DISK: limits.disk,
    }.get(resource, 1.0)
    return _share(whole, ratio)


def _share(whole: int, ratio: float) -> int:
    """Floor of whole x ratio, robust against the last bit of a decimal ratio (0.8 x 5 is 4, not 3)."""
    return math.floor(whole * ratio + 1e-9 * max(1, whole))
