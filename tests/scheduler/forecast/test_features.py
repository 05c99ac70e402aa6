"""Features of a moment: means over what was known, and nothing that was not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.forecast.features import DAY, HALF, SEASONS, WEEK, first_known, local, seasonal, seasons_known, smoothed
from scheduler.forecast.series import Floats


def _roots(seed: int, slots: int, born: int) -> Floats:
    made = np.random.default_rng(seed).random((1, slots)).astype(np.float32) * 50
    made[:, :born] = 0
    return made


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.integers(1, 5 * DAY), st.integers(0, 700))
def test_what_a_season_says_of_a_slot_was_known_when_it_had_to_be(seed: int, ahead: int, born: int) -> None:
    """Taken from the whole history or from what was known `ahead` slots before, the same time means the same."""
    slots, season = 9 * DAY, SEASONS[seed % 2]
    at = slots - 1 - ahead
    skipped = (ahead + HALF - 1) // DAY
    whole, known = _roots(seed, slots, born), np.asarray([born])
    later, penalty = seasonal(smoothed(whole, known), known, ahead, season, skipped)
    then, then_penalty = seasonal(smoothed(whole[:, : at + 1], known), known, ahead, season, skipped)
    assert penalty[0, at + ahead] == then_penalty[0, at + ahead]
    if penalty[0, at + ahead] == 0:
        np.testing.assert_allclose(later[0, at + ahead], then[0, at + ahead], rtol=1e-4)


def test_local_features_are_plain_means_of_what_is_known() -> None:
    """Over a guest's first slots they are means of those there are; what stands before its birth counts for nothing."""
    roots, born = _roots(1, 400, 30), np.asarray([30])
    made = local(roots, born)[0]
    for at in (30, 31, 45, 399):
        for feature, width in zip(made, (1, 3, 12, DAY), strict=True):
            expected = roots[0, max(30, at - width + 1) : at + 1].mean()
            assert feature[at] == pytest.approx(expected, rel=1e-3)


def test_the_same_time_is_a_mean_around_it() -> None:
    """Two slots to either side, fewer at the ends of what is known."""
    roots = _roots(2, 40, 10)
    made = smoothed(roots, np.asarray([10]))[0]
    for at in (10, 11, 20, 38, 39):
        assert made[at] == pytest.approx(roots[0, max(10, at - 2) : at + 3].mean(), rel=1e-4)
    assert not made[:10].any()


@pytest.mark.parametrize(("slots", "seen"), [(DAY, 0), (2 * DAY, 2), (2 * WEEK, 2), (3 * WEEK, 3)])
def test_a_season_is_not_looked_at_before_it_was_seen_to_repeat(slots: int, seen: int) -> None:
    """No day from one day, no week from two."""
    assert len(seasons_known(slots)) == seen


def test_a_guest_never_seen_is_known_from_the_end_on() -> None:
    """The first known slot is the number of slots where there is none."""
    nan = np.nan
    values = np.asarray([[nan, nan, 1.0], [nan, nan, nan], [2.0, nan, nan]], np.float32)
    assert first_known(values).tolist() == [2, 3, 0]
    assert first_known(values[:, :0]).tolist() == [0, 0, 0]
