"""A cooling schedule fitted to an instance: most of the time goes to temperatures at which most is decided.

A quick cooling measures the energy at falling temperatures. Time is then dealt out by what was lost at each: between
the square root of the heat capacity (constant thermodynamic speed: Salamon, Nulton et al. 1988), which counts all
temperatures alike, and the square root of the energy itself, which leaves the cold ones out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEVELS = 40
COLDER = 0.1
"""Power of the temperature by which an energy counts for less the hotter it was: 0.5 is constant speed."""
FLOOR = 0.2
"""Least weight of a level, as a part of the average."""


class Cooling:
    """Temperatures from `hot` to `cold`: at first falling at one rate, after `fit` by what was measured."""

    def __init__(self, hot: float, cold: float) -> None:
        self._logs: Floats = np.linspace(np.log(hot), np.log(min(hot, cold)), LEVELS + 1)
        self._done: Floats = np.linspace(0.0, 1.0, LEVELS + 1)
        self._energy = np.zeros(LEVELS)
        self._measured = np.zeros(LEVELS)

    def at(self, done: float) -> float:
        """Return the temperature when a part of the time is done."""
        return float(np.exp(np.interp(done, self._done, self._logs)))

    def measure(self, temperature: float, energy: float) -> None:
        """Take note of the energy met at a temperature."""
        level = int(np.searchsorted(-self._logs, -np.log(temperature), side="right")) - 1
        level = min(max(level, 0), LEVELS - 1)
        self._energy[level] += energy
        self._measured[level] += 1

    def fit(self) -> None:
        """Deal out time by what was measured; without enough of it everything stays as it is."""
        seen = np.flatnonzero(self._measured)
        if len(seen) < LEVELS // 4:
            return
        means = self._energy[seen] / self._measured[seen]
        falling = np.minimum.accumulate(np.interp(np.arange(LEVELS + 1) - 0.5, seen, means))
        drops = -np.diff(falling)
        weight = np.sqrt(drops) * np.exp(-COLDER * (self._logs[:-1] + self._logs[1:]) / 2)
        if not weight.any():
            return
        weight = np.maximum(weight, FLOOR * weight.mean())
        self._done = np.concatenate([[0.0], np.cumsum(weight) / weight.sum()])
