"""Empirical quantiles of many rows at once, samples weighted, and reading between the levels kept. Pure."""

from __future__ import annotations

import numpy as np

from scheduler.forecast.series import Floats

LEVELS = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 1.0)
"""The levels at which a forecast keeps its quantiles; others are read between them."""


def of_rows(samples: Floats, weights: Floats, levels: Floats) -> Floats:
    """Return the quantiles [level, row] at `levels` [level, row] of samples [row, n] with weights, 0 for left out.

    Each sample stands in the middle of its weight; between them it is linear, beyond the outer ones level. A row
    without any weight has its first sample for all of them.
    """
    order = np.argsort(np.where(weights > 0, samples, np.float32(np.inf)), axis=1)
    ordered = np.take_along_axis(samples, order, axis=1)
    weight = np.take_along_axis(weights, order, axis=1)
    place = np.cumsum(weight, axis=1)
    whole = np.maximum(place[:, -1:], 1e-9)
    place -= weight / 2
    place /= whole
    # Those left out stand at the end and must not be read.
    last = np.maximum((weights > 0).sum(axis=1) - 1, 0)
    high = np.minimum(np.count_nonzero(place[None] < levels[:, :, None], axis=2), last)
    low = np.maximum(high - 1, 0)
    row = np.arange(len(samples))[None]
    under, over = place[row, low], place[row, high]
    gap = over - under
    part = np.where(gap > 0, np.clip((levels - under) / np.where(gap > 0, gap, 1), 0, 1), 1)
    lower = ordered[row, low]
    return np.asarray(lower + (ordered[row, high] - lower) * part, np.float32)


def between(grid: Floats, level: float) -> Floats:
    """Return the quantile at `level` from a grid [level, ...] of those at `LEVELS`. `ValueError` outside 0 to 1."""
    if not 0.0 <= level <= 1.0:
        raise ValueError(f"a quantile's level lies between 0 and 1, not at {level:g}")
    upper = min(int(np.searchsorted(LEVELS, level, side="left")), len(LEVELS) - 1)
    if LEVELS[upper] == level:
        return np.asarray(grid[upper], np.float32)
    lower = upper - 1
    part = np.float32((level - LEVELS[lower]) / (LEVELS[upper] - LEVELS[lower]))
    return np.asarray(grid[lower] + (grid[upper] - grid[lower]) * part, np.float32)


def spread(grid: Floats) -> Floats:
    """Return the standard deviation [...] of what a grid [level, ...] of quantiles at `LEVELS` describes."""
    share = np.diff(np.asarray(LEVELS, np.float32)).reshape((-1,) + (1,) * (grid.ndim - 1))
    middle = (grid[1:] + grid[:-1]) / 2
    mean = (middle * share).sum(axis=0)
    within = (grid[1:] - grid[:-1]) ** 2 / 12
    return np.asarray(np.sqrt((((middle - mean) ** 2 + within) * share).sum(axis=0)), np.float32)
