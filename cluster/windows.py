"""Weekly time windows: whether a moment lies in one, in the window's own time zone. Pure."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo


class WeeklyWindow(Protocol):
    """Days it begins on (0 Monday), from and to (may pass midnight), in a time zone."""

    @property
    def days(self) -> tuple[int, ...]:
        """Days of the week on which it begins."""

    @property
    def start(self) -> time:
        """Time of day it begins at."""

    @property
    def end(self) -> time:
        """Time of day it ends at; the same as `start` means the whole day."""

    @property
    def time_zone(self) -> str:
        """Name of the time zone whose clock counts."""


def is_open(window: WeeklyWindow, now: datetime) -> bool:
    """Tell whether the window is open. It belongs to the day it begins on; equal ends mean the whole day."""
    local = now.astimezone(ZoneInfo(window.time_zone))
    if window.start == window.end:
        return local.weekday() in window.days
    if window.start < window.end:
        return local.weekday() in window.days and window.start <= local.time() < window.end
    if local.time() >= window.start:
        return local.weekday() in window.days
    return local.time() < window.end and (local - timedelta(days=1)).weekday() in window.days
