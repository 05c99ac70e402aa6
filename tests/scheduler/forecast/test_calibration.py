"""Forecasts of made-up processes whose true quantiles are known: how often use stays under what was forecast."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from scheduler.forecast.forecast import Limits, forecast
from scheduler.forecast.marginal import marginals
from scheduler.forecast.quantiles import between
from scheduler.forecast.series import Floats, carried_forward
from scheduler.forecast.sums import summed
from tests.scheduler.forecast.history import NOW, rings

DAY, WEEK = 288, 2016
AHEAD = (1, 12, 48)


def _noise(seed: int, guests: int, slots: int) -> npt.NDArray[np.float64]:
    """Return noise [guest, slot] that is forgotten over about an hour, of standard deviation 1."""
    fresh = np.random.default_rng(seed).standard_normal((guests, slots + 100))
    made = np.zeros_like(fresh)
    for slot in range(1, fresh.shape[1]):
        made[:, slot] = 0.92 * made[:, slot - 1] + (1 - 0.92**2) ** 0.5 * fresh[:, slot]
    return made[:, 100:]


def _daily(slots: int) -> npt.NDArray[np.float64]:
    return 1.2 + np.sin(2 * np.pi * np.arange(slots) / DAY)


def _use(seed: int, guests: int, slots: int) -> Floats:
    """Return use that follows the day and varies by a factor: skewed, and the more so the higher it is."""
    return np.asarray(800 * _daily(slots) * np.exp(0.25 * _noise(seed, guests, slots)), np.float32)


def test_the_95th_percentile_is_passed_one_time_in_twenty() -> None:
    """With four weeks known, use stays under it 93 to 97 % of the time at every horizon."""
    slots = 4 * WEEK + 6 * DAY
    use = _use(7, 40, slots)
    limits = np.full(40, np.inf, np.float32)
    origins = range(4 * WEEK, slots - max(AHEAD), 71)
    under = np.zeros((len(origins), len(AHEAD)))
    for index, origin in enumerate(origins):
        high = between(marginals(use[:, origin - 4 * WEEK : origin], max(AHEAD), limits).grid, 0.95)
        for place, ahead in enumerate(AHEAD):
            under[index, place] = np.mean(use[:, origin - 1 + ahead] <= high[:, ahead - 1])
    assert under.shape[0] >= 20
    assert ((under.mean(axis=0) > 0.93) & (under.mean(axis=0) < 0.97)).all(), under.mean(axis=0)


@pytest.mark.parametrize("together", [0.0, 0.8])
def test_a_sums_95th_percentile_is_passed_one_time_in_twenty(together: float) -> None:
    """Whether guests rise and fall on their own or in step: what they did together in the past is what counts."""
    slots, guests = 4 * WEEK + 6 * DAY, 12
    own, common = _noise(1, guests, slots), _noise(2, 1, slots)
    use = np.asarray(
        800 * _daily(slots) * np.exp(0.3 * ((1 - together**2) ** 0.5 * own + together * common)), np.float32
    )
    limits, rows = np.full(guests, np.inf, np.float32), np.arange(guests)
    under, added = [], []
    for origin in range(4 * WEEK, slots - 48, 37):
        past = use[:, origin - 4 * WEEK : origin]
        made = marginals(past, 48, limits)
        high = summed(past, carried_forward(past), made, limits, rows, 0.95)
        for ahead in AHEAD:
            under.append(use[:, origin - 1 + ahead].sum() <= high[ahead - 1])
        added.append((between(made.grid, 0.95).sum(axis=0) / high).mean())
        assert (high >= made.mean.sum(axis=0)).all()
    assert 0.91 < np.mean(under) < 0.985
    # On their own, guests even each other out; in step they hardly do.
    assert (np.mean(added) > 1.15) == (together == 0.0)


def test_guests_that_are_one_are_summed_as_one() -> None:
    """Eight guests with the same course: the sum's quantile is eight times one's."""
    use = np.floor(_use(3, 1, 2 * WEEK))[0]
    made = forecast(rings([use] * 8), NOW, 4 * 3600)
    one = made.cpu_quantile(0.95)[0]
    np.testing.assert_allclose(made.sum_quantile(made.guests, 0.95), 8 * one, rtol=0.02)
    np.testing.assert_array_equal(made.sum_quantile(made.guests[:1], 0.95), one)


def test_of_guests_that_peak_rarely_the_sum_is_more_than_their_quantiles() -> None:
    """Each of 30 is busy one slot in forty: none at its 95th percentile, but hardly a slot without any."""
    busy = np.random.default_rng(5).random((30, 2 * WEEK)) < 1 / 40
    made = forecast(rings(list(np.where(busy, 1000.0, 0.0))), NOW, 4 * 3600)
    together = made.sum_quantile(made.guests, 0.95)[12:]
    assert together.min() >= 1000
    assert made.cpu_quantile(0.95)[:, 12:].sum(axis=0).mean() < 0.5 * together.mean()


@pytest.mark.parametrize("steps", [1, 12, 48])
def test_the_shares_of_a_host_sum_to_its_peak(steps: int) -> None:
    """All guests on one host: their shares are the highest quantile of their sum, but for rounding up."""
    made = forecast(rings(list(np.floor(_use(11, 15, 3 * WEEK)))), NOW, 4 * 3600)
    shares = made.planning_millicores(0.95, 15, steps)
    peak = made.sum_quantile(made.guests, 0.95)[:steps].max()
    assert peak <= shares.sum() <= peak + 15
    assert (shares >= made.cpu_mean[:, :steps].mean(axis=1) - 1).all()


def test_smaller_hosts_need_larger_shares() -> None:
    """Guests even each other out less among few: at five to a host, each needs more than at thirty."""
    made = forecast(rings(list(np.floor(_use(12, 60, 2 * WEEK)))), NOW, 3600)
    assert made.planning_millicores(0.95, 5, 12).sum() > 1.02 * made.planning_millicores(0.95, 30, 12).sum()


def _working_week(days: int, until_weekday: int) -> npt.NDArray[np.float64]:
    """Return whole days of use up to the end of a weekday (0: Monday): 1000 to 1100 on working days, 50 at weekends."""
    weekday = (until_weekday - (days - 1) + np.arange(days)) % 7
    level = np.where(weekday < 5, 1000.0, 50.0).repeat(DAY)
    return np.asarray(level + np.random.default_rng(9).integers(0, 100, len(level)))


def test_the_weekend_is_known_after_weeks_and_not_pretended_after_days() -> None:
    """At Friday's end four weeks of history foretell a quiet Saturday; three days foretell another such day."""
    known = forecast(rings([_working_week(28, 4)]), NOW, 8 * 3600)
    fresh = forecast(rings([_working_week(3, 4)]), NOW, 8 * 3600)
    assert known.cpu_quantile(0.95)[0, 24:].max() < 300
    assert fresh.cpu_quantile(0.95)[0, 24:].min() > 1000


