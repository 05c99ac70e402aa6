"""What the load would draw at least if it were shared out best among the hosts that are on. Pure.

A bound: guests are divisible and their memory is not asked for. A host's curve counts as its lower convex hull, for
what it may be filled to; load is poured where the next millicore costs least.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from cluster.host import Host
from cluster.limits import Limits, Resource, limit, room
from cluster.power_curves import UNKNOWN, watts_at
from cluster.snapshot import Snapshot

Point = tuple[float, float]


def watts_to_save(snapshot: Snapshot, limits: Limits, fill_ratio: float) -> tuple[float, float]:
    """Return the watts that hosts which take guests draw now, and how much less they could with the same load."""
    now = poured = load = 0.0
    pieces: list[tuple[float, float]] = []
    for host in snapshot.hosts:
        whole = room(host, Resource.CPU) or 0
        if snapshot.why_no_target(host) is not None or not whole:
            continue
        use = sum(guest.usage.cpu_millicores or 0 for guest in snapshot.guests_by_host[host.id])
        curve = host.power.watts or UNKNOWN
        now += watts_at(curve, use / whole)
        load += use
        hull = hull_of(points_of(host, whole, max(use, fill_ratio * (limit(host, Resource.CPU, limits) or 0))))
        poured += hull[0][1]
        for (low, low_watts), (high, high_watts) in pairwise(hull):
            pieces.append(((high_watts - low_watts) / (high - low), high - low))
    for slope, size in sorted(pieces):
        taken = min(size, load)
        poured += slope * taken
        load -= taken
    return now, max(0.0, now - poured)


def points_of(host: Host, whole: int, most: float) -> list[Point]:
    """Return a host's watts over its CPU use, up to `most` millicores."""
    curve = host.power.watts or UNKNOWN
    inner = [(ratio * whole, watts) for ratio, watts in curve if 0 < ratio * whole < most]
    return (
        [(0.0, watts_at(curve, 0.0)), *inner, (most, watts_at(curve, most / whole))]
        if most > 0
        else [(0.0, watts_at(curve, 0.0))]
    )


def hull_of(points: Iterable[Point]) -> list[Point]:
    """Return the lower convex hull of points, whose first coordinates rise."""
    hull: list[Point] = []
    for point in points:
        while len(hull) > 1 and _turns_down(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _turns_down(first: Point, middle: Point, last: Point) -> bool:
    return (middle[1] - first[1]) * (last[0] - first[0]) >= (last[1] - first[1]) * (middle[0] - first[0])
