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
    return min(best, _kept_apart(reach, saving))


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
    instance = reach.instance
    able = reach.open.copy()
    inside = ~reach.stuck
    # Guests that never move are no part of this where nothing else can come: their hosts stay on anyway.
    inside[reach.stuck] = able[instance.host_of(instance.home[reach.stuck])]
    sizes = np.zeros((instance.guests, instance.cap.shape[1]), dtype=np.int64)
    sizes[instance.movable] = reach.least
    sizes[reach.stuck] = instance.demand_at(instance.home)[reach.stuck]
    sizes = sizes[inside]
    for resource in range(sizes.shape[1]):
        cap = np.where(able, reach.cap[:, resource], 0)
        size = sizes[:, resource]
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


def _kept_apart(reach: Reach, saving: Ints) -> int:
    """Most that can be saved when so many hosts stay on as the guests that are kept apart are on."""
    instance = reach.instance
    homes = instance.host_of(instance.home)
    most_first = np.sort(saving)[::-1]
    best = int(saving.sum())
    for form in instance.forms:
        if isinstance(form, Apart) and form.binding and form.broken(homes) == 0:
            best = min(best, int(most_first[: max(0, len(saving) - len(form.members))].sum()))
    return best
