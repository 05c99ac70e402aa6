"""How much memory a guest dirties within a time: a curve through what was sampled. Pure.

A sample says how many different pages were written within its period; a page written twice counts once. So a rate
falls with the period it was taken over, and says little without it. The curve used here is that of a set of `hot_mib`
written at random: each page stays clean for an exponentially distributed time, so within t seconds

    dirtied(t) = hot_mib * (1 - exp(-per_s * t))

(the classical occupancy, or coupon collector's, limit), with `per_s` such that the sample is reproduced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SAMPLE_S = 1.0
"""Period assumed of a rate that came without one: the shortest that libvirt measures over."""

SATURATED_RATIO = 0.98
"""A sample that found this share of the hot set or more says only that all of it is written within the period.

Page sampling looks at one page in 512 of each GiB: some tens of pages of a hot set, whose last one decides nothing.
"""

_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class Dirtying:
    """A dirtying curve: `hot_mib` MiB, each page of which is written `per_s` times a second. Concave, from 0 at 0."""

    hot_mib: float
    per_s: float

    @property
    def is_idle(self) -> bool:
        """Nothing is ever dirtied."""
        return self.hot_mib <= 0 or self.per_s <= 0

    def within_mib(self, seconds: float) -> float:
        """Return how many different MiB are written within a time."""
        return 0.0 if self.is_idle else -self.hot_mib * math.expm1(-self.per_s * seconds)


def from_sample(mib_s: float, over_s: float | None, hot_mib: float | None, memory_mib: float) -> Dirtying:
    """Return the curve through a sampled rate; without a hot set, all of `memory_mib` (the memory in use) may be hot.

    A hot set smaller than what was seen written within the period is taken to be as large as that.
    """
    period_s = over_s if over_s else SAMPLE_S
    seen_mib = min(mib_s * period_s, memory_mib)
    most_mib = memory_mib if hot_mib is None else min(hot_mib, memory_mib)
    hot = max(seen_mib, most_mib)
    if seen_mib <= 0 or hot <= 0:
        return Dirtying(0.0, 0.0)
    return Dirtying(hot, -math.log1p(-min(seen_mib / hot, SATURATED_RATIO)) / period_s)


def hot_mib_from(short: tuple[float, float], long: tuple[float, float]) -> float | None:
    """Return the hot set from two samples (MiB/s, s) over different periods; `None` when they do not show one.

    It is the one for which the curve reproduces both. When the longer period dirtied as much more as it is longer,
    all that is known is that the hot set is beyond what was seen: none is claimed.
    """
    (rate, period_s), (long_rate, long_s) = sorted((short, long), key=lambda sample: sample[1])
    seen_mib, long_seen_mib = rate * period_s, long_rate * long_s
    if long_seen_mib <= 0 or long_s <= period_s:
        return None
    if seen_mib >= SATURATED_RATIO * long_seen_mib:
        return max(seen_mib, long_seen_mib)
    if seen_mib <= 0 or long_seen_mib / seen_mib >= 0.9 * long_s / period_s:
        return None
    # The share of what was seen in the long period that the short one shows grows with the rate per page.
    low, high = 0.0, -math.log1p(-SATURATED_RATIO) / period_s
    for _ in range(_HALVINGS):
        per_s = (low + high) / 2
        if math.expm1(-per_s * period_s) / math.expm1(-per_s * long_s) < seen_mib / long_seen_mib:
            low = per_s
        else:
            high = per_s
    return max(long_seen_mib, -long_seen_mib / math.expm1(-high * long_s))
