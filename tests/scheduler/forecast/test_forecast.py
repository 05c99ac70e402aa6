"""Laws of the forecast, over histories of every kind."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.history import Metric
from scheduler.forecast.forecast import Limits, forecast
from tests.scheduler.forecast.history import NOW, ring, rings

DAY, WEEK = 288, 2016
HOUR_S = 3600.0


def _noise(seed: int, guests: int, slots: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).gamma(2.0, 300.0, (guests, slots))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 30, 300, 700, 3000]), st.sampled_from([1, 7, 40]))
def test_quantiles_grow_with_their_level_and_stay_within_limits(seed: int, slots: int, steps: int) -> None:
    """For any history: 0 <= quantile at q <= quantile at a higher q <= the guest's vCPUs."""
    use = _noise(seed, 3, slots)
    use[1] = np.minimum(use[1], 500)
    made = forecast(rings(list(use)), NOW, steps * 300, {"g01": Limits(500, 1000)})
    grown = [made.cpu_quantile(q) for q in (0.0, 0.3, 0.5, 0.9, 0.95, 0.97, 1.0)]
    assert (grown[0] >= 0).all()
    assert all((lower <= higher).all() for lower, higher in pairwise(grown))
    assert (grown[-1][1] <= 500).all()
    assert (made.cpu_mean[1] <= 500).all()
    assert (made.memory_quantile(1.0)[1] <= 1000).all()


@pytest.mark.parametrize("slots", [DAY, 900, 8064])
def test_a_guest_that_never_changes_is_forecast_as_it_is(slots: int) -> None:
    """Every quantile, the mean, the sum and the planning shares of steady guests are what they use."""
    made = forecast(rings([np.full(slots, 700.0), np.full(slots, 20.0)]), NOW, 8 * HOUR_S)
    for figures in (made.cpu_mean, made.cpu_quantile(0.5), made.cpu_quantile(0.95)):
        np.testing.assert_array_equal(figures, np.repeat([[700], [20]], 96, axis=1))
    np.testing.assert_array_equal(made.sum_quantile(made.guests, 0.95), np.full(96, 720))
    np.testing.assert_array_equal(made.planning_millicores(0.95, 2, 96), [700, 20])


def test_an_hour_of_sameness_is_not_taken_for_steadiness() -> None:
    """The mean is what was seen; the 95th percentile leaves room up to what the guest could use, which shrinks."""
    room = []
    for slots in (2, 12, 150):
        made = forecast(rings([np.full(slots, 700.0)]), NOW, 8 * HOUR_S, {"g00": Limits(4000, 8192)})
        assert (made.cpu_mean == 700).all()
        room.append(made.cpu_quantile(0.95).max() - 700)
    assert room[0] >= room[1] > room[2] > 0


def test_a_whole_week_later_a_weekly_load_is_forecast_the_same() -> None:
    """The forecast looks at nothing but the figures and their distance from now: whole weeks later it is the same."""
    week = np.tile(np.random.default_rng(3).integers(0, 3000, WEEK), 4)
    early = forecast(rings([week]), NOW, 4 * HOUR_S)
    late = forecast(rings([week], NOW + timedelta(weeks=3)), NOW + timedelta(weeks=3), 4 * HOUR_S)
    np.testing.assert_array_equal(early.cpu_quantile(0.95), late.cpu_quantile(0.95))


@pytest.mark.parametrize("hours", [1, 4, 24])
def test_what_others_use_changes_nothing(hours: int) -> None:
    """A guest among guests known for longer and shorter is forecast as it is alone."""
    use = list(_noise(8, 14, 7000) * np.random.default_rng(1).random((14, 1)))
    for row, slots in enumerate((2, 3, 9, 40, 41, 150, 431, 432, 600, 2879, 2880, 5039, 5040, 7000)):
        use[row] = use[row][-slots:]
    everyone = rings(use)
    among = forecast(everyone, NOW, hours * HOUR_S)
    for row, guest in enumerate(everyone):
        alone = forecast({guest: everyone[guest]}, NOW, hours * HOUR_S)
        assert np.abs(alone.cpu_quantile(0.95)[0] - among.cpu_quantile(0.95)[row]).max() <= 1, guest
        assert np.abs(alone.cpu_mean[0] - among.cpu_mean[row]).max() <= 1, guest


