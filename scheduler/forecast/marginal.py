"""Each guest's own forecast: its mean and quantiles at every coming slot, learned from its history alone. Pure.

At some horizons, the `KNOTS`, the quantiles are those of what followed the moments most like now; between them they
are read linearly. The shorter the history against the horizon, the more probability is laid beyond all that was seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.forecast.analogs import Samples, alike, followed
from scheduler.forecast.features import DAY, ages, first_known
from scheduler.forecast.quantiles import LEVELS, of_rows
from scheduler.forecast.series import Floats, Ints, carried_forward

KNOTS = (1, 6, 12, 24, 36)
KNOTS_EVERY = 24
"""Horizons in slots: these, and then every two hours."""
UNSEEN_SLOTS = 0.5
"""Weight of what was never seen, against that of each slot of one day's history, at a horizon of one slot."""
MOST_UNSEEN = 0.06
"""The most probability laid there: the 95th percentile then stands a little beyond all that followed so far."""
TOGETHER = 16
"""So many guests are worked on at once: more would not fit a processor's cache."""


@dataclass(frozen=True, slots=True)
class Marginals:
    """Mean [guest, step], quantiles [level, guest, step] at `LEVELS`, and how many slots are known [guest]."""

    mean: Floats
    grid: Floats
    known: Ints


def knots_until(steps: int) -> tuple[int, ...]:
    """Return the horizons, in slots, that are looked at for so many steps; the last one is the last step."""
    return tuple(
        sorted({knot for knot in (*KNOTS, *range(2 * KNOTS_EVERY, steps, KNOTS_EVERY)) if knot < steps} | {steps})
    )


def marginals(values: Floats, steps: int, limits: Floats) -> Marginals:
    """Forecast the `steps` slots after the last column of `values` [guest, slot] (NaN: unknown).

    No figure passes a guest's limit (inf: none known), unless its use has: what was passed is no limit. A guest of whom
    nothing is known is forecast at its limit.
    """
    known = np.asarray((~np.isnan(values)).sum(axis=1), np.int64)
    at = knots_until(steps)
    mean = np.repeat(limits[:, None], len(at), axis=1).astype(np.float32)
    grid = np.repeat(mean[None], len(LEVELS), axis=0)
    born = first_known(values)
    kinds = alike(ages(values), steps)
    for kind in np.unique(kinds[known > 0]):
        of_kind = np.flatnonzero((kinds == kind) & (known > 0))
        for first in range(0, len(of_kind), TOGETHER):
            rows = of_kind[first : first + TOGETHER]
            part = values[rows, int(born[rows].min()) :]
            mean[rows], grid[:, rows] = _of_few(part, at, limits[rows])
    step = np.arange(1, steps + 1)
    after = np.searchsorted(at, step)
    before = np.maximum(after - 1, 0)
    gap = np.asarray(at)[after] - np.asarray(at)[before]
    share = np.where(gap > 0, (step - np.asarray(at)[before]) / np.maximum(gap, 1), 0.0).astype(np.float32)

    def along(knots: Floats) -> Floats:
        low = knots[..., before]
        return np.asarray(low + _less(knots[..., after], low) * share, np.float32)

    return Marginals(along(mean), along(grid), known)


def _less(high: Floats, low: Floats) -> Floats:
    """Return the difference, 0 where both are infinite."""
    return np.subtract(high, low, out=np.zeros_like(high), where=np.isfinite(high))


def _of_few(values: Floats, at: tuple[int, ...], limits: Floats) -> tuple[Floats, Floats]:
    """Return mean [guest, knot] and quantiles [level, guest, knot] of guests that are about equally long known."""
    guests = len(values)
    recorded = ~np.isnan(values)
    born = first_known(values)
    history = carried_forward(values)
    history = np.where(np.isnan(history), np.float32(0), history)
    unrecorded = np.where(recorded, np.float32(0), np.float32(np.inf))
    mean = np.empty((guests, len(at)), np.float32)
    grid = np.empty((len(LEVELS), guests, len(at)), np.float32)
    slots = recorded.sum(axis=1)
    least = np.where(recorded, values, np.inf).min(axis=1)
    most = history.max(axis=1)
    limits = np.maximum(limits, most)
    # A history of under a day has not shown what levels there are: what follows is taken relative to now's level.
    relative = np.minimum(1.0, DAY / slots)[:, None].astype(np.float32)
    # What it might come to use beyond: of a fresh guest anything, later as much more as its use has ranged over.
    fresh = np.maximum(0, 1 - slots / DAY)
    all_there_is = np.where(np.isfinite(limits), limits, 2 * most)
    now = history[:, -1:]
    for place, (ahead, seen) in enumerate(zip(at, followed(history, unrecorded, born, at), strict=True)):
        figures = np.maximum(seen.use + relative * (now + seen.growth - seen.use), 0)
        unseen = _unseen(slots, ahead)
        level = np.asarray(LEVELS, np.float32)[:, None] / (1 - unseen)
        quantiles = of_rows(figures, seen.weights, np.minimum(level, 1))
        top = quantiles[-1]
        beyond = np.maximum(np.maximum(top, most) * 2 - least, top + fresh * (all_there_is - top))
        over = np.clip((np.asarray(LEVELS, np.float32)[:, None] - (1 - unseen)) / unseen, 0, 1)
        grid[:, :, place] = quantiles + np.maximum(beyond - top, 0) * over
        mean[:, place] = _mean(figures, seen)
    cap = limits[:, None]
    return np.minimum(mean, cap), np.maximum.accumulate(np.minimum(grid, cap[None]), axis=0)


def _unseen(slots: Ints, ahead: int) -> Floats:
    """Return the probability laid on what was never seen [guest].

    Slots apart by less than the horizon tell little anew; a history of many days has shown what a day can bring.
    """
    weight = UNSEEN_SLOTS * np.sqrt(ahead) * DAY / slots
    return np.asarray(np.minimum(weight / (slots + weight), MOST_UNSEEN), np.float32)


def _mean(figures: Floats, seen: Samples) -> Floats:
    whole = np.maximum(seen.weights.sum(axis=1), 1e-9)
    return np.asarray((figures * seen.weights).sum(axis=1) / whole, np.float32)
