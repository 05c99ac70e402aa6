"""Whose turn it is to be measured: one at a time, everybody within a round, nobody too often."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cluster.guest import Dirty
from collectors.dirty_rate import FIRST_ROUND_GAP_S, DirtyRateSampler, dirty_from

MEASURED = Dirty(mib_s=5.0, over_s=1.0)


def run(
    sampler: DirtyRateSampler, guests: dict[str, int], seconds: float, *, answers: bool = True
) -> list[tuple[float, str]]:
    """Look every 10 s; return when each measurement was begun, of whom."""
    begun, now_s = [], 0.0
    while now_s <= seconds:
        if sampler.pending is not None:
            sampler.finished(MEASURED if answers else None, now_s)
        elif (guest := sampler.next(guests, now_s)) is not None:
            sampler.started(guest, guests[guest], now_s)
            begun.append((now_s, guest))
        now_s += 10
    return begun


@given(st.integers(1, 20), st.integers(60, 3600))
def test_everybody_is_measured_and_nobody_too_often(count: int, every_s: int) -> None:
    """The first round is quick; after it, no guest is measured again before its time."""
    guests = {f"g{number:02}": number for number in range(1, count + 1)}
    begun = run(DirtyRateSampler(every_s, 1), guests, 3 * every_s + 40 * count)
    assert {guest for _, guest in begun} == set(guests)
    first_round_s = max(at for at, _ in begun[:count])
    assert first_round_s <= count * (FIRST_ROUND_GAP_S + 10)
    for guest in guests:
        times = [at for at, one in begun if one == guest]
        assert all(later - earlier >= every_s for earlier, later in pairwise(times))


def test_a_result_belongs_to_one_run_of_a_guest() -> None:
    """What was measured before a restart says nothing of the guest after it."""
    sampler = DirtyRateSampler(600, 1)
    run(sampler, {"a": 7}, 20)
    assert sampler.known("a", 7) == MEASURED
    assert sampler.known("a", 8) == Dirty()
    sampler.keep_only(())
    assert sampler.known("a", 7) == Dirty()


def test_a_measurement_without_a_result_is_given_up() -> None:
    """A guest that never delivers does not keep the others from being measured."""
    begun = run(DirtyRateSampler(600, 1), {"a": 1, "b": 2}, 300, answers=False)
    assert [guest for _, guest in begun[:2]] == ["a", "b"]


def test_zero_measures_nobody() -> None:
    """The sampler can be turned off."""
    assert run(DirtyRateSampler(0, 1), {"a": 1}, 100) == []


def test_periods_are_whole_seconds_within_libvirts_range() -> None:
    """Libvirt takes 1 to 60 s."""
    assert [DirtyRateSampler(600, period).period_s for period in (0.2, 1.4, 500)] == [1, 1, 60]


def measured(sampler: DirtyRateSampler, *rates: float, domain_id: int = 1) -> list[int]:
    """Measure guest a as often as there are rates; return the periods asked for."""
    periods = []
    for number, rate in enumerate(rates):
        now_s = number * 1000.0
        assert sampler.next({"a": domain_id}, now_s) == "a"
        periods.append(sampler.period_of("a", domain_id))
        sampler.started("a", domain_id, now_s)
        sampler.finished(Dirty(rate, periods[-1]), now_s + 20)
    return periods


def test_short_and_long_periods_take_turns() -> None:
    """The short one first, so that something is known soon; a restart begins anew."""
    sampler = DirtyRateSampler(600, 2)
    assert measured(sampler, 9, 9, 9, 9) == [2, 20, 2, 20]
    assert sampler.period_of("a", 1) == 2
    assert measured(DirtyRateSampler(600, 2), 9) == [2]
    assert sampler.period_of("a", 2) == 2
    assert measured(DirtyRateSampler(600, 60), 9, 9) == [60, 60]


def test_two_periods_show_the_hot_set() -> None:
    """16 MiB written over and over: no more is seen in ten seconds than in one."""
    sampler = DirtyRateSampler(600, 1)
    measured(sampler, 16)
    assert sampler.known("a", 1) == Dirty(16, 1)
    sampler = DirtyRateSampler(600, 1)
    measured(sampler, 16, 1)
    known = sampler.known("a", 1)
    assert (known.mib_s, known.over_s, known.hot_mib) == (16, 1, 16)


def test_the_last_few_measurements_count() -> None:
    """Their mean: one sampled page stands for 2 MiB."""
    sampler = DirtyRateSampler(600, 60)
    measured(sampler, 1000, *[10, 14, 12, 8, 16])
    assert sampler.known("a", 1) == Dirty(12, 60)


def test_what_only_the_long_period_sees_counts() -> None:
    """A guest that writes seldom."""
    assert dirty_from([Dirty(0, 1), Dirty(3, 10)]) == Dirty(3, 10)
    assert dirty_from([Dirty(0, 1), Dirty(0, 10)]) == Dirty(0, 10)
    assert dirty_from([]) == Dirty()
