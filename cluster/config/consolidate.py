"""The settings of consolidation: what is counted, what stays free, who stays awake, how often a host may sleep."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Depth(StrEnum):
    """How deep a night window goes: how much of the head-room and of the reserve is kept."""

    BALANCED = "balanced"
    LEAN = "lean"
    LEANEST = "leanest"


class PlanBy(StrEnum):
    """What guests are planned to use: their forecast, or the higher of use now and the last hour's mean."""

    FORECAST = "forecast"
    RECENT = "recent"


HEADROOM_KEPT = {Depth.BALANCED: 1.0, Depth.LEAN: 0.75, Depth.LEANEST: 0.5}
"""Share of both head-rooms that a depth keeps, so that they never touch."""
RESERVE_KEPT = {Depth.BALANCED: 1.0, Depth.LEAN: 0.5, Depth.LEANEST: 0.0}
"""Share of the reserve that a depth keeps, rounded up. What hosts lost must leave room for is kept at every depth."""


@dataclass(frozen=True, slots=True)
class ConsolidateSettings:
    """How deep consolidation goes and what it counts."""

    horizon_s: float = 14400.0
    headroom_ratio: float = 0.1
    wake_headroom_ratio: float = 0.05
    reserve_hosts: int = 1
    host_losses: int = 1
    lost_domain: str = ""
    plan_by: PlanBy = PlanBy.FORECAST
    quantile: float = 0.95
    least_on_s: float = 1800.0
    least_off_s: float = 1800.0
    cycles_per_day: int = 4
    spread_s: float = 600.0
    scheduler_host: str = ""
    move_joules_per_gib: float = 300.0

    def at_depth(self, depth: Depth) -> ConsolidateSettings:
        """Return the settings as a night window of this depth has them."""
        kept = HEADROOM_KEPT[depth]
        return replace(
            self,
            headroom_ratio=round(self.headroom_ratio * kept, 6),
            wake_headroom_ratio=round(self.wake_headroom_ratio * kept, 6),
            reserve_hosts=-int(-self.reserve_hosts * RESERVE_KEPT[depth] // 1),
        )
