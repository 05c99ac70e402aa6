"""What guests are planned to use over the coming hours: totals per step, and each guest's share. Pure.

Made from the forecast, or of present use alone where there is none. Step k covers `step_s` seconds from `start` on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cluster.history import SLOT_S, UsageRing
from cluster.snapshot import Snapshot

if TYPE_CHECKING:
    from scheduler.forecast.forecast import Forecast

Ints = npt.NDArray[np.int64]
TOGETHER = 3
"""Windows for shares are whole multiples of so many steps."""
Shares = Callable[[int], Mapping[str, int]]
"""Each guest's planning millicores over so many first steps."""


@dataclass(frozen=True)
class Outlook:
    """Planned CPU use: `total_millicores` int64[steps], the quantile of all guests' sum.

    `shares` gives each guest's part of a typical host's peak. Hosts have peaks of their own: together they must hold
    `apart` times the total. `source` says in words what it is made of.
    """

    start: datetime
    step_s: int
    total_millicores: Ints
    shares: Shares
    source: str
    apart: float = 1.0

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.total_millicores)

    def seen_from(self, now: datetime) -> Outlook:
        """Return the same from the step on that holds `now`; the last step stays where it is over."""
        gone = int(min(max(0.0, (now - self.start).total_seconds() // self.step_s), self.steps - 1))
        if not gone:
            return self
        start = self.start + timedelta(seconds=gone * self.step_s)
        shares = self.shares
        return replace(
            self,
            start=start,
            total_millicores=self.total_millicores[gone:],
            shares=lambda steps: shares(steps + gone),
        )

    def steps_within(self, seconds: float) -> int:
        """Return how many first steps lie within so many seconds, at least one."""
        return int(min(max(1, -(-seconds // self.step_s)), self.steps))


RECENT_SLOTS = 12
"""An hour of history."""


def present_outlook(snapshot: Snapshot, horizon_s: float) -> Outlook:
    """Return the outlook of a load that stays as it is."""
    use = {guest.id: guest.usage.cpu_millicores or 0 for guest in snapshot.guests}
    steps = max(1, int(-(-horizon_s // SLOT_S)))
    total = np.full(steps, sum(use.values()), dtype=np.int64)
    return Outlook(snapshot.taken_at, SLOT_S, total, lambda _steps: use, "present use")


def recent_outlook(snapshot: Snapshot, rings: Mapping[str, UsageRing], horizon_s: float) -> Outlook:
    """Return the outlook of guests that go on as in the last hour: at its mean, or at present use where that is more.

    `rings` hold the CPU use of each guest of the snapshot.
    """
    use: dict[str, int] = {}
    for guest in snapshot.guests:
        lately = rings[guest.id].latest(snapshot.taken_at, RECENT_SLOTS)
        use[guest.id] = max(guest.usage.cpu_millicores or 0, -(-sum(lately) // len(lately)) if lately else 0)
    steps = max(1, int(-(-horizon_s // SLOT_S)))
    total = np.full(steps, sum(use.values()), dtype=np.int64)
    return Outlook(snapshot.taken_at, SLOT_S, total, lambda _steps: use, "use of the last hour")


def outlook_of(forecast: Forecast, quantile: float, group_size: int, soon_s: float) -> Outlook:
    """Return the outlook of a forecast, for hosts that hold about `group_size` guests each.

    What hosts must hold is more than the quantile of the whole, since each has its own peak: by so much as the guests'
    shares over the first `soon_s` sum to more than the peak of the whole in it.
    """
    guests = forecast.guests
    kept: dict[int, Mapping[str, int]] = {}

    def shares(steps: int) -> Mapping[str, int]:
        # Peaks of windows a little longer differ little, and each takes a while to work out.
        steps = min(forecast.steps, -(-steps // TOGETHER) * TOGETHER)
        if steps not in kept:
            figures = forecast.planning_millicores(quantile, group_size, steps)
            kept[steps] = dict(zip(guests, figures.tolist(), strict=True))
        return kept[steps]

    course = forecast.sum_quantile(guests, quantile)
    first = min(max(1, round(soon_s / forecast.step_s)), forecast.steps)
    peak = int(course[:first].max(initial=0))
    apart = max(1.0, sum(shares(first).values()) / peak) if peak > 0 else 1.0
    short = int(np.count_nonzero(forecast.is_short_history))
    of = f"forecast at its {quantile:.0%} quantile"
    source = f"{of}, {short} of {len(guests)} guests with little history" if short else of
    return Outlook(forecast.start, forecast.step_s, course, shares, source, apart)
