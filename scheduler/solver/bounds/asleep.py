"""Bounds for putting hosts to sleep: what that saves when their guests must move, and the memory that must move.

A host asleep has lost every guest that started there, so its saving is less what those moves cost. How load spreads is
relaxed: each unit of load is bought at one price from all hosts alike (Lagrange), and what a host then costs at least
is a minimum over the corners of its curve and of the moves that leave it. At most so many hosts sleep as the packing
bounds allow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scheduler.solver.bounds.packing import most_saved
from scheduler.solver.bounds.reach import Reach
from scheduler.solver.evaluate import GOAL, MIB, MOVES
from scheduler.solver.forms import Bools, Ints
from scheduler.solver.goal import SleepArrays
from scheduler.solver.instance import Instance
from scheduler.solver.search import Search
from scheduler.solver.terms import Curve, Flat, Watts

Floats = NDArray[np.float64]
SLOPES = 24
"""So many prices of a unit of load are tried."""
SURE = 1e-9
"""What a sum of floats is taken to be wrong by at most, as a part of it."""


@dataclass(frozen=True, eq=False)
class Worth:
    """What sleeping is worth at one price of load: the goal is at least `base` less the `saving` of those asleep.

    `saving` float[hosts] is below 0 where a host had better stay on, and -inf where it cannot sleep.
    """

    base: float
    saving: Floats

    def of_best(self, most: int, taken: Ints, spare: Ints) -> float:
        """Return the most that `most` hosts can save, or divisible ones that have taken all that is spare."""
        hosts = np.flatnonzero(self.saving > 0)
        saving = self.saving[hosts]
        best = float(np.sort(saving)[::-1][:most].sum())
        for k in range(taken.shape[1]):
            size = taken[hosts, k]
            order = np.argsort(-saving / np.maximum(size, 1e-9), kind="stable")
            whole = int(np.searchsorted(np.cumsum(size[order]), spare[k], side="right"))
            saved = float(saving[order[:whole]].sum())
            if whole < len(hosts):
                left = int(spare[k]) - int(size[order[:whole]].sum())
                saved += float(saving[order[whole]]) * max(0, left) / max(1, int(size[order[whole]]))
            best = min(best, saved)
        return best


class AsleepBound:
    """Bounds of the goal, and of the memory and the moves that reaching a goal takes, for an instance.

    `applies` tells whether they are known: the goal is power curves and flat costs, and sleep.
    """

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.reach = Reach(instance)
        kinds = [type(term) for term in instance.goal.terms]
        self.applies = instance.goal.sleep is not None and set(kinds) <= {Watts, Flat} and kinds.count(Watts) <= 1

    @cached_property
    def sleep(self) -> SleepArrays:
        """The goal's sleep."""
        sleep = self.instance.goal.sleep
        if sleep is None:
            raise ValueError("a goal without sleep has no such bound")
        return sleep

    @cached_property
    def able(self) -> Bools:
        """Hosts that can be asleep: they may, and nothing there is stuck, bool[hosts]."""
        able = self.sleep.may.copy()
        able[self.instance.host_of(self.instance.home[self.reach.stuck])] = False
        return able

    @cached_property
    def most(self) -> int:
        """Most hosts that can be asleep."""
        alike = replace(self.sleep, idle_cost=self.sleep.asleep_cost + self.able)
        most = most_saved(self.reach, alike)
        for taken, spare in zip(self.taken[self.able].T, self.spare.tolist(), strict=True):
            most = min(most, int(np.searchsorted(np.cumsum(np.sort(taken)), spare, side="right")))
        return most

    @cached_property
    def _caps(self) -> list[tuple[Ints, int]]:
        """Figures int64[m] of the movable guests that could run out, and their cap: moves, and memory moved."""
        counted, instance = self.reach.counted, self.instance
        mib = np.where(counted, instance.mib[instance.movable], 0)
        caps = [(counted.astype(np.int64), instance.max_moves), (mib, instance.max_mib)]
        return [(figures, most) for figures, most in caps if figures.sum() > most]

    @cached_property
    def taken(self) -> Ints:
        """What a host asleep takes of what is `spare`: the reserve's resources, and what is capped, int64[hosts, k]."""
        capped = [self.per_host(figures)[:, None] for figures, _ in self._caps]
        return np.concatenate([self.sleep.offer, *capped], axis=1)

    @cached_property
    def spare(self) -> Ints:
        """What hosts asleep can take of it in all, int64[k]."""
        reserve = self.sleep.offer.sum(axis=0) - self.sleep.need
        return np.concatenate([reserve, np.array([most for _, most in self._caps], dtype=np.int64)])

    @cached_property
    def price(self) -> Ints:
        """Least that moving each movable guest adds, not under 0, int64[m]."""
        goal = self.instance.goal
        price = goal.price[self.instance.movable]
        if goal.pair_price is not None:
            price = price + min(0, int(goal.pair_price.price.min(initial=0)))
        return np.where(self.reach.counted, np.maximum(0, price), 0)

    def per_host(self, figures: Ints) -> Ints:
        """Return the sums of figures int64[m] of movable guests over the hosts they started on, int64[hosts]."""
        sums = np.zeros(self.instance.hosts, dtype=np.int64)
        np.add.at(sums, self.reach.homes, figures)
        return sums

    @cached_property
    def best(self) -> Worth:
        """The worth of sleeping at the price of load where the bound of the goal is highest."""
        slopes = sorted({0.0, *(slope for power in self._curves for slope in _slopes(power) if slope > 0)})
        slopes = slopes[:: max(1, len(slopes) // SLOPES + 1)]
        return max((self.worth(slope) for slope in slopes), key=lambda worth: worth.base - self._saved(worth))

    @cached_property
    def goal(self) -> int:
        """A bound of the goal for every placement."""
        worth = self.best
        whole = np.ceil(np.maximum(0, worth.saving)).astype(np.int64)
        packed = most_saved(self.reach, replace(self.sleep, idle_cost=self.sleep.asleep_cost + whole))
        saved = min(self._saved(worth), packed)
        return math.floor((worth.base - saved) - SURE * (abs(worth.base) + saved) - 1)

    def _saved(self, worth: Worth) -> float:
        return worth.of_best(self.most, self.taken, self.spare)

    @cached_property
    def _watts(self) -> Watts | None:
        return next((term for term in self.instance.goal.terms if isinstance(term, Watts)), None)

    @cached_property
    def _curves(self) -> list[Curve]:
        return [] if self._watts is None else sorted({one for one in self._watts.curves if one}, key=_key)

    def worth(self, slope: float) -> Worth:
        """Return the worth of sleeping when a unit of load is bought at a price of `slope` (not under 0)."""
        instance, sleep = self.instance, self.sleep
        on = self._least_on(slope)
        for term in instance.goal.terms:
            if isinstance(term, Flat):
                on = on + term.cost
        saving = on - sleep.asleep_cost - self.per_host(self.price)
        load = 0 if self._watts is None else self._load(self._watts.column)
        base = slope * load + float(on.sum()) + sleep.constant + self._given_back()
        return Worth(base, np.where(self.able, saving, -np.inf))

    def _load(self, column: int) -> int:
        return int(self.reach.fixed[:, column].sum() + self.reach.least[:, column].sum())

    def _given_back(self) -> int:
        """What prices under 0 can give back at most."""
        goal = self.instance.goal
        price = goal.price[self.instance.movable]
        if goal.pair_price is not None:
            price = price + min(0, int(goal.pair_price.price.min(initial=0)))
        return int(np.minimum(0, price).sum())

    def _least_on(self, slope: float) -> Floats:
        """Least that each host costs when on, over its use: less its load at `slope`, with what leaves it paid for."""
        hosts = self.instance.hosts
        if self._watts is None:
            return np.zeros(hosts)
        use, cost, first = self._corners
        return np.asarray(np.minimum.reduceat(cost - slope * use, first), dtype=np.float64)

    @cached_property
    def _corners(self) -> tuple[Floats, Floats, Ints]:
        """Corners of every host's cost over its use: uses, costs, and where each host's begin.

        Between corners the cost is straight: they are the curve's points, the ends, and where one guest more has left,
        those first that cost least for what they take (guests taken as divisible).
        """
        watts, reach = self._watts, self.reach
        assert watts is not None
        column = watts.column
        taken = reach.at_home[:, column]
        price = np.where(taken > 0, self.price, 0)
        order = np.lexsort((price / np.maximum(1, taken), reach.homes))
        bounds = np.searchsorted(reach.homes[order], np.arange(self.instance.hosts + 1))
        uses, costs, first, at = [], [], [], 0
        for h in range(self.instance.hosts):
            mine = order[bounds[h] : bounds[h + 1]]
            gone = np.concatenate(([0], np.cumsum(taken[mine])))
            paid = np.concatenate(([0], np.cumsum(price[mine])))
            least = int(reach.fixed[h, column])
            home = least + int(gone[-1])
            most = max(home, int(reach.cap[h, column]))
            power = watts.curves[h] or Curve((0,), (0,))
            corners = np.concatenate(([least, most], power.at, home - gone))
            corners = np.unique(np.clip(corners, least, most))
            uses.append(corners)
            costs.append(np.interp(corners, power.at, power.milliwatts) + np.interp(home - corners, gone, paid))
            first.append(at)
            at += len(corners)
        return np.concatenate(uses).astype(np.float64), np.concatenate(costs), np.array(first, dtype=np.int64)

    def least_moved(self, goal: int) -> tuple[int, int]:
        """Return bounds of the MiB and the moves of every placement whose goal is no more than `goal`."""
        worth, counted = self.best, self.reach.counted
        needed = worth.base - goal - SURE * (abs(worth.base) + abs(goal)) - 1
        gains = worth.saving > 0
        mib = self.per_host(np.where(counted, self.instance.mib[self.instance.movable], 0))[gains]
        moves = self.per_host(counted.astype(np.int64))[gains]
        return _cover(mib, worth.saving[gains], needed), _cover(moves, worth.saving[gains], needed)


def _cover(weight: Ints, saving: Floats, needed: float) -> int:
    """Least weight of hosts that save `needed` together: so many at least, and divisible ones."""
    if needed <= 0 or not len(weight):
        return 0
    sums = np.cumsum(np.sort(saving)[::-1])
    many = int(np.searchsorted(sums, needed)) + 1
    by_number = int(np.sort(weight)[:many].sum())
    order = np.argsort(weight / saving, kind="stable")
    sums, weights = np.cumsum(saving[order]), np.cumsum(weight[order])
    whole = int(np.searchsorted(sums, needed))
    if whole >= len(weight):
        return by_number
    before = float(sums[whole - 1]) if whole else 0.0
    part = float(weight[order][whole]) * (needed - before) / float(saving[order][whole])
    divisible = (float(weights[whole - 1]) if whole else 0.0) + part
    return max(by_number, math.ceil(divisible * (1 - SURE) - 1e-6))


def _slopes(power: Curve) -> list[float]:
    return [
        (power.milliwatts[i + 1] - power.milliwatts[i]) / (power.at[i + 1] - power.at[i])
        for i in range(len(power.at) - 1)
    ]


def _key(power: Curve) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return power.at, power.milliwatts


def raise_bounds(search: Search, asleep: AsleepBound) -> None:
    """Raise the bounds of the goal and of the tiers after it, as they are for the incumbent."""
    if not asleep.applies:
        return
    search.raise_bound(GOAL, asleep.goal)
    mib, moves = asleep.least_moved(search.value[GOAL])
    search.raise_bound(MIB, mib)
    search.raise_bound(MOVES, moves)
