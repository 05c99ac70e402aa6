"""Virtual time: a clock that stands still until somebody advances it, and on which sleeping passes no real time."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

_MICROSECONDS = 1_000_000


class SimClock:
    """A `cluster.clock.Clock` moved by hand. Whole microseconds inside, so ten tenths of a second are one second."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock starts at an aware time (UTC)")
        self._start = start
        self._elapsed_us = 0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            return self._start + timedelta(microseconds=self._elapsed_us)

    def monotonic_s(self) -> float:
        with self._lock:
            return self._elapsed_us / _MICROSECONDS

    def sleep(self, seconds: float) -> None:
        self.advance(max(0.0, seconds))

    def advance(self, seconds: float) -> None:
        """Let this much time pass at once. `ValueError` for a negative time: it never runs backwards."""
        if seconds < 0:
            raise ValueError(f"time cannot run back by {-seconds:g} s")
        with self._lock:
            self._elapsed_us += round(seconds * _MICROSECONDS)

    def advance_to(self, monotonic_s: float) -> None:
        """Let time pass until `monotonic_s` reads this; nothing when that is already past."""
        self.advance(max(0.0, monotonic_s - self.monotonic_s()))
