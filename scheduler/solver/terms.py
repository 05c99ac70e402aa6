"""What a host costs at its use: terms over arrays, in integers; the goal sums them over all hosts.

Each term answers `at(hosts, use)`, exact and vectorised; the compiled search has the same terms as tables
(`kernels/tables.py`), and a law of the tests holds the two together to the unit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from cluster.host import Host
from scheduler.solver.forms import Bools, Ints

PPM = 1_000_000
UNKNOWN_CURVE = ((0.0, 100.0), (1.0, 300.0))
"""(CPU load, watts) assumed of a host without a power curve: a common two-socket server."""


class HostTerm(Protocol):
    """What a host that is on costs at its use."""

    def at(self, hosts: Ints, use: Ints) -> Ints:
        """Return the costs, int64[n], of `hosts` int[n] at `use` int64[n, resources]."""

    def most(self, use: Ints) -> int:
        """Return a bound on the sum of |cost| over all hosts with a use of at most `use` int64[hosts, resources]."""


@dataclass(frozen=True, eq=False)
class EvenUse:
    """Sum over two resources of (u - U)^2, u rounded to the nearest millionth of the host's room.

    `columns` are the resources' columns, `room` int64[hosts, 2] (1 where skipped), `counted` bool[hosts, 2], `mean`
    int64[2] is U in millionths. One unit is 1e-12.
    """

    columns: tuple[int, int]
    room: Ints
    counted: Bools
    mean: Ints

    def deviation(self, hosts: Ints, use: Ints) -> Ints:
        """Return u - U in millionths, int64[n, 2]; 0 where not counted."""
        room = self.room[hosts]
        ratio = (2 * PPM * use[:, self.columns] + room) // (2 * room)
        return np.where(self.counted[hosts], ratio - self.mean, 0)

    def at(self, hosts: Ints, use: Ints) -> Ints:
        deviation = self.deviation(hosts, use)
        squares: Ints = (deviation * deviation).sum(axis=1)
        return squares

    def most(self, use: Ints) -> int:
        total = 0
        for i, column in enumerate(self.columns):
            at_most = int(self.mean[i]) + 1
            for amount, room, counted in zip(
                use[:, column].tolist(), self.room[:, i].tolist(), self.counted[:, i].tolist(), strict=True
            ):
                total += max(at_most, PPM * amount // room + 1) ** 2 if counted else 0
        return total


@dataclass(frozen=True)
class Curve:
    """A power curve as integers: `at` millicores the host draws `milliwatts`; straight between, flat after the last."""

    at: tuple[int, ...]
    milliwatts: tuple[int, ...]

    def draw(self, millicores: Ints) -> Ints:
        """Milliwatts at a CPU use, rounded up."""
        if len(self.at) == 1:
            return np.full(np.shape(millicores), self.milliwatts[0], dtype=np.int64)
        x, y = np.array(self.at, dtype=np.int64), np.array(self.milliwatts, dtype=np.int64)
        load = np.minimum(millicores, x[-1])
        part = np.clip(np.searchsorted(x, load, side="right") - 1, 0, len(x) - 2)
        rise, run = y[part + 1] - y[part], x[part + 1] - x[part]
        drawn: Ints = y[part] - (-(load - x[part]) * rise) // run
        return drawn


def curve(host: Host, room_millicores: int) -> Curve:
    """Return a host's power curve over its CPU use, load 1 being all of capacity less reserved."""
    at: list[int] = []
    milliwatts: list[int] = []
    for load, watts in host.power.watts or UNKNOWN_CURVE:
        where = round(load * room_millicores)
        if at and where <= at[-1]:
            continue
        at.append(where)
        milliwatts.append(round(watts * 1000))
    if at[0] > 0:
        at.insert(0, 0)
        milliwatts.insert(0, milliwatts[0])
    return Curve(tuple(at), tuple(milliwatts))


