"""Empirical quantiles of many rows at once, rows of unequal length included, and reading between levels. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scheduler.forecast.series import Floats, Ints

LEVELS = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 1.0)
"""The levels at which a forecast keeps its quantiles; others are read between them."""


def of_rows(samples: Floats, levels: npt.NDArray[np.float64]) -> Floats:
    """Return the quantiles [level, row] of samples [row, n], NaN left out; `levels` [level, row] or [level, 1].

    Between order statistics it is linear; a row without any sample is NaN.
    """
    ordered = np.sort(samples, axis=1)
    count = samples.shape[1] - np.isnan(samples).sum(axis=1)
    place = np.clip(levels, 0.0, 1.0) * np.maximum(count - 1, 0)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    part = (place - low).astype(np.float32)
    rows = np.arange(len(samples))
    return np.asarray(ordered[rows, low] * (1 - part) + ordered[rows, high] * part, np.float32)


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


def at_ranks(grid: Floats, ranks: Ints, count: int) -> Floats:
    """Return the values [a, b, k] of a grid [level, a, b] at ranks [a, b, k]: at level (rank + 1/2) / count."""
    level = (np.arange(count) + 0.5) / count
    table = np.stack([between(grid, float(one)) for one in level], axis=-1)
    return np.asarray(np.take_along_axis(table, ranks, axis=-1), np.float32)
