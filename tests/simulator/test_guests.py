"""Laws of load and of memory writing."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.guests import ChangingLoad, SquareLoad, Storm, TraceLoad, Writes, dice
from tests.simulator.worlds import make_guest

seconds = st.floats(0, 1e7)


@given(st.integers(0, 2**48), seconds)
def test_load_is_a_function_of_seed_and_time_within_bounds(seed: int, at_s: float) -> None:
    """Asked twice it says the same, never below 0 nor above the ceiling."""
    load = ChangingLoad(2000, 3000, seed, day_ratio=0.3, noise_ratio=0.5, step_ratio=1.0, step_chance=0.3)
    assert load.millicores(at_s) == load.millicores(at_s)
    assert 0 <= load.millicores(at_s) <= 3000


def test_load_changes_but_does_not_jump_between_close_moments() -> None:
    """Noise is smooth: a tenth of a second does not matter, ten minutes do."""
    load = ChangingLoad(1000, 4000, 7, noise_ratio=0.2)
    values = [load.millicores(at * 0.1) for at in range(6000)]
    assert max(values) - min(values) > 100
    assert max(abs(right - left) for left, right in pairwise(values)) < 5


def test_guests_with_different_seeds_have_unrelated_loads() -> None:
    """Means over many seeds meet in the middle."""
    figures = [dice(seed, 3) for seed in range(2000)]
    assert sum(figures) / len(figures) == pytest.approx(0.5, abs=0.03)


def test_square_load_flaps_and_trace_load_replays() -> None:
    """Half a period high, half low; a trace holds each value and begins anew."""
    square = SquareLoad(100, 900, period_s=60)
    assert [square.millicores(at) for at in (0, 29, 30, 59, 60)] == [900, 900, 100, 100, 900]
    trace = TraceLoad([1, 2, 3], slot_s=10)
    assert [trace.millicores(at) for at in (0, 9.9, 10, 25, 30)] == [1, 1, 2, 3, 1]


@given(st.floats(0, 500), st.floats(0, 1000), st.floats(0, 200), st.floats(0, 100), st.floats(0, 100))
def test_unique_dirtying_grows_ever_slower_and_never_passes_the_memory(
    hot: float, hot_rate: float, cold_rate: float, first: float, more: float
) -> None:
    """More time dirties more, a second stretch less than the first, all of it no more than is written or there."""
    writes = Writes(hot, hot_rate, cold_rate)
    one, both = writes.dirtied_mib(first, 4096), writes.dirtied_mib(first + more, 4096)
    assert one <= both <= one + writes.dirtied_mib(more, 4096) + 1e-6
    assert both <= min(4096, (hot_rate + cold_rate) * (first + more)) + 1e-6


def test_a_storm_dirties_more_only_while_it_lasts() -> None:
    """Half a second of a tenfold storm in one second counts as five and a half."""
    guest = make_guest("g", writes=Writes(cold_mib_s=1))
    guest.storms.append(Storm(10.0, 10.5, 10.0))
    assert guest.dirtied_mib(8, 9) == pytest.approx(1, rel=1e-3)
    assert guest.dirtied_mib(10, 11) == pytest.approx(5.5, rel=1e-3)
