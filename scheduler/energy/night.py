"""When hosts may sleep: the night window that is open, how deep it goes, and when all must be awake again. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cluster.config.consolidate import Depth
from cluster.config.settings import Settings, WindowKind, WindowSettings
from cluster.windows import is_open

CONSOLIDATE = "consolidate"


@dataclass(frozen=True, slots=True)
class Night:
    """Consolidation is on now, this deep; `awake_by` is when all hosts are to be awake, `None`: at no set time."""

    depth: Depth = Depth.BALANCED
    awake_by: datetime | None = None


def night_of(settings: Settings, now: datetime) -> Night | None:
    """Return the night that goes on now, of several windows the first; `None`: hosts are to be awake."""
    always = settings.scheduler.policy == CONSOLIDATE
    for window in settings.windows:
        if window.kind is not WindowKind.NIGHT or not is_open(window, now):
            continue
        awake_by = _awake_by(window, now)
        if always and window.awake_by is None:
            awake_by = None
        if awake_by is None or now < awake_by:
            return Night(window.depth, awake_by)
        return None
    return Night() if always else None


def _awake_by(window: WindowSettings, now: datetime) -> datetime | None:
    """Return by when hosts are awake: the hour asked for, or the window's end; `None` where it never ends."""
    at = window.awake_by or window.end
    if window.awake_by is None and window.start == window.end:
        return None
    zone = ZoneInfo(window.time_zone)
    local = now.astimezone(zone)
    # The night that is open began today or yesterday.
    began = datetime.combine(local.date(), window.start, zone)
    if began > local:
        began -= timedelta(days=1)
    ends = datetime.combine(began.date(), at, zone)
    if ends <= began:
        ends += timedelta(days=1)
    return ends.astimezone(now.tzinfo)
