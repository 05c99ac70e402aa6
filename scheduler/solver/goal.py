"""The policy's goal over arrays, in integers: a cost per host from its use, a price per moved guest, and sleeping.

Units: balance in 1e-12 (squares of millionths of a host's room), consolidate in milliwatts, drain as balance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from cluster.host import Host
from scheduler.solver.forms import Bools, Index, Ints

PPM = 1_000_000
UNKNOWN_CURVE = ((0.0, 100.0), (1.0, 300.0))
"""(CPU load, watts) assumed of a host without a power curve: a common two-socket server."""


class HostCost(Protocol):
    """What a host that is on costs at its use; the goal sums it over all hosts."""

    def at(self, hosts: Index, use: Ints) -> Ints:
        """Return the costs, int64[n], of `hosts` int[n] at `use` int64[n, resources]."""


@dataclass(frozen=True, eq=False)
class NoCost:
    """Nothing: repair has no goal of its own."""

    def at(self, hosts: Index, use: Ints) -> Ints:
        return np.zeros(len(hosts), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class EvenUse:
    """Sum over CPU and memory of (u - U)^2, u rounded to the nearest millionth of the host's room.

    `columns` are the resources' columns, `room` int64[hosts, 2] (1 where skipped), `counted` bool[hosts, 2], `mean`
    int64[2] is U in millionths.
    """

    columns: tuple[int, int]
    room: Ints
    counted: Bools
    mean: Ints

    def deviation(self, hosts: Index, use: Ints) -> Ints:
        """Return u - U in millionths, int64[n, 2]; 0 where not counted."""
        room = self.room[hosts]
        ratio = (2 * PPM * use[:, self.columns] + room) // (2 * room)
        return np.where(self.counted[hosts], ratio - self.mean, 0)

    def at(self, hosts: Index, use: Ints) -> Ints:
        deviation = self.deviation(hosts, use)
        squares: Ints = (deviation * deviation).sum(axis=1)
        return squares


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
    """Milliwatts of the hosts that are on, by their curve; hosts that are not counted cost nothing."""

    column: int
    curves: tuple[Curve | None, ...]

    def at(self, hosts: Index, use: Ints) -> Ints:
        drawn = np.zeros(len(hosts), dtype=np.int64)
        for one in np.unique(hosts):
            power = self.curves[int(one)]
            if power is not None:
                rows = np.flatnonzero(hosts == one)
                drawn[rows] = power.draw(use[rows, self.column])
        return drawn


@dataclass(frozen=True, eq=False)
class SleepArrays:
    """Who may sleep, what a host asleep costs (its draw asleep and its share of going and waking), and the reserve.

    `offer` int64[hosts, 2] is what a usable host can hold of CPU and memory under its limits less head-room; `need`
    int64[2] is the use on usable hosts now plus what the `reserve_hosts` largest of them offer. The hosts that stay on
    offer at least `need` altogether; where even all of them fall short, none may sleep. `constant` is the draw, in
    milliwatts, of those asleep already.
    """

    may: Bools
    asleep_milliwatts: Ints
    idle_milliwatts: Ints
    offer: Ints
    need: Ints
    constant: int

    def derive(self, place: Index) -> Bools:
        """Which empty hosts to put to sleep, bool[hosts]: the greatest saving first while the reserve holds."""
        asleep = np.zeros(len(self.may), dtype=np.bool_)
        occupied = np.bincount(place, minlength=len(self.may)) > 0
        saving = self.idle_milliwatts - self.asleep_milliwatts
        spare = self.offer.sum(axis=0) - self.need
        for host in np.lexsort((np.arange(len(saving)), -saving)):
            if not self.may[host] or occupied[host] or saving[host] <= 0:
                continue
            if (spare >= self.offer[host]).all():
                asleep[host] = True
                spare = spare - self.offer[host]
        return asleep

    def reserve_holds(self, asleep: Bools) -> bool:
        """Tell whether the hosts that stay on offer enough."""
        return not asleep.any() or bool((self.offer[~asleep].sum(axis=0) >= self.need).all())


@dataclass(frozen=True, eq=False)
class GoalArrays:
    """The goal: tier name, host costs, integer price per moved guest, weight of each soft form's broken thing.

    `scale` turns the integer into the float of the plan. `drained` bool[hosts] counts guests left as a tier before.
    """

    tier: str
    scale: float
    cost: HostCost
    price: Ints
    drained: Bools
    soft_weights: tuple[int, ...] = ()
    sleep: SleepArrays | None = None
    rms_threshold: float = 0.0
    hosts: Index = field(default_factory=lambda: np.zeros(0, dtype=np.intp))

    def rms(self, integer: int) -> float:
        """Root mean square deviation of a balance value."""
        return math.sqrt(integer / (2 * max(1, len(self.hosts)))) / PPM