@dataclass(frozen=True, eq=False)
class Watts:
    """Milliwatts of the hosts that are on, by their curve over one resource; hosts without a curve cost nothing."""

    column: int
    curves: tuple[Curve | None, ...]

    @cached_property
    def _points(self) -> tuple[Ints, Ints]:
        """Every host's `at` and `milliwatts`, int64[hosts, points], shorter curves filled up with their last point."""
        curves = [power or Curve((0,), (0,)) for power in self.curves]
        points = max((len(power.at) for power in curves), default=1) + 1
        at = [power.at + (power.at[-1],) * (points - len(power.at)) for power in curves]
        milliwatts = [power.milliwatts + (power.milliwatts[-1],) * (points - len(power.at)) for power in curves]
        shape = (len(curves), points)
        return np.array(at, dtype=np.int64).reshape(shape), np.array(milliwatts, dtype=np.int64).reshape(shape)

    def at(self, hosts: Ints, use: Ints) -> Ints:
        x, y = (points[hosts] for points in self._points)
        load = use[:, self.column]
        part = np.maximum(0, np.minimum(x.shape[1] - 1, (x <= load[:, None]).sum(axis=1)) - 1)[:, None]
        start, end = np.take_along_axis(x, part, 1)[:, 0], np.take_along_axis(x, part + 1, 1)[:, 0]
        before, after = np.take_along_axis(y, part, 1)[:, 0], np.take_along_axis(y, part + 1, 1)[:, 0]
        drawn: Ints = before - (-(np.minimum(load, end) - start) * (after - before)) // np.maximum(1, end - start)
        return drawn

    def most(self, use: Ints) -> int:
        return sum(max(power.milliwatts) for power in self.curves if power is not None)


@dataclass(frozen=True, eq=False)
class Flat:
    """The same whatever the use: `cost` int64[hosts]. With sleeping, what a host costs for being on."""

    cost: Ints

    def at(self, hosts: Ints, use: Ints) -> Ints:
        cost: Ints = self.cost[hosts]
        return cost

    def most(self, use: Ints) -> int:
        return sum(abs(one) for one in self.cost.tolist())


@dataclass(frozen=True, eq=False)
class SoftLimit:
    """Weight x what the use of a resource is over its soft limit (a target utilisation).

    `limit` int64[hosts, resources] (`UNLIMITED` where there is none), `weight` int64[resources].
    """

    limit: Ints
    weight: Ints

    def at(self, hosts: Ints, use: Ints) -> Ints:
        cost: Ints = np.maximum(0, use - self.limit[hosts]) @ self.weight
        return cost

    def most(self, use: Ints) -> int:
        over = np.maximum(0, use - self.limit).sum(axis=0)
        return sum(amount * abs(weight) for amount, weight in zip(over.tolist(), self.weight.tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class SpareRatio:
    """Weight x what the second resource's free amount is short of `target` times the first's (memory per core, say).

    `capacity` int64[hosts, 2] for `columns`; free = capacity - use, negative when overloaded.
    """

    columns: tuple[int, int]
    capacity: Ints
    target: int
    weight: int

    def at(self, hosts: Ints, use: Ints) -> Ints:
        free = self.capacity[hosts] - use[:, self.columns]
        short: Ints = self.weight * np.maximum(0, self.target * free[:, 0] - free[:, 1])
        return short

    def most(self, use: Ints) -> int:
        first, second = (max(0, int(self.capacity[:, i].sum())) for i in (0, 1))
        return abs(self.weight) * (abs(self.target) * first + second + int(use[:, self.columns].sum()))


@dataclass(frozen=True, eq=False)
class FreeSlots:
    """Minus `worth` for each whole slot of `size` that is free of a resource; `capacity` int64[hosts], 0: no slots."""

    column: int
    capacity: Ints
    size: int
    worth: int = 1

    def at(self, hosts: Ints, use: Ints) -> Ints:
        slots: Ints = np.maximum(0, self.capacity[hosts] - use[:, self.column]) // self.size
        return -self.worth * slots

    def most(self, use: Ints) -> int:
        return abs(self.worth) * sum(int(one) // self.size for one in np.maximum(0, self.capacity).tolist())


def total_at(terms: Iterable[HostTerm], hosts: Ints, use: Ints) -> Ints:
    """Return the sum of terms, int64[n], for `hosts` int[n] at `use` int64[n, resources]."""
    total = np.zeros(len(hosts), dtype=np.int64)
    for term in terms:
        total = total + term.at(hosts, use)
    return total
