"""The goal over arrays, in integers: host terms, prices of moves, guests left, and sleeping.

Units are the policy's: balance in 1e-12 (squares of millionths of a host's room), consolidate in milliwatts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from scheduler.solver.forms import Bools, Index, Ints
from scheduler.solver.terms import HostTerm, total_at


@dataclass(frozen=True, eq=False)
class SleepArrays:
    """Who may sleep, what a host costs asleep and idle, and the reserve.

    `idle_cost` is what the host terms give at no use; asleep, `asleep_cost` stands in its place. `offer`
    int64[hosts, k] is what a usable host can hold of some resources; `need` int64[k] what the hosts that stay on must
    offer altogether (where even all of them fall short, none may sleep). `constant` is what those asleep already cost.
    """

    may: Bools
    asleep_cost: Ints
    idle_cost: Ints
    offer: Ints
    need: Ints
    constant: int = 0

    def derive(self, occupied: Bools) -> Bools:
        """Which empty hosts to put to sleep, bool[hosts]: the greatest saving first while the reserve holds."""
        asleep = np.zeros(len(self.may), dtype=np.bool_)
        saving = self.idle_cost - self.asleep_cost
        worth = self.may & ~occupied & (saving > 0)
        spare = self.offer.sum(axis=0) - self.need
        if not self.offer.any():
            return worth if (spare >= 0).all() else asleep
        order = np.lexsort((np.arange(len(saving)), -saving))
        for host in order[worth[order]]:
            if (spare >= self.offer[host]).all():
                asleep[host] = True
                spare = spare - self.offer[host]
        return asleep

    def reserve_holds(self, asleep: Bools) -> bool:
        """Tell whether the hosts that stay on offer enough."""
        return not asleep.any() or bool((self.offer[~asleep].sum(axis=0) >= self.need).all())


@dataclass(frozen=True, eq=False)
class PairPrice:
    """What a move costs by where from and where to: `price` int64[zones, zones], `zone` int[hosts]."""

    zone: Ints
    price: Ints

    def of(self, sources: Ints, targets: Ints) -> Ints:
        """Return the prices of moves between hosts, int64[n]."""
        price: Ints = self.price[self.zone[sources], self.zone[targets]]
        return price


@dataclass(frozen=True, eq=False)
class Crowd:
    """`weight` x the most guests moved of any one group; `group` int[guests], -1 for none."""

    group: Ints
    weight: int

    def cost(self, moved: Bools) -> int:
        """Return the cost for the guests moved, bool[guests]."""
        counted = self.group[moved & (self.group >= 0)]
        return self.weight * int(np.bincount(counted).max()) if len(counted) else 0


@dataclass(frozen=True, eq=False)
class GoalArrays:
    """The goal: tier name, host terms, integer price per moved guest, weight of each soft form's broken thing.

    `scale` turns the integer into the float of the plan. `left` bool[hosts]: guests found there count in a tier before
    the goal, each `left_weight` (hosts being drained; the host outside, where guests not yet placed are).
    """

    terms: tuple[HostTerm, ...]
    price: Ints
    left: Bools
    left_weight: Ints
    tier: str = "cost"
    scale: float = 1.0
    soft_weights: tuple[int, ...] = ()
    pair_price: PairPrice | None = None
    crowd: Crowd | None = None
    sleep: SleepArrays | None = None
    rms_threshold: float = 0.0
    hosts: Index = field(default_factory=lambda: np.zeros(0, dtype=np.intp))

    def at(self, hosts: Index, use: Ints) -> Ints:
        """Return the host terms' sum, int64[n], for `hosts` int[n] at `use` int64[n, resources]."""
        return total_at(self.terms, hosts, use)

    def rms(self, integer: int) -> float:
        """Root mean square deviation of a balance value."""
        return math.sqrt(integer / (2 * max(1, len(self.hosts)))) / 1_000_000
