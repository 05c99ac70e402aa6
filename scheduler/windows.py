"""The configured time windows: whether one of a kind is open. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cluster.config.settings import WindowKind, WindowSettings
from cluster.windows import is_open


def any_open(windows: Iterable[WindowSettings], kind: WindowKind, now: datetime) -> bool:
    """Tell whether a window of this kind is open."""
    return any(window.kind is kind and is_open(window, now) for window in windows)
