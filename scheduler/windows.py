"""Time windows: whether a moment lies in one, in the window's own time zone. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cluster.config.settings import WindowKind, WindowSettings


def is_open(window: WindowSettings, now: datetime) -> bool:
    """Tell whether the window is open. It belongs to the day it begins on; equal ends mean the whole day."""
    local = now.astimezone(ZoneInfo(window.time_zone))
    if window.start == window.end:
        return local.weekday() in window.days
    if window.start < window.end:
        return local.weekday() in window.days and window.start <= local.time() < window.end
    if local.time() >= window.start:
        return local.weekday() in window.days
    return local.time() < window.end and (local - timedelta(days=1)).weekday() in window.days


def any_open(windows: Iterable[WindowSettings], kind: WindowKind, now: datetime) -> bool:
    """Tell whether a window of this kind is open."""
    return any(window.kind is kind and is_open(window, now) for window in windows)
