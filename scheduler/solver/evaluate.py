"""The one exact definition of what a placement is worth: integers, compared as tuples, smallest first.

Tiers in order, with units: broken hard rules (count), broken rules (count; hard and repair), overload (millionths of
a host's room), guests left where they should not be (weighted count), the goal (its own unit), MiB moved, moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cluster.rules import Enforcement
from scheduler.solver.forms import Bools, Index, Ints
from scheduler.solver.instance import Instance


class Value(NamedTuple):
    """Value of a placement in every tier, as integers."""

    hard: int
    broken: int
    overload: int
    left: int
    goal: int
    mib: int
    moves: int


TIERS = len(Value._fields)
HARD, BROKEN, OVERLOAD, LEFT, GOAL, MIB, MOVES = range(TIERS)


@dataclass(frozen=True, eq=False, slots=True)
class Counts:
    """What the value of a placement is made of.

    `use` int64[hosts, resources], `costs` (the host terms) and `overload` int64[hosts], `broken` int64[forms].
    """

    use: Ints
    costs: Ints
    overload: Ints
    broken: Ints


def count(instance: Instance, place: Index) -> Counts:
    """Return the counts of a placement."""
    use, every = instance.use(place), np.arange(instance.hosts)
    hosts = instance.host_of(place)
    broken = np.array([form.broken(hosts) for form in instance.forms], dtype=np.int64)
    return Counts(use, instance.goal.at(every, use), instance.overload(every, use), broken)


def evaluate(instance: Instance, place: Index, asleep: Bools | None = None, counts: Counts | None = None) -> Value:
    """Return the value of a placement; `asleep` bool[hosts] are the hosts put to sleep, derived when not given.

    `counts` are those of the placement, where the caller has them.
    """
    goal = instance.goal
    counts = counts or count(instance, place)
    hosts, homes = instance.host_of(place), instance.host_of(instance.home)
    moved = instance.moved(place)
    hard = broken = 0
    worth = int(counts.costs.sum()) + int(goal.price[moved].sum())
    soft_weights = iter(goal.soft_weights)
    for form, things in zip(instance.forms, counts.broken.tolist(), strict=True):
        if not form.binding:
            worth += next(soft_weights, 0) * things
            continue
        broken += things
        hard += things if form.enforcement is Enforcement.HARD else 0
    if goal.pair_price is not None:
        worth += int(goal.pair_price.of(homes[moved], hosts[moved]).sum())
    if goal.crowd is not None:
        worth += goal.crowd.cost(moved)
    if goal.sleep is not None:
        sleeping = goal.sleep.derive(occupied(instance, place)) if asleep is None else asleep
        worth += int((goal.sleep.asleep_cost - goal.sleep.idle_cost)[sleeping].sum()) + goal.sleep.constant
    return Value(
        hard=hard,
        broken=broken,
        overload=int(counts.overload.sum()),
        left=int(goal.left_weight[goal.left[hosts]].sum()),
        goal=worth,
        mib=int(instance.mib[moved].sum()),
        moves=int(moved.sum()),
    )


def occupied(instance: Instance, place: Index) -> Bools:
    """Return which hosts hold a guest, bool[hosts]."""
    held: Bools = np.bincount(instance.host_of(place), minlength=instance.hosts) > 0
    return held


def why_not_valid(
    instance: Instance, place: Index, asleep: Bools | None = None, counts: Counts | None = None
) -> str | None:
    """Say which constraint a placement breaks (targets, capacity, head-room, rules made worse, caps), or `None`.

    `counts` are those of the placement, where the caller has them.
    """
    counts = counts or count(instance, place)
    hosts, homes = instance.host_of(place), instance.host_of(instance.home)
    stray = _stray(instance, place, hosts, homes)
    if stray is not None:
        return f"guest {stray} may not take seat {place[stray]} (host {hosts[stray]})"
    received = np.zeros(instance.hosts, dtype=np.bool_)
    received[hosts[hosts != homes]] = True
    over = np.argwhere(counts.use > np.where(received[:, None], instance.headroom, instance.cap))
    if len(over):
        return f"over capacity: host {over[0][0]}, resource {over[0][1]}"
    if instance.transient.any():
        over = np.argwhere((instance.use_while_moving(place) > instance.cap)[:, instance.transient])
        if len(over):
            return f"over capacity while moving: host {over[0][0]}"
    for form, broken in zip(instance.forms, counts.broken.tolist(), strict=True):
        if broken and form.binding and broken > form.broken(homes):
            return f"worse: {form.rule}"
    moved = instance.moved(place)
    if moved.sum() > instance.max_moves:
        return f"{moved.sum()} moves; at most {instance.max_moves}"
    if instance.mib[moved].sum() > instance.max_mib:
        return f"{instance.mib[moved].sum()} MiB moved; at most {instance.max_mib}"
    for cap in instance.move_caps:
        if moved[cap.members].sum() > cap.at_most:
            return f"too many moves: {cap.rule}"
    sleep = instance.goal.sleep
    if sleep is None or asleep is None:
        return None
    if asleep[hosts].any() or (asleep & ~sleep.may).any() or not sleep.reserve_holds(asleep):
        return "a host may not sleep"
    return None


def _stray(instance: Instance, place: Index, hosts: Index, homes: Index) -> int | None:
    """Return a guest that may not be where it is: moved though not movable, or to a host or mode not for it."""
    changed = place != instance.home
    allowed = np.zeros(len(instance.movable), dtype=np.bool_)
    if len(instance.movable):
        allowed = instance.masks[instance.mask_of, hosts[instance.movable]]
    allowed |= hosts[instance.movable] == homes[instance.movable]
    allowed &= instance.usable[instance.movable, place[instance.movable] % instance.modes]
    changed[instance.movable[allowed]] = False
    return int(np.flatnonzero(changed)[0]) if changed.any() else None
