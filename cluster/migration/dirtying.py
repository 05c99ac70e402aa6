"""How much memory a guest dirties within a time: a curve through what was sampled. Pure.

A sample says how many different pages were written within its period; a page written twice counts once. So a rate
falls with the period it was taken over, and says little without it. The curve used here is that of a set of `hot_mib`
written at random: each page stays clean for an exponentially distributed time, so within t seconds

    dirtied(t) = hot_mib * (1 - exp(-mib_s * t / hot_mib))

(the occupancy, or coupon collector's, limit), with the initial rate `mib_s` such that the sample is reproduced. Where
no hot set is known, the straight line through the sample, up to all of the memory in use: nothing dirties more.
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
    """A dirtying curve: from 0 at 0 with slope `mib_s`, concave, up to `hot_mib`; never over `memory_mib`.

    An infinite `hot_mib` makes it the straight line.
    """

    mib_s: float
    hot_mib: float
    memory_mib: float

    @property
    def set_mib(self) -> float:
        """The most that is ever dirtied."""
        return min(self.hot_mib, self.memory_mib)

    @property
    def is_idle(self) -> bool:
        """Nothing is ever dirtied."""
        return self.mib_s <= 0 or self.set_mib <= 0

    def within_mib(self, seconds: float) -> float:
        """Return how many different MiB are written within a time."""
        if self.is_idle:
            return 0.0
        if math.isinf(self.hot_mib):
            return min(self.memory_mib, self.mib_s * seconds)
        return min(self.memory_mib, -self.hot_mib * math.expm1(-self.mib_s * seconds / self.hot_mib))


def from_sample(mib_s: float, over_s: float | None, hot_mib: float | None, memory_mib: float) -> Dirtying:
    """Return the curve through a sampled rate, for a guest with `memory_mib` in use.

    A hot set smaller than what was seen written within the period is taken to be as large as that; one beyond the
    memory in use (`hot_mib_from` where the end of the set is not in sight) only shapes the curve.
    """
    period_s = over_s if over_s else SAMPLE_S
    seen_mib = min(mib_s * period_s, memory_mib)
    if seen_mib <= 0:
        return Dirtying(0.0, 0.0, memory_mib)
    if hot_mib is None:
        return Dirtying(seen_mib / period_s, math.inf, memory_mib)
    hot = max(seen_mib, hot_mib)
    return Dirtying(-hot * math.log1p(-min(seen_mib / hot, SATURATED_RATIO)) / period_s, hot, memory_mib)


def hot_mib_from(short: tuple[float, float], long: tuple[float, float]) -> float | None:
    """Return the hot set from two samples (MiB/s, s) over different periods; `None` when they do not show one.

    It is the one for which the curve reproduces both. When the longer period dirtied as much more as it is longer,
    all that is known is that the hot set is beyond what was seen: none is claimed.
    """
    (rate, period_s), (long_rate, long_s) = sorted((short, long), key=lambda sample: sample[1])
    seen_mib, long_seen_mib = rate * period_s, long_rate * long_s
    if long_s <= period_s or seen_mib <= 0:
        return None
    if seen_mib >= SATURATED_RATIO * long_seen_mib:
        return max(seen_mib, long_seen_mib)
    if long_seen_mib / seen_mib >= 0.9 * long_s / period_s:
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
