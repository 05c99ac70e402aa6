"""The array form that every layer of the solver works on: indices and integers, no names and no policy.

A guest sits in a *seat*: `host x modes + mode`. Modes are the ways to be on a host, each with its own demand (NUMA node
0, node 1, both nodes: resources are then counted per node); where all guests have one mode a seat is a host. Guests not
yet placed sit on a host `outside` with room for all of them, and leaving it is no move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cluster.errors import InputError
from scheduler.solver.forms import ArrayForm, Bools, Index, Ints, MoveCap
from scheduler.solver.goal import GoalArrays
from scheduler.solver.terms import PPM

UNLIMITED = 1 << 50
"""Room of a host that does not limit a resource; sums of demands stay below it."""
MOST_TOTAL = 1 << 61
"""No total may pass this, so that a change of a total still fits into 64 bits."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Instance:
    """A problem over indices.

    `demand` int64[guests, modes, resources]: what a guest takes of its host in each mode; `usable` bool[guests, modes]
    tells which modes it has. `capacity`, `limit`, `cap`
    int64[hosts, resources]: the whole, what plans keep to, and the most a final placement may hold (the limit, or what
    is there already where that is more); `headroom` is the cap of a host that receives a guest. `transient`
    bool[resources] are counted at both ends of a move, within `cap`. `overload_scale` int64[resources] and
    `overload_room` int64[hosts, resources]: use over a limit costs ceil(excess x scale / room). `home` int[guests] is
    the start, as seats. `movable` int[m] are the guests that may move, in rising order, each to the target hosts of
    `masks[mask_of[i]]`, bool[masks, hosts] (`mask_of` int[m] goes by position in `movable`), and home. `mib`
    int64[guests] is what a move of each counts as. `outside` is the host of guests not yet placed, -1 for none.
    """

    demand: Ints
    usable: Bools
    capacity: Ints
    limit: Ints
    cap: Ints
    headroom: Ints
    transient: Bools
    overload_scale: Ints
    overload_room: Ints
    plannable: Bools
    target: Bools
    home: Index
    movable: Index
    mask_of: Index
    masks: Bools
    mib: Ints
    forms: tuple[ArrayForm, ...]
    move_caps: tuple[MoveCap, ...]
    max_moves: int
    max_mib: int
    goal: GoalArrays
    outside: int = -1

    @property
    def hosts(self) -> int:
        """Number of hosts."""
        return len(self.cap)

    @property
    def guests(self) -> int:
        """Number of guests."""
        return len(self.home)

    @property
    def modes(self) -> int:
        """Number of modes."""
        return int(self.demand.shape[1])

    @property
    def choices(self) -> int:
        """Seats of all movable guests together, at most: how many booleans the whole instance would have."""
        return (int(self.masks.sum(axis=1)[self.mask_of].sum()) + len(self.movable)) * self.modes

    @property
    def binding(self) -> tuple[ArrayForm, ...]:
        """Forms that may not get worse."""
        return tuple(form for form in self.forms if form.binding)

    @property
    def soft(self) -> tuple[ArrayForm, ...]:
        """Forms that are part of the goal, in the order of `goal.soft_weights`."""
        return tuple(form for form in self.forms if not form.binding)

    def host_of(self, place: Index) -> Index:
        """Return the hosts of seats."""
        return place // self.modes

    def may_use(self, position: int) -> Bools:
        """Return the hosts that a movable guest may be on, by its position in `movable`, bool[hosts]."""
        hosts: Bools = self.masks[self.mask_of[position]].copy()
        hosts[self.home[self.movable[position]] // self.modes] = True
        return hosts

    def demand_at(self, place: Index) -> Ints:
        """Return every guest's demand in the mode of its seat, int64[guests, resources]."""
        demand: Ints = self.demand[np.arange(self.guests), place % self.modes]
        return demand

    def use(self, place: Index) -> Ints:
        """Return the use of every host, int64[hosts, resources]."""
        held = np.zeros_like(self.cap)
        np.add.at(held, self.host_of(place), self.demand_at(place))
        return held

    def use_while_moving(self, place: Index) -> Ints:
        """Return the use with moved guests counted at both ends, int64[hosts, resources]."""
        held = self.use(place)
        moved = self.moved(place)
        np.add.at(held, self.host_of(self.home)[moved], self.demand_at(self.home)[moved])
        return held

    def moved(self, place: Index) -> Bools:
        """Return which guests have been moved; a guest placed for the first time has not."""
        moved: Bools = (place != self.home) & (self.host_of(self.home) != self.outside)
        return moved

    def overload(self, hosts: Index, use: Ints) -> Ints:
        """Return the overload of `hosts` int[n] at `use` int64[n, resources], int64[n]."""
        excess = np.maximum(0, use - self.limit[hosts])
        parts = -((-excess * self.overload_scale) // np.maximum(1, self.overload_room[hosts]))
        summed: Ints = np.where(self.plannable[hosts], parts.sum(axis=1), 0)
        return summed

    def overload_ratio(self, host: int, resource: int) -> tuple[int, int]:
        """Return (scale, room): the overload of one resource is ceil(excess x scale / room)."""
        return int(self.overload_scale[resource]), max(1, int(self.overload_room[host, resource]))


def make_instance(
    *,
    demand: Ints,
    capacity: Ints,
    home: Index,
    goal: GoalArrays,
    usable: Bools | None = None,
    limit: Ints | None = None,
    headroom: Ints | None = None,
    transient: Bools | None = None,
    overload_scale: Ints | None = None,
    overload_room: Ints | None = None,
    plannable: Bools | None = None,
    target: Bools | None = None,
    movable: Index | None = None,
    mask_of: Index | None = None,
    masks: Bools | None = None,
    mib: Ints | None = None,
    forms: Sequence[ArrayForm] = (),
    move_caps: Sequence[MoveCap] = (),
    max_moves: int | None = None,
    max_mib: int | None = None,
    outside: int = -1,
) -> Instance:
    """Return an instance with what is not given filled in: limits are the capacity, everyone may go everywhere.

    `demand` may be int64[guests, resources] where there is one mode. Raises `InputError` where totals could overflow.
    """
    if demand.ndim == 2:
        demand = demand[:, None, :]
    hosts, guests = len(capacity), len(home)
    limit = capacity if limit is None else limit
    movable = np.arange(guests, dtype=np.intp) if movable is None else movable
    target = np.ones(hosts, dtype=np.bool_) if target is None else target
    if masks is None or mask_of is None:
        masks = target[None, :].copy()
        mask_of = np.zeros(len(movable), dtype=np.intp)
    instance = Instance(
        demand=demand,
        usable=np.ones(demand.shape[:2], dtype=np.bool_) if usable is None else usable,
        capacity=capacity,
        limit=limit,
        cap=limit,
        headroom=limit,
        transient=np.zeros(capacity.shape[1], dtype=np.bool_) if transient is None else transient,
        overload_scale=np.full(capacity.shape[1], PPM, dtype=np.int64) if overload_scale is None else overload_scale,
        overload_room=capacity if overload_room is None else overload_room,
        plannable=np.ones(hosts, dtype=np.bool_) if plannable is None else plannable,
        target=target,
        home=home,
        movable=movable,
        mask_of=mask_of,
        masks=masks,
        mib=np.zeros(guests, dtype=np.int64) if mib is None else mib,
        forms=tuple(forms),
        move_caps=tuple(move_caps),
        max_moves=len(movable) if max_moves is None else min(max_moves, len(movable)),
        max_mib=UNLIMITED if max_mib is None else max_mib,
        goal=goal,
        outside=outside,
    )
    at_start = np.maximum(limit, instance.use(home))
    instance = replace(
        instance, cap=at_start, headroom=at_start if headroom is None else np.minimum(headroom, at_start)
    )
    _refuse_overflow(instance)
    return instance


def _refuse_overflow(instance: Instance) -> None:
    """Refuse figures with which a total could leave 64 bits; every product is worked out in unbounded integers here."""
    goal = instance.goal
    most_use = instance.demand.max(axis=1, initial=0).sum(axis=0) if instance.guests else np.zeros(1, dtype=np.int64)
    every = sum(int(one) for one in most_use.tolist())
    # The use of a host stays within its cap, and there is no more than all guests together.
    use = np.minimum(instance.cap, most_use)
    costs = sum(term.most(use) for term in goal.terms) + sum(abs(int(one)) for one in goal.price.tolist())
    for form, weight in zip(instance.soft, goal.soft_weights, strict=False):
        costs += abs(weight) * len(form.members) ** 2
    if goal.pair_price is not None:
        costs += int(np.abs(goal.pair_price.price).max(initial=0)) * instance.guests
    if goal.crowd is not None:
        costs += abs(goal.crowd.weight) * instance.guests
    overload = every * int(instance.overload_scale.max(initial=1))
    for what, most in (("demand", every), ("overload", overload), ("cost", costs)):
        if most > MOST_TOTAL:
            raise InputError(
                f"problem: the total of {what} could reach {most:.3g}; allowed: {MOST_TOTAL:.3g}: use larger units"
            )
