"""Guests together: quantiles of the sum of their use, forecast from what they used together in the past. Pure.

The sum has a history of its own and is forecast as a guest's is: what rises together counts together, and what evens
itself out does. Quantiles of guests must not be added up for that: of guests that each peak rarely, the sum of their
95th percentiles is passed far more often than one time in twenty; of many busy ones, hardly ever.
"""

from __future__ import annotations

import numpy as np

from scheduler.forecast.features import ages, kinds_of
from scheduler.forecast.marginal import Marginals, marginals
from scheduler.forecast.quantiles import between
from scheduler.forecast.series import Floats, Ints


def summed(values: Floats, history: Floats, of: Marginals, limits: Floats, rows: Ints, level: float) -> Floats:
    """Return the quantile [step] of the sum of the guests `rows`, of all guests' figures as `Marginals` has them.

    `values` [guest, slot] with NaN where unknown, `history` the same with gaps filled. Guests known for about equally
    long are taken together, since a sum's past ends where the youngest's does; the parts are added up as if they
    peaked together. So are guests with too little history to show that they do not.
    """
    steps = of.mean.shape[1]
    total = np.zeros(steps, np.float32)
    kinds = kinds_of(ages(values)[rows])
    for kind in np.unique(kinds):
        alike = rows[kinds == kind]
        added = np.asarray(between(of.grid[:, alike], level).sum(axis=0), np.float32)
        since = values.shape[1] - int(ages(values)[alike].min())
        if len(alike) == 1 or since >= values.shape[1]:
            total += added
            continue
        past = history[alike, since:].sum(axis=0, dtype=np.float64)
        unknown = np.isnan(values[alike, since:]).mean(axis=0) > 0.5
        unknown[-1] = False
        series = np.where(unknown, np.nan, past).astype(np.float32)[None]
        together = between(marginals(series, steps, limits[alike].sum()[None]).grid, level)[0]
        total += np.maximum(together, added) if kind == 0 else together
    return total
