"""A store under test, with the one thing that its protocol has not: a way to let time pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cluster.store.protocol import Store

START = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)


class ManualClock:
    """A clock that stands still until it is told how long to go on."""

    def __init__(self) -> None:
        self._passed_s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self._passed_s)

    def monotonic_s(self) -> float:
        return self._passed_s

    def sleep(self, seconds: float) -> None:
        self._passed_s += seconds


@dataclass
class Harness:
    """A store, a time to live that `expire` outlasts, and another client of the same store."""

    store: Store
    other: Store
    pass_s: Callable[[float], None]
    short_s: float = 0.25
    long_s: float = 60.0

    def expire(self) -> None:
        """Let `short_s` pass."""
        self.pass_s(self.short_s)


def real_time(seconds: float) -> None:
    """Wait a little longer than this in real time."""
    time.sleep(seconds + 0.03)
