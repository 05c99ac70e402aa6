"""How many hosts must stay on: what is left of any capacity must hold all guests, counted by dual-feasible functions.

f over [0, 1] is dual-feasible and superadditive when sizes that fit a room x have f's that fit f(x): then any set of
hosts that holds all guests holds them in the measure of f, too (Fekete and Schepers, New classes of fast lower bounds
for bin packing problems, 2001: u^(k) and U^eps there). Everything is in integers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scheduler.solver.bounds.reach import Reach
from scheduler.solver.forms import Apart, Ints
from scheduler.solver.goal import SleepArrays

ROUNDS = 12
"""u^(k) for k up to this."""
EXACT_BITS = 50
"""Quotients of numbers with so many bits together are ordered as exact fractions are."""
MOST_COMPARED = 1000
"""So many guests, the largest, are compared with each other."""
THRESHOLDS = 40
"""Values of eps tried per resource."""


def most_saved(reach: Reach, sleep: SleepArrays) -> int:
    """Return a bound on what putting hosts to sleep can save."""
    instance = reach.instance
    saving = np.maximum(0, sleep.idle_cost - sleep.asleep_cost)
    saving[~sleep.may] = 0
    saving[instance.host_of(instance.home[reach.stuck])] = 0
    spare = sleep.offer.sum(axis=0) - sleep.need
    if (spare < 0).any():
        return 0
    best = int(saving.sum())
    for i in range(sleep.offer.shape[1]):
        best = min(best, _fill(saving, sleep.offer[:, i], int(spare[i])))
    for measured, needed in _measures(reach):
        left = int(measured.sum()) - needed
        best = min(best, _fill(saving, measured, left) if left >= 0 else 0)
    apart = max(_too_large_for_each_other(reach), _kept_apart(reach))
    able = reach.open.copy()
    able[instance.host_of(instance.home[reach.stuck])] = True
    asleep = np.sort(saving[able])[::-1][: max(0, int(able.sum()) - apart)]
    return min(best, int(saving[~able].sum()) + int(asleep.sum()))


def _fill(saving: Ints, size: Ints, spare: int) -> int:
    """Most that divisible hosts of `size` save when they take up no more than `spare` in all."""
    worth = saving > 0
    free = int(saving[worth & (size <= 0)].sum())
    worth &= size > 0
    saving, size = saving[worth], size[worth]
    if not len(saving):
        return free
    # Rounded down to what doubles can order exactly: smaller sizes only let more sleep.
    shift = max(0, int(saving.max()).bit_length() + int(size.max()).bit_length() - EXACT_BITS)
    size, spare = size >> shift, spare >> shift
    order = np.argsort(-(saving / np.maximum(size, 0.5)), kind="stable")
    saving, size = saving[order], size[order]
    whole = int(np.searchsorted(np.cumsum(size), spare, side="right"))
    total = int(saving[:whole].sum())
    if whole < len(saving):
        total += int(saving[whole]) * (spare - int(size[:whole].sum())) // int(size[whole])
    # Whole hosts save a multiple of what divides all of their savings.
    step = int(np.gcd.reduce(saving))
    return free + total // step * step


def _measures(reach: Reach) -> Iterator[tuple[Ints, int]]:
    """Capacity of every host and the need of all guests, in every measure tried."""
    caps, sizes = _packed(reach)
    for resource in range(sizes.shape[1]):
        cap, size = caps[:, resource], sizes[:, resource]
        whole = int(cap.max(initial=0))
        if whole <= 0 or not size.any() or size.max() > whole:
            continue
        yield cap, int(size.sum())
        if whole * ROUNDS * (len(size) + 1) > 1 << 60:
            continue
        for k in range(1, ROUNDS + 1):
            yield _u(cap, whole, k), int(_u(size, whole, k).sum())
        small = np.unique(size[(size > 0) & (2 * size <= whole)])
        for least in small[:: max(1, len(small) // THRESHOLDS)].tolist():
            yield _f(cap, whole, least), int(_f(size, whole, least).sum())


def _u(size: Ints, whole: int, k: int) -> Ints:
    """u^(k) x (k whole): sizes that are whole (k+1)-ths of the room stay, others go down to the next k-th."""
    times = (k + 1) * size
    rounded: Ints = np.where(times % whole == 0, k * size, times // whole * whole)
    return rounded


def _f(size: Ints, whole: int, least: int) -> Ints:
    """Sizes under `least` do not count, those over `whole - least` count as all of the room."""
    counted: Ints = np.where(size < least, 0, np.where(size > whole - least, whole, size))
    return counted


def _kept_apart(reach: Reach) -> int:
    """Size of the largest group of guests that a rule keeps on different hosts."""
    instance = reach.instance
    homes = instance.host_of(instance.home)
    held = (form for form in instance.binding if isinstance(form, Apart) and form.broken(homes) == 0)
    return max((len(form.members) for form in held), default=0)


def _too_large_for_each_other(reach: Reach) -> int:
    """Size of a set of guests of which no two fit the largest host together, found greedily."""
    caps, sizes = _packed(reach)
    whole = caps.max(axis=0, initial=0)
    large = np.argsort(-(sizes / np.maximum(1, whole)).max(axis=1, initial=0), kind="stable")[:MOST_COMPARED]
    sizes = sizes[large]
    conflict = np.zeros((len(sizes), len(sizes)), dtype=np.bool_)
    for resource in range(sizes.shape[1]):
        conflict |= sizes[:, None, resource] + sizes[None, :, resource] > whole[resource]
    np.fill_diagonal(conflict, False)
    candidates, found = np.ones(len(sizes), dtype=np.bool_), 0
    degree = conflict.sum(axis=1)
    while candidates.any():
        chosen = int(np.where(candidates, degree, -1).argmax())
        gone = np.flatnonzero(candidates & ~conflict[chosen])
        candidates[gone] = False
        degree -= conflict[gone].sum(axis=0)
        found += 1
    return found


def _packed(reach: Reach) -> tuple[Ints, Ints]:
    """Room of every host for guests that can move, and demands of all guests there, int64[n, resources]."""
    instance = reach.instance
    homes = instance.host_of(instance.home)
    # Guests that never move are no part of this where nothing else can come: their hosts stay on anyway.
    stuck = np.flatnonzero(reach.stuck & reach.open[homes])
    caps: Ints = np.where(reach.open[:, None], reach.cap, 0)
    return caps, np.concatenate((reach.least, instance.demand_at(instance.home)[stuck]))
