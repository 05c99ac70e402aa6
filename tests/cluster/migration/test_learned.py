"""Laws of what is learned from past migrations: corrections settle, one odd migration changes little."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.migration.learned import LATEST, MOST, NOTHING_LEARNED, MoveFact, correction_of, learn

AT = datetime(2026, 11, 23, tzinfo=UTC)
AS_PREDICTED = MoveFact("p", "s1", "g", "a", "b", AT, 1000, 20.0, 1000, 20.0, alone=True)

ratios = st.lists(st.floats(0.001, 1000), max_size=30)


def facts(count: int, like: MoveFact) -> list[MoveFact]:
    """As many migrations of the same figures, each a step of its own."""
    return [replace(like, step=f"s{number}") for number in range(count)]


@given(ratios)
def test_a_correction_is_bounded_and_lies_between_one_and_the_ratios(seen: list[float]) -> None:
    """Never over `MOST` times either way, never further from 1 than the latest ratios are."""
    factor = correction_of(seen)
    assert 1 / MOST <= factor <= MOST
    latest = [1.0, *seen[-LATEST:]]
    assert min(latest) * (1 - 1e-9) <= factor <= max(latest) * (1 + 1e-9)


def test_few_migrations_are_believed_less_than_many() -> None:
    """Twice what was predicted, once: a little more is expected; nine times: nearly twice."""
    once, often = correction_of([2.0]), correction_of([2.0] * LATEST)
    assert 1.2 < once < 1.4
    assert 1.7 < often < 2


def test_one_odd_migration_among_many_changes_nothing() -> None:
    """The median does not see it."""
    assert correction_of([1.1] * 8 + [50.0]) == correction_of([1.1] * 9)


def test_nothing_is_learned_where_all_went_as_predicted() -> None:
    """Nor of guests and pairs never seen."""
    learned = learn(facts(5, AS_PREDICTED))
    assert learned.correction("g", "a", "b") == NOTHING_LEARNED
    assert learned.correction("other", "b", "a") == NOTHING_LEARNED


def test_bytes_are_the_guest_s_and_bandwidth_is_the_pair_s() -> None:
    """Twice the MiB in twice the time is the guest; as many MiB in twice the time is the link."""
    heavy = learn(facts(9, replace(AS_PREDICTED, mib=2000, seconds=40.0))).correction("g", "a", "b")
    assert heavy.mib_ratio > 1.7
    assert heavy.bandwidth_ratio == 1
    slow = learn(facts(9, replace(AS_PREDICTED, seconds=40.0)))
    assert slow.correction("other", "a", "b").bandwidth_ratio < 0.6
    assert slow.correction("g", "b", "a") == NOTHING_LEARNED


def test_a_shared_or_short_migration_says_nothing_of_bandwidth() -> None:
    """Its rate is not what the pair can do."""
    for fact in (replace(AS_PREDICTED, seconds=60.0, alone=False), replace(AS_PREDICTED, seconds=2.0)):
        assert learn(facts(9, fact)).correction("g", "a", "b").bandwidth_ratio == 1


def test_a_step_written_twice_counts_once() -> None:
    """A lost answer makes a fact stand in the store twice."""
    odd = replace(AS_PREDICTED, mib=2000)
    assert learn([odd, odd, odd]) == learn([odd])


def test_corrections_settle_at_the_truth() -> None:
    """Predictions corrected by what was learned are measured again and again: the factor does not run away."""
    truth = 1.8
    held: list[MoveFact] = []
    for number in range(40):
        ratio = learn(held).correction("g", "a", "b").mib_ratio
        predicted = round(1000 * ratio)
        held.append(replace(AS_PREDICTED, step=f"s{number}", predicted_mib=predicted, mib=1800, mib_ratio=ratio))
    assert learn(held).correction("g", "a", "b").mib_ratio == pytest.approx(truth, rel=0.12)


def test_a_migration_without_figures_teaches_nothing() -> None:
    """Some libvirts keep none of a finished job."""
    assert learn(facts(9, replace(AS_PREDICTED, mib=0))).correction("g", "a", "b") == NOTHING_LEARNED
