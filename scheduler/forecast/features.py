"""What tells moments of a guest's history apart: its level, how it came to it, and what the season says. Pure.

Figures are square roots of use, so that a change counts against the level it starts from. Slots are of five minutes.
"""

from __future__ import annotations

import numpy as np

from scheduler.forecast.series import Floats, Ints

DAY = 288
WEEK = 7 * DAY
AVERAGED_SLOTS = (1, 3, 12, DAY)
"""The local features: means over so many slots up to the moment."""
SEASONS = ((DAY, 1), (DAY, 7), (WEEK, 3))
"""The seasonal features: means of the same time over up to so many periods before the slot that is forecast."""
HALF = 2
"""The same time is so many slots to either side of it."""
DAILY_FROM, WEEKLY_FROM = 3 * DAY // 2, 5 * WEEK // 2
"""Slots of history from which days, and weeks, are looked at: a week's shape is no shape before it was seen twice."""


def ages(values: Floats) -> Ints:
    """Return how many slots ago each guest [guest] was first known, that slot counted; 0: never."""
    return np.asarray(values.shape[1] - first_known(values), np.int64)


def kinds_of(age: Ints) -> Ints:
    """Return what a history so long can show [guest]: 0 no season, 1 days, 2 weeks."""
    return np.asarray((age >= DAILY_FROM).astype(np.int64) + (age >= WEEKLY_FROM))


def seasons_known(slots: int) -> tuple[tuple[int, int], ...]:
    """Return the seasons that a history of so many slots can tell of."""
    return ((), SEASONS[:2], SEASONS)[int(kinds_of(np.asarray([slots]))[0])]


def first_known(values: Floats) -> Ints:
    """Return the first known slot of each guest [guest] of values [guest, slot]; the number of slots where none is."""
    if values.shape[1] == 0:
        return np.zeros(len(values), np.int64)
    known = ~np.isnan(values)
    return np.asarray(np.where(known.any(axis=1), known.argmax(axis=1), values.shape[1]), np.int64)


def local(roots: Floats, born: Ints) -> Floats:
    """Return [guest, feature, slot]: means over the last `AVERAGED_SLOTS` slots, as far as there are any.

    `roots` [guest, slot] has no gaps from slot `born` [guest] on and is zero before it.
    """
    guests, slots = roots.shape
    sums = _sums(roots)
    made = np.empty((guests, len(AVERAGED_SLOTS), slots), np.float32)
    age = np.maximum(np.arange(1, slots + 1, dtype=np.float32)[None, :] - born[:, None].astype(np.float32), 1)
    for index, width in enumerate(AVERAGED_SLOTS):
        into = made[:, index]
        if width == 1:
            into[:] = roots
            continue
        into[:, :width] = sums[:, 1 : width + 1]
        if slots > width:
            np.subtract(sums[:, width + 1 :], sums[:, 1 : slots - width + 1], out=into[:, width:])
        into /= np.minimum(age, width)
    return made


def smoothed(roots: Floats, born: Ints) -> Floats:
    """Return the mean of `HALF` slots to either side, as far as known, [guest, slot]; zero before `born`."""
    slots = roots.shape[1]
    width = 2 * HALF + 1
    padded = np.pad(roots, ((0, 0), (HALF, HALF)))
    smooth = padded[:, :slots].copy()
    for shift in range(1, width):
        smooth += padded[:, shift : shift + slots]
    smooth *= np.float32(1 / width)
    # At either end, fewer slots are known.
    for near in range(HALF):
        row, first = np.arange(len(born)), np.minimum(born + near, slots - 1)
        smooth[row, first] *= width / (HALF + 1 + near)
        smooth[:, slots - 1 - near] *= width / (HALF + 1 + near)
    if born.any():
        smooth *= np.arange(slots)[None, :] >= born[:, None]
    return smooth


def seasonal(smooth: Floats, born: Ints, ahead: int, season: tuple[int, int], skipped: int) -> tuple[Floats, Floats]:
    """Return the mean of the same time in past periods, [guest, slot] for the history and `ahead` slots more.

    With it, a penalty of the same shape: 0, or infinite where no period is known. `season`: its period in slots and the
    most periods looked at, of which the `skipped` latest are left out: they would not have been known in time.
    """
    period, most = season
    guests, slots = smooth.shape
    total = np.zeros((guests, slots + ahead), np.float32)
    for back in range(skipped + 1, skipped + most + 1):
        reach = min(slots, slots + ahead - period * back)
        if reach <= 0:
            break
        total[:, period * back : period * back + reach] += smooth[:, :reach]
    since = np.arange(slots + ahead, dtype=np.int32)[None, :] - born[:, None].astype(np.int32)
    times = np.clip(since // np.int32(period) - np.int32(skipped), 0, most).astype(np.float32)
    penalty = np.where(times > 0, np.float32(0), np.float32(np.inf))
    total /= np.maximum(times, 1)
    return total, penalty


def _sums(roots: Floats) -> Floats:
    """Return sums of all slots before each, [guest, slot + 1]: single precision does for means of many slots."""
    sums = np.zeros((roots.shape[0], roots.shape[1] + 1), np.float32)
    np.cumsum(roots, axis=1, out=sums[:, 1:])
    return sums
