"""Seeded chance inside compiled code: xorshift64* (Vigna 2016), so that the same seed gives the same search."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scheduler.solver.kernels.compiled import compiled

A, B, C = np.uint64(12), np.uint64(25), np.uint64(27)
MULTIPLIER = np.uint64(2685821657736338717)
HIGH = np.uint64(33)
"""The upper 31 bits are used: the lower ones are weaker."""
SPAN = 1 << 31


@compiled
def draw31(random: NDArray[np.uint64]) -> int:
    """Return the next number from 0 to 2^31 - 1."""
    x = random[0]
    x ^= x >> A
    x ^= x << B
    x ^= x >> C
    random[0] = x
    return np.int64((x * MULTIPLIER) >> HIGH)  # type: ignore[return-value]  # an int to compiled code


@compiled
def below(random: NDArray[np.uint64], many: int) -> int:
    """Return a number from 0 to many - 1, for many below 2^31."""
    return (draw31(random) * many) >> 31


@compiled
def unit(random: NDArray[np.uint64]) -> float:
    """Return a number above 0 and up to 1."""
    return (draw31(random) + 1) / SPAN
