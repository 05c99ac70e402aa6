"""The CPU that migrations themselves take at both ends, beside what a host's guests use. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.limits import Limits, Resource, demand, limit
from cluster.snapshot import Snapshot


def spare_millicores(snapshot: Snapshot, limits: Limits) -> dict[str, int]:
    """Return what each host's CPU limit leaves beside its guests, by id; under 0 where it is passed already."""
    spare = {host.id: limit(host, Resource.CPU, limits) or 0 for host in snapshot.hosts}
    for guest in snapshot.guests:
        if guest.host in spare:
            spare[guest.host] -= demand(guest, Resource.CPU)
    return spare


def has_cpu_beside(host: str, running: int, overhead_millicores: int, spare: Mapping[str, int]) -> bool:
    """Tell whether a host has CPU for one more migration beside those `running` from or to it.

    The only one there always may: a host over its limit has to be left somehow. Of a host nobody knows, as well.
    """
    return not running or host not in spare or (running + 1) * overhead_millicores <= spare[host]
