"""Loads of many guests as one matrix: recorded or made values, worked out for all guests of a moment at once.

Imports numpy, which takes a while to load: only what replays such loads does so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


class LoadMatrix:
    """CPU wanted [guest, slot] in millicores, one column per `slot_s` from load time `start_s` on.

    A column holds until the next begins, or with `linear` goes over to it in a straight line; before the first column
    and after the last one these hold.
    """

    def __init__(self, values: ArrayLike, slot_s: float = 300.0, start_s: float = 0.0, linear: bool = False) -> None:
        self.values: FloatArray = np.asarray(values, dtype=np.float64)
        if self.values.ndim != 2 or self.values.shape[1] == 0:
            raise ValueError(f"loads are an array [guest, slot], not of shape {self.values.shape}")
        self.slot_s = slot_s
        self.start_s = start_s
        self.linear = linear
        self._at_s = math.nan
        self._now: FloatArray = self.values[:, 0]
        self._listed: list[float] = []

    def at(self, at_s: float) -> FloatArray:
        """Return what each guest wants at a load time, in millicores [guest]; not to be written to."""
        if at_s != self._at_s:
            position = (at_s - self.start_s) / self.slot_s
            last = self.values.shape[1] - 1
            left = min(max(math.floor(position), 0), last)
            now = self.values[:, left]
            part = position - left
            if self.linear and 0 < part < 1 and left < last:
                now = now + (self.values[:, left + 1] - now) * part
            self._at_s, self._now, self._listed = at_s, now, []
        return self._now

    def of(self, guest: int, at_s: float) -> float:
        """Return what one guest wants."""
        now = self.at(at_s)
        if not self._listed:
            self._listed = now.tolist()
        return self._listed[guest]

    def loads(self) -> Sequence[RowLoad]:
        """Return a `Load` for each guest, in the order of the rows."""
        return [RowLoad(self, guest) for guest in range(len(self.values))]


@dataclass(frozen=True, slots=True)
class RowLoad:
    """One guest's row of a matrix, as a `simulator.guests.Load`."""

    matrix: LoadMatrix
    row: int

    def millicores(self, at_s: float) -> float:
        return self.matrix.of(self.row, at_s)
