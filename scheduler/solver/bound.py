"""Lower bounds that need no search: relaxations worked out in closed form, valid for the exact integer values.

Balance: moved memory m bounds how much of each resource can leave the hosts above the mean and reach those below it
(the densest guests first, divisible); lowering and raising by that amount is a convex water-filling. Consolidate: a
divisible covering of the room that must stay on, and the shallowest slope of the curves for the load.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scheduler.solver.evaluate import Value
from scheduler.solver.forms import Ints, Masked
from scheduler.solver.goal import PPM, EvenUse, Watts
from scheduler.solver.instance import CPU, Instance

Floats = NDArray[np.float64]
GRID = 512


def analytic(instance: Instance) -> Value:
    """Return a bound of each tier that holds for every valid placement."""
    broken = hard = 0
    stuck = np.ones(len(instance.home), dtype=np.bool_)
    stuck[instance.movable] = False
    for form in instance.binding:
        if isinstance(form, Masked):
            certain = int((stuck[form.members] & (form.cell[instance.home[form.members]] == 0)).sum())
            broken += certain
            hard += certain if form.enforcement.value == "hard" else 0
    fixed = np.zeros_like(instance.room)
    np.add.at(fixed, instance.home[stuck], instance.demand[stuck])
    overload = int(instance.overload(np.arange(len(fixed)), fixed).sum())
    left = int(instance.goal.drained[instance.home[stuck]].sum())
    return Value(hard, broken, overload, left, _goal(instance, fixed), 0, 0)


def _goal(instance: Instance, fixed: Ints) -> int:
    if isinstance(instance.goal.cost, EvenUse):
        return _balance(instance, instance.goal.cost)
    if isinstance(instance.goal.cost, Watts):
        return _consolidate(instance, instance.goal.cost, fixed)
    return 0


def _balance(instance: Instance, cost: EvenUse) -> int:
    mib = instance.mib[instance.movable].astype(np.float64)
    most = int(instance.max_moves)
    whole = float(np.sort(mib)[::-1][:most].sum()) if most else 0.0
    moved = np.linspace(0.0, whole, GRID)
    use = instance.use(instance.home)
    squares = np.zeros(GRID)
    terms = 0
    for i, resource in enumerate(cost.columns):
        hosts = np.flatnonzero(cost.counted[:, i])
        if not len(hosts):
            continue
        terms += len(hosts)
        room = cost.room[hosts, i].astype(np.float64)
        off = use[hosts, resource] / room - cost.mean[i] / PPM
        amount = instance.demand[instance.movable, resource].astype(np.float64)
        reach = _frontier(amount, mib, moved, most)
        squares += _filled(off, room, reach) + _filled(-off, room, reach)
    # Each rounded deviation is at most half a millionth off, so the root of the sum at most half the root of the terms.
    root = np.maximum(0.0, np.sqrt(np.maximum(0.0, squares)) * PPM - math.sqrt(terms) * 0.5001)
    price = _price_per_mib(instance) * moved
    # Between two grid points no more is reached than at the right one, no less is paid than at the left one.
    between = root[1:] ** 2 + price[:-1]
    best = min(float(between.min()), float(root[-1] ** 2 + price[-1])) if GRID > 1 else 0.0
    return max(0, math.floor(best * (1 - 1e-9) - len(mib)))


def _price_per_mib(instance: Instance) -> float:
    price, mib = instance.goal.price[instance.movable], instance.mib[instance.movable]
    known = mib > 0
    return float((price[known] / mib[known]).min()) if known.any() else 0.0


def _frontier(amount: Floats, mib: Floats, moved: Floats, most: int) -> Floats:
    """Most of a resource that `moved` MiB of guests can carry, the densest guests first and divisible."""
    if not len(mib):
        return np.zeros_like(moved)
    free = float(amount[mib <= 0].sum())
    amount, mib = amount[mib > 0], mib[mib > 0]
    order = np.argsort(-amount / mib, kind="stable")
    x = np.concatenate(([0.0], np.cumsum(mib[order])))
    y = np.concatenate(([0.0], np.cumsum(amount[order]))) + free
    top = float(np.sort(amount)[::-1][:most].sum()) + free
    return np.minimum(np.interp(moved, x, y), top)


def _filled(off: Floats, room: Floats, reach: Floats) -> Floats:
    """Least sum of squares of the positive `off` when `reach` of the resource may be taken away in all.

    With multiplier a, host h ends at min(off, a room): that gives points of a convex curve, and its tangents bound it.
    """
    above = off > 0
    if not above.any():
        return np.zeros_like(reach)
    off, room = off[above], room[above]
    slopes = np.unique(np.concatenate((off / room, np.linspace(0.0, float((off / room).max()), 64))))
    left = np.minimum(off[None, :], slopes[:, None] * room[None, :])
    taken = ((off[None, :] - left) * room[None, :]).sum(axis=1)
    value = (left * left).sum(axis=1)
    tangents = value[:, None] - 2 * slopes[:, None] * (reach[None, :] - taken[:, None])
    bound: Floats = np.maximum(0.0, tangents.max(axis=0))
    return bound


def _consolidate(instance: Instance, cost: Watts, fixed: Ints) -> int:
    sleep = instance.goal.sleep
    if sleep is None:
        return 0
    counted = [host for host, power in enumerate(cost.curves) if power is not None]
    idle = int(sleep.idle_milliwatts[counted].sum())
    may = sleep.may & (fixed.sum(axis=1) == 0)
    saving = np.where(may, np.maximum(0, sleep.idle_milliwatts - sleep.asleep_milliwatts), 0).astype(np.float64)
    spare = (sleep.offer.sum(axis=0) - sleep.need).astype(np.float64)
    saved = min((_most_saved(saving, sleep.offer[:, i], float(spare[i])) for i in range(2)), default=0.0)
    load = int(instance.use(instance.home)[counted][:, CPU].sum())
    slope = min((_least_slope(instance, cost, host, load) for host in counted), default=0.0)
    return max(0, math.floor(idle - saved + slope * load - 1) + sleep.constant)


def _most_saved(saving: Floats, offer: Ints, spare: float) -> float:
    """Most milliwatts that can be saved by putting divisible hosts of `spare` room in all to sleep."""
    if spare < 0:
        return 0.0
    worth = np.flatnonzero(saving > 0)
    free = worth[offer[worth] <= 0]
    worth = worth[offer[worth] > 0]
    order = worth[np.argsort(-saving[worth] / offer[worth], kind="stable")]
    x = np.concatenate(([0.0], np.cumsum(offer[order], dtype=np.float64)))
    y = np.concatenate(([0.0], np.cumsum(saving[order])))
    return float(np.interp(spare, x, y)) + float(saving[free].sum())


def _least_slope(instance: Instance, cost: Watts, host: int, load: int) -> float:
    """Least milliwatts per millicore above idle that a host can draw at any use it may have."""
    power = cost.curves[host]
    if power is None or len(power.at) < 2:
        return 0.0
    most = int(min(load, max(instance.cap[host, CPU], 1)))
    ends = np.array([point for point in power.at[1:] if point < most] + [most], dtype=np.int64)
    ends = ends[ends > 0]
    rise = (power.draw(ends) - power.milliwatts[0]) / ends
    return max(0.0, float(rise.min())) if len(ends) else 0.0
