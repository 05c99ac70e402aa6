"""Rings as an array: what stands where, against the ring's own reading."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.history import SLOTS, UsageRing, slot_of, with_sample
from scheduler.forecast.series import aligned, carried_forward
from tests.scheduler.forecast.history import NOW


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9000)), max_size=12),
    st.integers(-3 * SLOTS // 2, 3 * SLOTS // 2),
)
def test_the_array_agrees_with_the_ring_at_every_slot(steps: list[tuple[int, int]], late: int) -> None:
    """Whatever was written and whenever it is read, column k from the end holds the ring's value k slots back."""
    packed, at = b"", NOW
    for slots, value in steps:
        at += timedelta(seconds=300 * slots)
        packed = with_sample(packed, at, value)
    ring = UsageRing(packed)
    now = at + timedelta(seconds=300 * late)
    values = aligned([ring], now)
    expected = ring.values(slot_of(now) - SLOTS + 1, SLOTS)
    known = [index for index, value in enumerate(expected) if value is not None]
    wanted = [np.nan if value is None else value for value in expected[known[0] :]] if known else []
    np.testing.assert_array_equal(values[0], wanted)


def test_a_gap_is_filled_with_what_was_known_before_it() -> None:
    """Nothing is filled before the first figure, and no later figure is looked at."""
    nan = np.nan
    given = np.array([[nan, 1, nan, nan, 2], [3, nan, 4, nan, nan]], np.float32)
    np.testing.assert_array_equal(carried_forward(given), [[nan, 1, 1, 1, 2], [3, 3, 4, 4, 4]])
