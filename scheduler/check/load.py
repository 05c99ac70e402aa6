"""The checker's own arithmetic of load: demand, room and limits of each host, as exact fractions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import ceil, floor

from cluster.guest import Guest
from cluster.host import Host
from cluster.limits import Limits
from cluster.snapshot import Snapshot

RESOURCES = ("cpu", "memory", "vcpus", "network", "disk", "huge pages", "local disk")
FIXED_RESOURCES = ("memory", "vcpus", "huge pages", "local disk")
"""Resources that a guest takes by its definition; use of the others drifts by itself."""


_DEMAND: Mapping[str, Callable[[Guest], int]] = {
    "cpu": lambda guest: guest.usage.cpu_millicores or 0,
    "memory": lambda guest: guest.memory_mib + guest.overhead_mib,
    "vcpus": lambda guest: guest.vcpus,
    "network": lambda guest: ceil(guest.usage.net_mbit_s or 0),
    "disk": lambda guest: ceil(guest.usage.disk_mib_s or 0),
    "huge pages": lambda guest: guest.hugepages_mib,
    "local disk": lambda guest: guest.local_disk_mib,
}
_ROOM: Mapping[str, Callable[[Host], Fraction | int | None]] = {
    "cpu": lambda host: host.cpu_millicores - host.reserved.cpu_millicores,
    "memory": lambda host: host.memory_mib - host.reserved.memory_mib,
    "vcpus": lambda host: Fraction(host.cpu_millicores - host.reserved.cpu_millicores, 1000),
    "network": lambda host: None if host.net_mbit_s is None else floor(host.net_mbit_s),
    "disk": lambda host: None if host.disk_mib_s is None else floor(host.disk_mib_s),
    "huge pages": lambda host: host.hugepages_mib,
    "local disk": lambda host: host.local_disk_mib,
}


def demand_of(guest: Guest, resource: str) -> int:
    """Return a guest's demand; unknown use is not planned and counts as nothing."""
    return _DEMAND[resource](guest)


def room_of(host: Host, resource: str) -> Fraction | int | None:
    """Return capacity less what is reserved (virtual CPUs: cores), or `None` where nothing limits it."""
    found = _ROOM[resource](host)
    return None if found is None else max(0, found)


@cache
def ratio_of(limits: Limits, resource: str) -> Fraction:
    """Return how full a resource may be made, as a ratio of room."""
    ratios = {"cpu": limits.cpu, "memory": limits.memory, "network": limits.network, "disk": limits.disk}
    if resource == "vcpus":
        return Fraction(str(limits.vcpus_per_core))
    return Fraction(str(ratios.get(resource, 1.0)))


def most_of(host: Host, resource: str, limits: Limits) -> int | None:
    """Return the most of a resource that plans may put on a host, in whole units, as all demands are."""
    whole = room_of(host, resource)
    return None if whole is None else _share(whole, ratio_of(limits, resource))


@cache
def _share(whole: Fraction | int, ratio: Fraction) -> int:
    """Return a share in whole units. Hosts come in few kinds, and exact fractions are slow."""
    return floor(whole * ratio)


def use_of(guests: Iterable[Guest], resource: str) -> int:
    """Return the demand of some guests together."""
    return sum(map(_DEMAND[resource], guests))


def guests_on(snapshot: Snapshot, placement: Mapping[str, str]) -> dict[str, list[Guest]]:
    """Return the guests on each host under a placement."""
    on: dict[str, list[Guest]] = {host.id: [] for host in snapshot.hosts}
    for guest in snapshot.guests:
        on[placement[guest.id]].append(guest)
    return on


@dataclass(frozen=True, slots=True)
class Overload:
    """A resource of a host used over its limit; `excess` is what is over it, as a ratio of the host's room."""

    host: Host
    resource: str
    used: int
    most: int
    excess: Fraction


def overloads(snapshot: Snapshot, placement: Mapping[str, str], limits: Limits) -> Iterator[Overload]:
    """Yield every overload of a plannable host. No room at all counts as one unit of it, so that ratios stay finite."""
    on = guests_on(snapshot, placement)
    for host in snapshot.hosts:
        if snapshot.why_unplannable(host) is not None:
            continue
        for resource in RESOURCES:
            whole, most = room_of(host, resource), most_of(host, resource, limits)
            used = use_of(on[host.id], resource)
            if whole is None or most is None or used <= most:
                continue
            unit = Fraction(1, 1000) if resource == "vcpus" else Fraction(1)
            yield Overload(host, resource, used, most, Fraction(used - most) / max(whole, unit))