def test_what_comes_after_now_is_not_looked_at() -> None:
    """A forecast made for an earlier moment from a ring that knows more is the one made then."""
    figures = _noise(5, 2, 900)
    then = NOW - timedelta(hours=5)
    known_then = forecast(rings(list(figures[:, :-60]), then), then, 2 * HOUR_S)
    known_now = forecast(rings(list(figures)), then, 2 * HOUR_S)
    np.testing.assert_array_equal(known_then.cpu_quantile(0.95), known_now.cpu_quantile(0.95))


def test_a_short_history_is_said() -> None:
    """Under two days of figures are short, two days are not."""
    made = forecast(rings([np.ones(2 * DAY - 1), np.ones(2 * DAY)]), NOW, HOUR_S)
    assert made.is_short_history.tolist() == [True, False]


def test_a_guest_never_measured_stands_at_its_limits_or_is_called_unknown() -> None:
    """Never zero: it is forecast at all its vCPUs and memory, and without those it is not forecast at all."""
    made = forecast({**rings([np.ones(9)]), "new": {}}, NOW, HOUR_S, {"limited": Limits(4000, 8192)})
    assert made.guests == ("g00", "limited")
    assert made.unknown == ("new",)
    assert (made.cpu_quantile(0.1)[1] == 4000).all()
    assert (made.memory_mean[1] == 8192).all()


def test_a_limit_that_was_passed_is_none() -> None:
    """A guest whose measured use lies above its vCPUs (its emulator's share counts too) is forecast as it was."""
    made = forecast(rings([np.full(900, 2200.0)]), NOW, HOUR_S, {"g00": Limits(2000, 8192)})
    assert (made.cpu_quantile(0.95) == 2200).all()


@pytest.mark.parametrize("metrics", [(), (Metric.CPU_MILLICORES,), (Metric.MEMORY_MIB,)])
def test_rings_without_figures_stand_at_the_limits(metrics: tuple[Metric, ...]) -> None:
    """A fresh cluster, or one whose guests report no memory, is forecast at its limits where nothing is known."""
    known = {"g": {metric: ring([7.0]) for metric in metrics}, "h": {Metric.CPU_MILLICORES: ring([])}}
    made = forecast(known, NOW, HOUR_S, {"g": Limits(2000, 4096), "h": Limits(1000, 2048)})
    assert made.cpu_mean[:, 0].tolist() == [7 if Metric.CPU_MILLICORES in metrics else 2000, 1000]
    assert made.memory_mean[:, 0].tolist() == [7 if Metric.MEMORY_MIB in metrics else 4096, 2048]
    assert made.sum_quantile(["g", "h"], 0.95).shape == (12,)


def test_memory_never_measured_and_not_limited_is_refused() -> None:
    """A figure nobody knows is not made up."""
    only_cpu = {"g": {Metric.CPU_MILLICORES: rings([np.ones(9)])["g00"][Metric.CPU_MILLICORES]}}
    made = forecast(only_cpu, NOW, HOUR_S)
    with pytest.raises(ValueError, match="never measured"):
        made.memory_quantile(0.5)
    assert made.cpu_quantile(0.5).tolist() == [[1] * 12]


def test_the_slots_forecast_begin_after_the_one_that_holds_now() -> None:
    """`start` is the next slot's beginning, and an odd horizon is rounded up to whole slots."""
    made = forecast(rings([np.ones(9)]), NOW, 301)
    assert made.start == NOW.replace(minute=5, second=0)
    assert made.steps == 2
    assert made.cpu_mean.shape == (1, 2)


def test_days_ahead_are_forecast_and_a_week_is_refused() -> None:
    """Three days ahead the daily shape still holds; beyond six days nothing is said."""
    use = np.floor(1000 + 900 * np.sin(2 * np.pi * np.arange(4 * WEEK) / DAY))
    made = forecast(rings([use]), NOW, 72 * HOUR_S)
    expected = 1000 + 900 * np.sin(2 * np.pi * (4 * WEEK + np.arange(3 * DAY)) / DAY)
    assert np.abs(made.cpu_mean[0, 2 * DAY :] - expected[2 * DAY :]).max() < 150
    with pytest.raises(ValueError, match="at most"):
        forecast(rings([use]), NOW, 7 * 24 * HOUR_S)


def test_no_guests_is_an_empty_forecast() -> None:
    """A cluster without guests has a forecast too."""
    made = forecast({}, NOW, HOUR_S)
    assert made.cpu_quantile(0.95).shape == (0, 12)
    assert made.planning_millicores(0.95, 10, 12).shape == (0,)
    assert made.sum_quantile([], 0.95).tolist() == [0] * 12
