"""How long a guest that did not converge rests: 20 s, doubling, then a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cluster.migration.backoff import LONG_S, after_failure, why_left_out

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def rests_s(known: str, now: datetime) -> float:
    """For how long a text leaves a guest out, to the second."""
    return next(second for second in range(100_000) if why_left_out(known, now + timedelta(seconds=second)) is None)


def test_rests_double_and_end_in_a_day() -> None:
    """Each failure right after a rest."""
    known, now, rests = None, NOW, []
    for _ in range(7):
        known = after_failure(known, now)
        rests.append(rests_s(known, now))
        now += timedelta(seconds=rests[-1])
    assert rests == [20, 40, 80, 160, 320, 86400, 86400]


def test_a_guest_let_alone_for_a_day_has_a_fresh_start() -> None:
    """What was long ago does not count."""
    known = after_failure(after_failure(None, NOW), NOW)
    later = NOW + timedelta(seconds=2 * LONG_S)
    assert rests_s(after_failure(known, later), later) == 20


def test_no_text_and_a_broken_one_leave_nobody_out() -> None:
    """A guest is not lost for a text that cannot be read; its next failure counts as the first."""
    for known in (None, "", "x y", "3"):
        assert why_left_out(known, NOW) is None
        assert after_failure(known, NOW).startswith("1 ")
