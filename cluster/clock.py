"""Time as an argument: the clock that every loop is given, and the one that reads the real time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where now comes from and how to wait. The simulator has its own."""

    def now(self) -> datetime:
        """Return the current time, UTC and aware."""

    def monotonic_s(self) -> float:
        """Return seconds on a clock that never jumps, for deadlines and ages."""

    def sleep(self, seconds: float) -> None:
        """Wait this long on this clock."""


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        """Return the current UTC time."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return the system's monotonic clock in seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block the calling thread."""
        time.sleep(max(0.0, seconds))
