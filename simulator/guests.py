"""Simulated guests: how much CPU they want at any time, and how they write memory.

Both are pure functions of the guest's own seed and of time, so that any moment can be computed without the moments
before it and one guest's load never depends on another's. Times are seconds of the world's load time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cluster.guest import Dirty, Guest

DAY_S = 86400.0
_MASK = (1 << 64) - 1


def dice(seed: int, number: int) -> float:
    """Return a pseudo-random figure in [0, 1) that depends on both numbers alone (splitmix64)."""
    mixed = (seed * 0x9E3779B97F4A7C15 + number * 0xD1B54A32D192ED03 + 0x632BE59BD9B4E019) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)


class Load(Protocol):
    """How much CPU a guest wants."""

    def millicores(self, at_s: float) -> float:
        """Return the CPU wanted at a moment, in millicores, at least 0."""


@dataclass(frozen=True, slots=True)
class SteadyLoad:
    """The same at all times."""

    level: float

    def millicores(self, at_s: float) -> float:
        return self.level


@dataclass(frozen=True, slots=True)
class SquareLoad:
    """Flaps between two levels: `high` for the first half of each period."""

    low: float
    high: float
    period_s: float
    shift_s: float = 0.0

    def millicores(self, at_s: float) -> float:
        return self.high if ((at_s + self.shift_s) % self.period_s) * 2 < self.period_s else self.low


@dataclass(frozen=True, slots=True)
class TraceLoad:
    """Recorded values, one per `slot_s` from load time `start_s` on, held until the next; it begins anew at its end."""

    values: Sequence[float]
    slot_s: float = 300.0
    start_s: float = 0.0

    def millicores(self, at_s: float) -> float:
        return self.values[math.floor((at_s - self.start_s) / self.slot_s) % len(self.values)]


@dataclass(frozen=True, slots=True)
class ChangingLoad:
    """A base with a day's curve, slow noise and occasional steps on it.

    `day_ratio` is the amplitude of a cosine that peaks `day_peak_s` after midnight; `noise_ratio` the largest deviation
    of a random walk between points `noise_period_s` apart; in each slot of `step_period_s` the guest is, with
    probability `step_chance`, at (1 + step_ratio) of its level.
    """

    base: float
    ceiling: float
    seed: int
    day_ratio: float = 0.0
    day_peak_s: float = 14 * 3600.0
    noise_ratio: float = 0.0
    noise_period_s: float = 60.0
    step_ratio: float = 0.0
    step_chance: float = 0.0
    step_period_s: float = 600.0

    def millicores(self, at_s: float) -> float:
        day = 1 + self.day_ratio * math.cos((at_s - self.day_peak_s) * 2 * math.pi / DAY_S)
        noise = 1 + self.noise_ratio * self._noise(at_s / self.noise_period_s)
        slot = math.floor(at_s / self.step_period_s)
        step = 1 + self.step_ratio if dice(self.seed ^ 0x5555, slot) < self.step_chance else 1.0
        return min(self.ceiling, max(0.0, self.base * day * noise * step))

    def _noise(self, position: float) -> float:
        """Return a figure in [-1, 1], smooth between independent points at whole positions."""
        left = math.floor(position)
        part = position - left
        part = part * part * (3 - 2 * part)
        return 2 * ((1 - part) * dice(self.seed, left) + part * dice(self.seed, left + 1)) - 1


@dataclass(frozen=True, slots=True)
class Writes:
    """How a guest writes memory: over its hot set again and again, and more slowly over the rest.

    Pages are hit evenly at random within each part: of a part of S MiB written at rate r, S x (1 - exp(-r t / S)) MiB
    are dirty after t seconds, since a page written twice is dirty once.
    """

    hot_mib: float = 0.0
    hot_mib_s: float = 0.0
    cold_mib_s: float = 0.0

    def dirtied_mib(self, effective_s: float, memory_mib: float) -> float:
        """Return the MiB dirty after so many seconds of writing, for a guest with this much memory in use."""
        hot = min(self.hot_mib, memory_mib)
        return _covered(hot, self.hot_mib_s * effective_s) + _covered(memory_mib - hot, self.cold_mib_s * effective_s)


def _covered(size_mib: float, written_mib: float) -> float:
    return size_mib * -math.expm1(-written_mib / size_mib) if size_mib > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Storm:
    """A time during which a guest writes `factor` times as fast."""

    start_s: float
    end_s: float
    factor: float


@dataclass
class SimGuest:
    """A guest of the pretend cluster: its facts (`host` is where it starts), its load and its writing.

    `resident_mib` is the memory in use, what a first migration pass sends.
    """

    facts: Guest
    load: Load
    writes: Writes = Writes()
    resident_mib: float = 0.0
    storms: list[Storm] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.resident_mib <= 0:
            used = self.facts.usage.memory_mib
            self.resident_mib = float(self.facts.memory_mib if used is None else min(used, self.facts.memory_mib))

    @property
    def id(self) -> str:
        """The guest's id."""
        return self.facts.id

    def wanted_millicores(self, at_s: float) -> float:
        """Return the CPU the guest wants at a moment, at most all of its vCPUs."""
        return min(self.facts.vcpus * 1000.0, self.load.millicores(at_s))

    def dirtied_mib(self, start_s: float, end_s: float) -> float:
        """Return the unique MiB dirtied between two moments, storms counted."""
        effective = end_s - start_s
        for storm in self.storms:
            overlap = min(end_s, storm.end_s) - max(start_s, storm.start_s)
            effective += max(0.0, overlap) * (storm.factor - 1)
        return self.writes.dirtied_mib(effective, self.resident_mib)

    def measured_dirty(self, at_s: float, over_s: float = 1.0) -> Dirty:
        """Return what a dirty-rate sampling that ends now would say."""
        unique = self.dirtied_mib(at_s - over_s, at_s)
        return Dirty(mib_s=round(unique / over_s, 3), over_s=over_s, hot_mib=round(self.writes.hot_mib, 3))
