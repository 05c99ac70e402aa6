"""Virtual time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from simulator.clock import SimClock
from tests.simulator.worlds import START


def test_stands_still_until_advanced() -> None:
    """No real time passes on it."""
    clock = SimClock(START)
    assert clock.now() == clock.now() == START
    clock.sleep(2.5)
    assert (clock.now(), clock.monotonic_s()) == (START + timedelta(seconds=2.5), 2.5)


def test_many_small_advances_equal_one() -> None:
    """Tenths of a second add up exactly."""
    clock = SimClock(START)
    for _ in range(1000):
        clock.advance(0.1)
    assert clock.monotonic_s() == 100.0


def test_never_runs_back() -> None:
    """A negative advance is refused, a past moment to advance to is no move."""
    clock = SimClock(START)
    clock.advance(5)
    clock.advance_to(3)
    assert clock.monotonic_s() == 5
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)
