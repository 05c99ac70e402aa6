"""What no placement can change, and where all else can be: the figures that every bound starts from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scheduler.solver.forms import Bools, Index, Ints
from scheduler.solver.instance import Instance


@dataclass(frozen=True, eq=False)
class Reach:
    """An instance with, if `none_left`, only the placements in which no guest is left where it should not be."""

    instance: Instance
    none_left: bool = False

    @cached_property
    def stuck(self) -> Bools:
        """Guests that never move, bool[guests]."""
        stuck = np.ones(self.instance.guests, dtype=np.bool_)
        stuck[self.instance.movable] = False
        return stuck

    @cached_property
    def fixed(self) -> Ints:
        """Use by guests that never move, int64[hosts, resources]."""
        instance, stuck = self.instance, self.stuck
        held = np.zeros_like(instance.cap)
        np.add.at(held, instance.host_of(instance.home[stuck]), instance.demand_at(instance.home)[stuck])
        return held

    @cached_property
    def homes(self) -> Index:
        """Hosts that the movable guests start on, int[m]."""
        return self.instance.host_of(self.instance.home[self.instance.movable])

    @cached_property
    def open(self) -> Bools:
        """Hosts that a movable guest may be on at all, bool[hosts]."""
        instance = self.instance
        hosts = np.zeros(instance.hosts, dtype=np.bool_)
        for mask in np.unique(instance.mask_of).tolist():
            hosts |= instance.masks[mask]
        hosts[self.homes] = True
        if self.none_left:
            hosts &= ~instance.goal.left
        return hosts

    @cached_property
    def at_home(self) -> Ints:
        """What each movable guest takes at the start, int64[m, resources]."""
        instance = self.instance
        demand: Ints = instance.demand[instance.movable, instance.home[instance.movable] % instance.modes]
        return demand

    @cached_property
    def usable(self) -> Bools:
        """Modes that each movable guest can be in on some host, bool[m, modes]."""
        instance = self.instance
        most = instance.cap.max(axis=0, initial=0)
        usable = (instance.demand[instance.movable] <= most).all(axis=2) & instance.usable[instance.movable]
        usable[np.arange(len(instance.movable)), instance.home[instance.movable] % instance.modes] = True
        return np.asarray(usable, dtype=np.bool_)

    def least_sum(self, columns: list[int]) -> Ints:
        """Least that each movable guest takes of some resources together, in any mode, int64[m]."""
        demand = self.instance.demand[self.instance.movable][:, :, columns].sum(axis=2)
        lowest: Ints = np.where(self.usable, demand, np.iinfo(np.int64).max).min(axis=1, initial=np.iinfo(np.int64).max)
        return lowest

    @cached_property
    def least(self) -> Ints:
        """Least that each movable guest takes of each resource in any mode, int64[m, resources]."""
        demand = self.instance.demand[self.instance.movable]
        worst = np.iinfo(np.int64).max
        lowest: Ints = np.where(self.usable[:, :, None], demand, worst).min(axis=1, initial=worst)
        return lowest

    @cached_property
    def most(self) -> Ints:
        """Most that each movable guest takes of each resource in any mode, int64[m, resources]."""
        demand = self.instance.demand[self.instance.movable]
        highest: Ints = np.where(self.usable[:, :, None], demand, 0).max(axis=1, initial=0)
        return highest

    @cached_property
    def cap(self) -> Ints:
        """Most use that a host can end with, int64[hosts, resources].

        One that receives a guest keeps head-room, and one that does not ends with no more than it has, in one mode.
        """
        instance = self.instance
        if instance.modes > 1:
            return instance.cap
        return np.minimum(instance.cap, np.maximum(instance.headroom, instance.use(instance.home)))

    @cached_property
    def counted(self) -> Bools:
        """Movable guests whose moves count, bool[m]; placing one for the first time does not."""
        return np.asarray(self.homes != self.instance.outside, dtype=np.bool_)


def at_most(gain: Ints, mib: Ints, moves: int, most_mib: int) -> int:
    """Return a bound on the sum of gains of at most `moves` guests of at most `most_mib` altogether; gains >= 0."""
    if not len(gain) or moves <= 0:
        return 0
    chosen = np.sort(gain)[::-1][:moves]
    total = int(chosen.sum())
    if int(mib.sum()) <= most_mib:
        return total
    free = mib <= 0
    within = int(gain[free].sum())
    gain, mib = gain[~free], mib[~free]
    order = np.argsort(-gain / mib, kind="stable")
    left = most_mib
    for one in order.tolist():
        if mib[one] > left:
            # The rest of the room filled with a part of this guest, rounded up.
            within += -(-int(gain[one]) * left // int(mib[one]))
            break
        left -= int(mib[one])
        within += int(gain[one])
    return min(total, within)
