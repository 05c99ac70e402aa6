"""Time windows: over midnight, in their own time zone, and on the days when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.config.settings import WindowKind, WindowSettings
from cluster.windows import is_open
from scheduler.gate import why_too_late
from scheduler.windows import any_open, opens_within

MONDAY, TUESDAY, SATURDAY, SUNDAY = 0, 1, 5, 6


def window(start: str, end: str, *days: int, zone: str = "UTC", kind: WindowKind = WindowKind.ACT) -> WindowSettings:
    """A window on some days, all of them unless said otherwise."""
    return WindowSettings(kind, days or tuple(range(7)), time.fromisoformat(start), time.fromisoformat(end), zone)


def at(text: str) -> datetime:
    """A moment of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("one", "moment", "opened"),
    [
        # 2026-11-23 is a Monday.
        (window("09:00", "17:00", MONDAY), "2026-11-23T09:00:00", True),
        (window("09:00", "17:00", MONDAY), "2026-11-23T16:59:59", True),
        (window("09:00", "17:00", MONDAY), "2026-11-23T17:00:00", False),
        (window("09:00", "17:00", MONDAY), "2026-11-23T08:59:59", False),
        (window("09:00", "17:00", TUESDAY), "2026-11-23T12:00:00", False),
        # Over midnight a window belongs to the day on which it begins.
        (window("22:00", "06:00", MONDAY), "2026-11-23T23:00:00", True),
        (window("22:00", "06:00", MONDAY), "2026-11-24T05:59:59", True),
        (window("22:00", "06:00", MONDAY), "2026-11-24T06:00:00", False),
        (window("22:00", "06:00", MONDAY), "2026-11-23T05:00:00", False),
        (window("22:00", "06:00", MONDAY), "2026-11-24T22:30:00", False),
        (window("22:00", "06:00", SUNDAY), "2026-11-23T01:00:00", True),
        # Equal ends are the whole day.
        (window("00:00", "00:00", MONDAY), "2026-11-23T00:00:00", True),
        (window("00:00", "00:00", MONDAY), "2026-11-24T00:00:00", False),
        (window("12:00", "12:00", MONDAY), "2026-11-23T03:00:00", True),
        # Its own time zone: in New York it is five hours earlier, and still Sunday.
        (window("22:00", "23:00", SUNDAY, zone="America/New_York"), "2026-11-23T03:30:00", True),
        (window("22:00", "23:00", MONDAY, zone="America/New_York"), "2026-11-23T03:30:00", False),
        # Berlin springs forward at 2026-03-29T01:00Z: 02:30 does not come, the window opens at 03:00.
        (window("02:30", "04:00", SUNDAY, zone="Europe/Berlin"), "2026-03-29T00:59:59", False),
        (window("02:30", "04:00", SUNDAY, zone="Europe/Berlin"), "2026-03-29T01:00:00", True),
        (window("02:30", "04:00", SUNDAY, zone="Europe/Berlin"), "2026-03-29T02:00:00", False),
        # Berlin falls back at 2026-10-25T01:00Z: 02:30 comes twice, and the window is open both times.
        (window("02:15", "02:45", SUNDAY, zone="Europe/Berlin"), "2026-10-25T00:30:00", True),
        (window("02:15", "02:45", SUNDAY, zone="Europe/Berlin"), "2026-10-25T01:00:00", False),
        (window("02:15", "02:45", SUNDAY, zone="Europe/Berlin"), "2026-10-25T01:30:00", True),
        # A night over a change of clocks is an hour longer or shorter, and ends by the clock on the wall.
        (window("22:00", "06:00", SATURDAY, zone="Europe/Berlin"), "2026-10-25T04:59:59", True),
        (window("22:00", "06:00", SATURDAY, zone="Europe/Berlin"), "2026-10-25T05:00:00", False),
        (window("22:00", "06:00", SATURDAY, zone="Europe/Berlin"), "2026-03-29T03:59:59", True),
        (window("22:00", "06:00", SATURDAY, zone="Europe/Berlin"), "2026-03-29T04:00:00", False),
    ],
)
def test_a_window_is_open_when_it_says(one: WindowSettings, moment: str, opened: bool) -> None:
    """Its start belongs to it, its end does not."""
    assert is_open(one, at(moment)) is opened


@given(st.times(), st.times(), st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)))
def test_a_window_and_the_rest_of_the_day_share_no_moment(start: time, end: time, moment: datetime) -> None:
    """On all days, from start to end and from end to start: exactly one of the two is open at any time."""
    if start == end:
        return
    days = tuple(range(7))
    now = moment.replace(tzinfo=UTC)
    one = WindowSettings(WindowKind.ACT, days, start, end)
    rest = WindowSettings(WindowKind.ACT, days, end, start)
    assert is_open(one, now) is not is_open(rest, now)


def test_only_windows_of_the_kind_asked_for_count() -> None:
    """A blackout is no act window."""
    now = at("2026-11-23T12:00:00")
    black = window("00:00", "00:00", kind=WindowKind.BLACKOUT)
    assert any_open([black], WindowKind.BLACKOUT, now)
    assert not any_open([black], WindowKind.ACT, now)
    assert not any_open([], WindowKind.NIGHT, now + timedelta(days=1))


def test_what_would_run_into_a_blackout_is_too_late() -> None:
    """A step that is over before it opens may start; one that is not, may not; other windows do not matter."""
    blackout = window("22:00", "06:00", kind=WindowKind.BLACKOUT)
    act = window("21:59", "23:00", kind=WindowKind.ACT)
    before = at("2026-11-23T21:55:30")
    assert not opens_within((blackout, act), WindowKind.BLACKOUT, before, 270)
    assert opens_within((blackout, act), WindowKind.BLACKOUT, before, 271)
    assert why_too_late((blackout, act), before, 270) is None
    assert "a blackout window opens" in (why_too_late((blackout, act), before, 300) or "")
    assert why_too_late((act,), before, 1e5) is None
    assert opens_within((blackout,), WindowKind.BLACKOUT, at("2026-11-23T23:00:00"), 0)