def test_the_ramp_of_the_morning_is_foretold() -> None:
    """A guest that goes from 100 to 3000 at eight every day: at six, the forecast is low until then and high after."""
    hour = np.arange(20 * DAY) // 12 % 24
    use = np.where((hour >= 8) & (hour < 18), 3000.0, 100.0)[: 19 * DAY + 6 * 12]
    made = forecast(rings([use + np.random.default_rng(1).integers(0, 20, len(use))]), NOW, 4 * 3600)
    high = made.cpu_quantile(0.95)[0]
    assert high[:11].max() < 300
    assert high[36:].min() > 2900


def test_a_short_history_is_met_with_more_room() -> None:
    """An hour known, or six: the 95th percentile lies higher above the mean than after four weeks."""
    use = np.asarray(1000 * np.exp(0.2 * _noise(4, 20, 4 * WEEK)))
    room = []
    for slots in (12, 72, 4 * WEEK):
        known = rings(list(np.floor(use[:, -slots:])))
        made = forecast(known, NOW, 4 * 3600, {guest: Limits(4000, 8192) for guest in known})
        room.append(float((made.cpu_quantile(0.95) / made.cpu_mean)[:, 20:].mean()))
    assert room[0] > room[2] * 1.02
    assert room[1] > room[2] * 1.02
