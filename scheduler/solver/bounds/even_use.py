"""A bound for even use: how far the hosts over the mean can be lowered, and those under it raised, by so much memory.

Moved memory bounds how much of each resource can leave the hosts above the mean and reach those below it (the densest
guests first, divisible); lowering and raising by that amount is a convex water-filling.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scheduler.solver.bounds.reach import Reach
from scheduler.solver.terms import PPM, EvenUse

Floats = NDArray[np.float64]
GRID = 512
SLOPES = 128
LARGE = 1 << 40
"""Hosts with more room than this, as good as without limit, are left out: their squares would swamp all others."""


def even_use_bound(reach: Reach, cost: EvenUse, priced: bool) -> int:
    """Return a bound of one term, with `priced` together with what the moves cost."""
    instance = reach.instance
    counted = reach.counted
    mib = instance.mib[instance.movable].astype(np.float64)[counted]
    most = int(instance.max_moves)
    whole = min(float(np.sort(mib)[::-1][:most].sum()), float(instance.max_mib))
    moved = np.linspace(0.0, whole, GRID)
    use = instance.use(instance.home)
    squares = np.zeros(GRID)
    terms = 0
    for i, resource in enumerate(cost.columns):
        hosts = np.flatnonzero(cost.counted[:, i] & (cost.room[:, i] < LARGE))
        if not len(hosts):
            continue
        terms += len(hosts)
        room = cost.room[hosts, i].astype(np.float64)
        off = use[hosts, resource] / room - cost.mean[i] / PPM
        leaving, arriving = (
            _frontier(amount[counted].astype(np.float64), mib, moved, most) + float(amount[~counted].sum())
            for amount in (reach.at_home[:, resource], reach.most[:, resource])
        )
        squares += _filled(off, room, leaving) + _filled(-off, room, arriving)
    # Each rounded deviation is at most half a millionth off, so the root of the sum at most half the root of the terms.
    root = np.maximum(0.0, np.sqrt(np.maximum(0.0, squares)) * PPM - math.sqrt(terms) * 0.5001)
    price = _price_per_mib(reach) * moved if priced else np.zeros(GRID)
    # Between two grid points no more is reached than at the right one, no less is paid than at the left one.
    between = root[1:] ** 2 + price[:-1]
    best = min(float(between.min()), float(root[-1] ** 2 + price[-1]))
    return max(0, math.floor(best * (1 - 1e-9) - 1))


def _price_per_mib(reach: Reach) -> float:
    instance = reach.instance
    movable = instance.movable[reach.counted]
    price, mib = instance.goal.price[movable], instance.mib[movable]
    known = mib > 0
    return max(0.0, float((price[known] / mib[known]).min())) if known.any() else 0.0


def _frontier(amount: Floats, mib: Floats, moved: Floats, most: int) -> Floats:
    """Most of a resource that `moved` MiB of guests can carry, the densest guests first and divisible."""
    if not len(mib):
        return np.zeros_like(moved)
    free = float(amount[mib <= 0].sum())
    top = float(np.sort(amount)[::-1][:most].sum())
    amount, mib = amount[mib > 0], mib[mib > 0]
    order = np.argsort(-amount / mib, kind="stable")
    x = np.concatenate(([0.0], np.cumsum(mib[order])))
    y = np.concatenate(([0.0], np.cumsum(amount[order]))) + free
    return np.minimum(np.interp(moved, x, y), top)


def _filled(off: Floats, room: Floats, reach: Floats) -> Floats:
    """Least sum of squares of the positive `off` when `reach` of the resource may be taken away in all.

    With multiplier a, host h ends at min(off, a room): that gives points of a convex curve, and its tangents bound it.
    """
    above = off > 0
    if not above.any():
        return np.zeros_like(reach)
    off, room = off[above], room[above]
    order = np.argsort(off / room, kind="stable")
    off, room = off[order], room[order]
    ratio = off / room
    slopes = np.concatenate((np.quantile(ratio, np.linspace(0, 1, SLOPES)), np.linspace(0.0, ratio[-1], SLOPES)))
    # Hosts up to `cut` keep what they have, all others end at slope x room.
    cut = np.searchsorted(ratio, slopes, side="right")
    kept = np.concatenate(([0.0], np.cumsum(off * off)))[cut]
    rooms = np.concatenate((np.cumsum((room * room)[::-1])[::-1], [0.0]))[cut]
    over = np.concatenate((np.cumsum((off * room)[::-1])[::-1], [0.0]))[cut]
    value = kept + slopes * slopes * rooms
    taken = over - slopes * rooms
    tangents = value[:, None] - 2 * slopes[:, None] * (reach[None, :] - taken[:, None])
    bound: Floats = np.maximum(0.0, tangents.max(axis=0))
    return bound
