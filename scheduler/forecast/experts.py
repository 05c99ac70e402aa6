"""The simple forecasts that are blended: each a guess for the coming slots, and how far such guesses were off. Pure.

Shapes: history [guest, slot], oldest first, gaps filled; a guess [guest, step]; errors [guest, past moment].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.forecast.series import Floats, Ints

DAY = 288
WEEK = 7 * DAY
"""Slots of five minutes."""


@dataclass(frozen=True)
class Expert:
    """A forecast by one idea: the value `lag(step)` slots before the target, or the last one known (`season` 0).

    `least_slots`: with less history than this it is not asked.
    """

    name: str
    season: int
    least_slots: int

    def guess(self, history: Floats, steps: int) -> Floats:
        """Return what it says for the `steps` slots after the history: [guest, step]."""
        slots = history.shape[1]
        if self.season == 0:
            return np.repeat(history[:, -1:], steps, axis=1)
        step = np.arange(1, steps + 1)
        lag = self.season * -(-step // self.season)
        return np.asarray(history[:, slots - 1 + step - lag], np.float32)

    def errors(self, history: Floats, ahead: int, targets: Ints) -> Floats:
        """Return truth less guess at past target slots, each guessed `ahead` slots before: [guest, target]."""
        lag = ahead if self.season == 0 else self.season * -(-ahead // self.season)
        return np.asarray(history[:, targets] - history[:, targets - lag], np.float32)


EXPERTS = (
    Expert("last value", 0, 1),
    Expert("same time yesterday", DAY, DAY + DAY // 2),
    Expert("same time last week", WEEK, 2 * WEEK),
)
