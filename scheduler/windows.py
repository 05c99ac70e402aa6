"""The configured time windows: whether one of a kind is open. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from cluster.config.settings import WindowKind, WindowSettings
from cluster.windows import is_open


def any_open(windows: Iterable[WindowSettings], kind: WindowKind, now: datetime) -> bool:
    """Tell whether a window of this kind is open."""
    return any(window.kind is kind and is_open(window, now) for window in windows)


def opens_within(windows: Iterable[WindowSettings], kind: WindowKind, now: datetime, seconds: float) -> bool:
    """Tell whether a window of this kind is open now or opens before so many seconds are over."""
    ours = [window for window in windows if window.kind is kind]
    if not ours:
        return False
    # Windows begin on whole minutes.
    end, at = now + timedelta(seconds=seconds), now
    while at < end or at == now:
        if any_open(ours, kind, at):
            return True
        at = at.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return False
