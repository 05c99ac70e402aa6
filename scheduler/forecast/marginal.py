"""Each guest's own forecast: its mean and quantiles at every coming slot, learned from its history alone. Pure.

Several simple forecasts are blended. Each is its guess plus the empirical quantiles of its own past errors at the same
horizon; the worse its past pinball loss, the less it counts. What is short of history gets wider quantiles: a level q
is read at q (n + `PRIOR_SLOTS`) / n of the n slots known, and beyond the greatest error towards the guest's limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.forecast.experts import DAY, EXPERTS, Expert
from scheduler.forecast.quantiles import LEVELS, of_rows
from scheduler.forecast.series import Floats, Ints, carried_forward

LEARNING_SLOTS = 14 * DAY
"""How far back errors are looked at."""
TARGETS = 288
"""About so many past moments are looked at, spread over that time."""
PRIOR_SLOTS = 3.0
KNOTS = (1, 2, 3, 6, 12, 24, 48, 96, 144, 288)
"""Horizons, in slots, at which errors are looked at; between them, quantiles are read linearly."""
SHARPNESS = 4.0
"""A forecast's share in the blend is its pinball loss to the power of minus this."""
JUDGED_AT = 0.95


@dataclass(frozen=True, slots=True)
class Marginals:
    """Mean [guest, step], quantiles [level, guest, step] at `LEVELS`, and how many slots are known [guest]."""

    mean: Floats
    grid: Floats
    known: Ints


def marginals(values: Floats, steps: int, limits: Floats) -> Marginals:
    """Forecast the `steps` slots after the last column of `values` [guest, slot] (NaN: unknown).

    No figure passes a guest's limit (inf: none known). A guest of whom nothing is known is forecast at its limit.
    """
    known = np.asarray((~np.isnan(values)).sum(axis=1), np.int64)
    guests = len(values)
    if guests == 0 or values.shape[1] == 0:
        whole = np.repeat(limits[:, None], steps, axis=1)
        return Marginals(whole, np.repeat(whole[None], len(LEVELS), axis=0), known)
    history = carried_forward(values)
    asked = [expert for expert in EXPERTS if values.shape[1] >= expert.least_slots]
    at = sorted({min(knot, steps) for knot in KNOTS})
    level = np.asarray(LEVELS)[:, None]
    widened = 0.5 + (level - 0.5) * ((known + PRIOR_SLOTS) / np.maximum(known, 1))
    at_knots = np.zeros((len(asked), len(LEVELS), guests, len(at)), np.float32)
    mean_at_knots = np.zeros((len(asked), guests, len(at)), np.float32)
    loss = np.full((len(asked), guests, len(at)), np.nan, np.float32)
    for index, expert in enumerate(asked):
        for place, ahead in enumerate(at):
            targets = _targets(values.shape[1], ahead, expert)
            errors = expert.errors(history, ahead, targets)
            errors[np.isnan(values[:, targets])] = np.nan
            some = ~np.isnan(errors).all(axis=1)
            quantiles = of_rows(errors[some], widened[:, some])
            at_knots[index][:, some, place] = quantiles
            mean_at_knots[index][some, place] = np.nanmean(errors[some], axis=1)
            high = of_rows(errors[some], np.full((1, 1), JUDGED_AT))[0][:, None]
            over = errors[some] - high
            loss[index][some, place] = np.nanmean(np.maximum(JUDGED_AT * over, (JUDGED_AT - 1) * over), axis=1)
    weight = _weights(loss)
    guess = np.stack([np.nan_to_num(expert.guess(history, steps)) for expert in asked])
    step = np.arange(1, steps + 1)
    after = np.minimum(np.searchsorted(at, step), len(at) - 1)
    before = np.maximum(after - 1, 0)
    gap = np.maximum(np.asarray(at)[after] - np.asarray(at)[before], 1)
    part = np.where(after > before, (step - np.asarray(at)[before]) / gap, 0.0).astype(np.float32)

    def along(knots: Floats) -> Floats:
        return np.asarray(knots[..., before] * (1 - part) + knots[..., after] * part, np.float32)

    share = along(weight)
    centre = (share * guess).sum(axis=0)
    mean = centre + (share * along(mean_at_knots)).sum(axis=0)
    grid = centre[None] + (share[:, None] * along(at_knots)).sum(axis=0)
    return _bounded(mean, grid, known, limits)


def _targets(slots: int, ahead: int, expert: Expert) -> Ints:
    """Return past slots to look at, the newest among them, evenly spread: those that could have been guessed."""
    lag = ahead if expert.season == 0 else expert.season * -(-ahead // expert.season)
    first = max(lag, slots - LEARNING_SLOTS)
    # A stride that shares no factor with a day's slots sees all times of the day.
    stride = max(1, (slots - first) // TARGETS)
    while stride > 1 and np.gcd(stride, DAY) > 1:
        stride -= 1
    return np.arange(slots - 1, first - 1, -stride, dtype=np.int64)[::-1] if first < slots else np.zeros(0, np.int64)


def _weights(loss: Floats) -> Floats:
    """Return each forecast's share [expert, guest, knot], summing to 1, from its loss; NaN loss: not asked."""
    best = np.nanmin(np.where(np.isnan(loss), np.inf, loss), axis=0)
    best = np.where(np.isfinite(best), best, 1.0)
    relative = (loss + 1e-3) / (best + 1e-3)
    raw = np.where(np.isnan(loss), 0.0, relative**-SHARPNESS)
    raw[0] = np.where(raw.sum(axis=0) == 0, 1.0, raw[0])
    return np.asarray(raw / raw.sum(axis=0), np.float32)


def _bounded(mean: Floats, grid: Floats, known: Ints, limits: Floats) -> Marginals:
    cap = limits[:, None]
    unknown = known == 0
    mean = np.where(unknown[:, None], cap, np.clip(mean, 0, cap))
    grid = np.maximum.accumulate(np.clip(grid, 0, cap), axis=0)
    grid = np.where(unknown[None, :, None], cap, grid)
    return Marginals(np.asarray(mean, np.float32), np.asarray(grid, np.float32), known)
