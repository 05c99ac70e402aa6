"""The planner with perfect foresight: the least energy for which hosts can be on, all demand being known in advance.

Hosts of one kind are alike, so a plan is a number of hosts on per kind and slot, and its cost that of the hosts on, of
the rest asleep, and of each wake and each sleep in between. The cheapest one over the whole time is found by dynamic
programming, exactly, over all such numbers. It keeps the limits with their head-room, the reserve and N+1, in the sum
over the hosts that are on, at every slot. Load is shared out at the least watts that the curves allow (the hull from
below of each kind's curve, filled in the order of watts per core), as if guests could be cut in pieces; moves are
free and instant; minimum times and cycles per day are left out. What it finds is therefore a bound: no plan under the
same constraints draws less, and what a real planner with perfect foresight saves is at most what this one saves. To
be held to a share of it is the stricter reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from benchmarks.integers import IntArray
from benchmarks.thirty_days.load import SLOT_S, Weeks
from cluster.host import Host
from cluster.limits import Limits

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Keeps:
    """What every plan keeps to: limits, the share of them left free, hosts in reserve, and hosts that may be lost."""

    limits: Limits
    headroom_ratio: float
    reserve_hosts: int
    spare_hosts: int = 1


@dataclass(frozen=True, slots=True)
class Perfect:
    """The bound and its plan: `kwh`, `hosts_on` [kind, slot] in the order of `kinds`, and the wakes in it."""

    kwh: float
    kinds: tuple[str, ...]
    hosts_on: IntArray
    wakes: int


@dataclass(frozen=True, slots=True)
class _Kind:
    """Hosts that are alike: how many, what one offers, its watts idle and asleep, joules of a wake and of a sleep.

    `segments` is the hull of its curve, up to what it may be loaded to: (watts per millicore, millicores).
    """

    name: str
    count: int
    cpu: float
    memory: float
    idle_watts: float
    sleep_watts: float
    wake_joules: float
    sleep_joules: float
    segments: tuple[tuple[float, float], ...]


def perfect(weeks: Weeks, keeps: Keeps) -> Perfect:
    """Return the cheapest plan for the measured days. It begins with all hosts on, as every course does.

    A slot whose demand not even all hosts on can take with head-room and reserve has them all on.
    """
    kinds = _kinds(weeks.hosts, keeps)
    demand = weeks.measured.sum(axis=0).astype(np.float64)
    memory = float(sum(guest.memory_demand_mib for guest in weeks.guests))
    states = _States(kinds, keeps, memory)
    values = np.full(states.shape, np.inf)
    values[tuple(-1 for _ in states.shape)] = 0.0
    # To go back along the best plan, values are kept at every so many slots and worked out anew in between.
    stride = max(1, int(len(demand) ** 0.5))
    kept: dict[int, FloatArray] = {}
    for slot, wanted in enumerate(demand):
        if slot % stride == 0:
            kept[slot] = values
        values = states.reached(values) + states.joules(float(wanted))
    least = float(values.min())
    path = np.zeros((len(demand), len(kinds)), dtype=np.int64)
    at = np.unravel_index(int(values.argmin()), states.shape)
    for begin in sorted(kept, reverse=True):
        slots = range(begin, min(begin + stride, len(demand)))
        before = [kept[begin]]
        for slot in slots[:-1]:
            before.append(states.reached(before[-1]) + states.joules(float(demand[slot])))
        for slot, values in zip(reversed(slots), reversed(before), strict=True):
            path[slot] = at
            at = np.unravel_index(int((values + states.joules_between(path[slot])).argmin()), states.shape)
    wakes = int(np.maximum(0, np.diff(path, axis=0)).sum())
    return Perfect(least / 3.6e6, tuple(kind.name for kind in kinds), path.T, wakes)


def _kinds(hosts: tuple[Host, ...], keeps: Keeps) -> tuple[_Kind, ...]:
    alike: dict[tuple[object, ...], list[Host]] = {}
    for host in hosts:
        alike.setdefault((host.cpu_millicores, host.memory_mib, host.reserved, host.power), []).append(host)
    return tuple(_kind(members[0], len(members), keeps) for members in alike.values())


def _kind(host: Host, count: int, keeps: Keeps) -> _Kind:
    power = host.power
    cpu = (host.cpu_millicores - host.reserved.cpu_millicores) * keeps.limits.cpu
    idle = power.watts[0][1]
    return _Kind(
        name=host.labels.get("kind", host.id),
        count=count,
        cpu=cpu,
        memory=(host.memory_mib - host.reserved.memory_mib) * keeps.limits.memory,
        idle_watts=idle,
        sleep_watts=power.sleep_watts,
        wake_joules=power.wake_s * (idle - power.sleep_watts),
        sleep_joules=power.sleep_s * (idle - power.sleep_watts),
        segments=_hull(power.watts, host.cpu_millicores, cpu),
    )


def _hull(curve: tuple[tuple[float, float], ...], millicores: int, most: float) -> tuple[tuple[float, float], ...]:
    """Return the hull from below of a curve of (load, watts) up to a load in millicores."""
    loads, watts = zip(*curve, strict=True)
    points = [(load * millicores, drawn) for load, drawn in curve if load * millicores < most]
    points.append((most, float(np.interp(most / millicores, loads, watts))))
    hull: list[tuple[float, float]] = []
    for x, y in points:
        while len(hull) > 1 and (hull[-1][1] - hull[-2][1]) * (x - hull[-2][0]) >= (y - hull[-2][1]) * (
            hull[-1][0] - hull[-2][0]
        ):
            hull.pop()
        hull.append((x, y))
    return tuple(((b[1] - a[1]) / (b[0] - a[0]), b[0] - a[0]) for a, b in pairwise(hull))


class _States:
    """All numbers of hosts on per kind, as one array with an axis per kind, and what each costs."""

    def __init__(self, kinds: tuple[_Kind, ...], keeps: Keeps, memory_mib: float) -> None:
        self._kinds = kinds
        self.shape = tuple(kind.count + 1 for kind in kinds)
        counts = np.indices(self.shape)
        self._base: FloatArray = np.zeros(self.shape)
        for kind, on in zip(kinds, counts, strict=True):
            self._base += on * kind.idle_watts + (kind.count - on) * kind.sleep_watts
        ordered = sorted((watts, width, i) for i, kind in enumerate(kinds) for watts, width in kind.segments)
        self._slopes = [watts for watts, _, _ in ordered]
        self._widths = [counts[i] * width for _, width, i in ordered]
        self._below = list(np.cumsum([np.zeros(self.shape), *self._widths[:-1]], axis=0))
        self._most_cpu = _offered(counts, [kind.cpu for kind in kinds], keeps)
        # Not even all hosts on may keep the head-room in the busiest slots.
        self._most_cpu[tuple(-1 for _ in kinds)] = np.inf
        most_memory = _offered(counts, [kind.memory for kind in kinds], keeps)
        self._holds_memory = most_memory >= memory_mib
        self._holds_memory[tuple(-1 for _ in kinds)] = True

    def joules(self, demand: float) -> FloatArray:
        """Return what each state draws in one slot; infinite where it does not hold the demand."""
        watts = self._base.copy()
        for slope, width, below in zip(self._slopes, self._widths, self._below, strict=True):
            watts += slope * np.clip(demand - below, 0.0, width)
        joules: FloatArray = np.where(self._holds_memory & (self._most_cpu >= demand), watts * SLOT_S, np.inf)
        return joules

    def reached(self, values: FloatArray) -> FloatArray:
        """Return the least of each state's value after any number of wakes and sleeps, kind by kind."""
        least = values.copy()
        for axis, kind in enumerate(self._kinds):
            rows = np.moveaxis(least, axis, 0)
            for on in range(1, kind.count + 1):
                np.minimum(rows[on : on + 1], rows[on - 1 : on] + kind.wake_joules, out=rows[on : on + 1])
            for on in range(kind.count - 1, -1, -1):
                np.minimum(rows[on : on + 1], rows[on + 1 : on + 2] + kind.sleep_joules, out=rows[on : on + 1])
        return least

    def joules_between(self, to: IntArray) -> FloatArray:
        """Return what it takes to come to one state from each."""
        total: FloatArray = np.zeros(self.shape)
        for axis, kind in enumerate(self._kinds):
            more = int(to[axis]) - np.arange(kind.count + 1)
            cost = np.where(more > 0, more * kind.wake_joules, -more * kind.sleep_joules)
            total += cost.reshape([-1 if i == axis else 1 for i in range(len(self._kinds))])
        return total


def _offered(counts: IntArray, each: list[float], keeps: Keeps) -> FloatArray:
    """Return the demand that each state may hold: with head-room beside the reserve, and without the hosts lost."""
    whole: FloatArray = np.tensordot(np.array(each), counts.astype(np.float64), axes=1)
    kept = (1 - keeps.headroom_ratio) * (whole - _largest(counts, each, keeps.reserve_hosts))
    return np.minimum(kept, whole - _largest(counts, each, keeps.spare_hosts))


def _largest(counts: IntArray, each: list[float], hosts: int) -> FloatArray:
    """Return what the largest so many hosts that are on offer, in each state."""
    left = np.full(counts.shape[1:], hosts)
    total: FloatArray = np.zeros(counts.shape[1:])
    for i in sorted(range(len(each)), key=lambda one: -each[one]):
        taken = np.minimum(left, counts[i])
        total += taken * each[i]
        left = left - taken
    return total
