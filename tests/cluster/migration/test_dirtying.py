"""Laws of the dirtying curve: it goes through its sample, never beyond the hot set, and two samples give the set."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cluster.migration.dirtying import SATURATED_RATIO, Dirtying, from_sample, hot_mib_from

rates = st.floats(0.01, 4000)
periods = st.floats(1, 60)
sizes = st.floats(1, 65536)


@given(rates, periods, sizes, sizes)
def test_the_curve_goes_through_its_sample(mib_s: float, over_s: float, hot_mib: float, memory_mib: float) -> None:
    """Unless the sample saturates the hot set, what it saw is what the curve says of its period."""
    seen_mib = mib_s * over_s
    assume(seen_mib <= SATURATED_RATIO * min(hot_mib, memory_mib))
    curve = from_sample(mib_s, over_s, hot_mib, memory_mib)
    assert curve.within_mib(over_s) == pytest.approx(seen_mib, rel=1e-6)


@given(rates, periods, st.none() | sizes, sizes, st.floats(0, 1e5), st.floats(0, 1e5))
def test_more_time_dirties_more_up_to_the_hot_set(
    mib_s: float, over_s: float, hot_mib: float | None, memory_mib: float, one_s: float, more_s: float
) -> None:
    """The curve rises, stays within the memory, and begins at nothing."""
    curve = from_sample(mib_s, over_s, hot_mib, memory_mib)
    assert curve.within_mib(0) == 0
    assert curve.within_mib(one_s) <= curve.within_mib(one_s + more_s) <= curve.set_mib <= memory_mib


@given(rates, periods, sizes, st.floats(0, 1000))
def test_without_a_hot_set_the_curve_is_the_straight_line(
    mib_s: float, over_s: float, memory_mib: float, seconds: float
) -> None:
    """Nothing that goes through the same sample and slows down dirties more in a longer time."""
    line = from_sample(mib_s, over_s, None, memory_mib)
    assume(mib_s * over_s <= memory_mib)
    assert line.within_mib(seconds) == pytest.approx(min(memory_mib, mib_s * seconds))
    if seconds > over_s:
        assert line.within_mib(seconds) >= from_sample(mib_s, over_s, memory_mib, memory_mib).within_mib(seconds) - 1e-6


@given(sizes, st.floats(0.02, 2), st.floats(1, 5), st.floats(2, 20))
def test_two_periods_show_the_hot_set(hot_mib: float, per_s: float, over_s: float, times: float) -> None:
    """Samples of a curve over two periods give its hot set back, where the longer one shows that there is one."""
    curve = Dirtying(hot_mib * per_s, hot_mib, 1e9)
    short, long = ((curve.within_mib(s) / s, s) for s in (over_s, over_s * times))
    found = hot_mib_from(short, long)
    assert hot_mib_from(long, short) == found
    if found is not None:
        assert found == pytest.approx(hot_mib, rel=0.05)
        again = from_sample(*short, found, 1e9)
        assert again.within_mib(over_s * times) == pytest.approx(curve.within_mib(over_s * times), rel=0.03)


def test_twice_the_pages_in_twice_the_time_show_no_hot_set() -> None:
    """Nothing is claimed of a set that two periods see no end of, nor of an idle guest."""
    assert hot_mib_from((20, 1), (20, 10)) is None
    assert hot_mib_from((0, 1), (0, 10)) is None
    assert hot_mib_from((0, 1), (3, 10)) is None
    assert hot_mib_from((20, 1), (20, 1)) is None


def test_a_set_that_is_all_written_within_the_short_period_is_as_large_as_seen() -> None:
    """Both periods see the same pages: the rate they show is only a lower bound."""
    assert hot_mib_from((16, 1), (1.6, 10)) == 16
    assert hot_mib_from((16, 1), (1.5, 10)) == 16
    curve = from_sample(16, 1, 16, 1024)
    assert curve.within_mib(0.25) > 8


def test_a_rate_without_a_period_was_taken_over_a_second() -> None:
    """The shortest period libvirt has."""
    assert from_sample(50, None, 300, 1024) == from_sample(50, 1, 300, 1024)
    assert from_sample(0, 1, 300, 1024).is_idle
