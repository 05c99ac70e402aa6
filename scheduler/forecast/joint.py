"""Guests together: quantiles of a sum, with what rises together in the past taken to rise together again. Pure.

Each past day gives a scenario: where a guest stood that day among its days at a time of day, it stands in its forecast
of that time (the Schaake shuffle: Clark et al. 2004, J. Hydrometeorology 5(1)). The sums over scenarios have the
guests' own quantiles and the ranks they had together. With too few past days guests are taken to peak together.
"""

from __future__ import annotations

import numpy as np

from scheduler.forecast.features import DAY
from scheduler.forecast.quantiles import at_ranks, between
from scheduler.forecast.series import Floats, Ints

SCENARIOS = 40
LEAST_DAYS = 2
"""Whole past days beyond the horizon needed before anything is said about what rises together."""
JITTER = 6
"""Slots between scenarios taken from one day."""


def scenario_lags(slots: int, steps: int) -> tuple[int, ...]:
    """Return how many slots before its target each scenario looks: whole days, and moments around them when few."""
    most = slots - 1
    first_day = -(-steps // DAY)
    days = [day for day in range(first_day, most // DAY + 1) if day * DAY <= most]
    if len(days) < LEAST_DAYS:
        return ()
    per_day = -(-SCENARIOS // len(days))
    lags = []
    for turn in range(per_day):
        shift = JITTER * (-(-turn // 2)) * (1 if turn % 2 else -1)
        lags += [day * DAY + shift for day in days if steps <= day * DAY + shift <= most]
    return tuple(lags[:SCENARIOS])


def ranks(history: Floats, steps: Ints, lags: tuple[int, ...]) -> Ints:
    """Return [guest, step, scenario]: the place of each past figure among those of the same guest and time of day.

    `steps` are counted from 1. Equal figures stand in the order of the scenarios.
    """
    at = history.shape[1] - 1 + steps[:, None] - np.asarray(lags, np.int64)[None, :]
    past = np.nan_to_num(history[:, at])
    order = np.argsort(past, axis=-1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.broadcast_to(np.arange(len(lags)), order.shape), axis=-1)
    return np.asarray(places, np.int64)


def summed(grid: Floats, history: Floats, steps: Ints, level: float) -> Floats:
    """Return the quantile [step] of the sum of guests: `grid` [level, guest, step] of them, at the `steps` from 1."""
    lags = scenario_lags(history.shape[1], int(steps[-1]))
    if not lags or len(history) < 2:
        return np.asarray(between(grid, level).sum(axis=0), np.float32)
    totals = at_ranks(grid, ranks(history, steps, lags), len(lags)).sum(axis=0)
    return np.asarray(np.quantile(totals, level, axis=-1, method="hazen"), np.float32)
