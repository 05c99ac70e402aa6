"""Which night goes on, and when it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time

import pytest

from cluster.config.consolidate import ConsolidateSettings, Depth
from cluster.config.settings import SchedulerSettings, Settings, WindowKind, WindowSettings
from scheduler.energy.night import Night, night_of

WINDOW = WindowSettings(WindowKind.NIGHT, start=time(22), end=time(5, 30), depth=Depth.LEAN)
BY_DAY = Settings(windows=(WINDOW,))


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of November 2026."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def test_a_night_ends_when_its_window_does() -> None:
    """Before and after midnight it is the same night, over at 05:30."""
    assert night_of(BY_DAY, at(24, 23)) == Night(Depth.LEAN, at(25, 5, 30))
    assert night_of(BY_DAY, at(25, 2)) == Night(Depth.LEAN, at(25, 5, 30))
    assert night_of(BY_DAY, at(25, 12)) is None


def test_all_are_awake_by_the_hour_asked_for() -> None:
    """From that hour on it is no night any more, though the window is open."""
    early = replace(BY_DAY, windows=(replace(WINDOW, awake_by=time(4)),))
    assert night_of(early, at(24, 23)) == Night(Depth.LEAN, at(25, 4))
    assert night_of(early, at(25, 4, 30)) is None


def test_the_hour_is_of_the_windows_time_zone() -> None:
    """22:30 UTC is past 22:00 in Lisbon in winter, and 23:30 in Berlin."""
    berlin = replace(BY_DAY, windows=(replace(WINDOW, time_zone="Europe/Berlin"),))
    assert night_of(berlin, at(24, 21, 30)) == Night(Depth.LEAN, at(25, 4, 30))


def test_with_the_policy_consolidate_it_is_always_night() -> None:
    """A window then says how deep it goes while it is open, and no more unless an hour is asked for."""
    always = replace(BY_DAY, scheduler=SchedulerSettings(policy="consolidate"))
    assert night_of(always, at(25, 12)) == Night()
    assert night_of(always, at(25, 2)) == Night(Depth.LEAN, None)


@pytest.mark.parametrize(
    ("depth", "kept"),
    [(Depth.BALANCED, (0.1, 0.08, 3)), (Depth.LEAN, (0.075, 0.06, 2)), (Depth.LEANEST, (0.05, 0.04, 0))],
)
def test_deeper_nights_keep_less(depth: Depth, kept: tuple[float, float, int]) -> None:
    """Both head-rooms shrink alike, so that they never touch; the reserve rounds up."""
    found = ConsolidateSettings(headroom_ratio=0.1, wake_headroom_ratio=0.08, reserve_hosts=3).at_depth(depth)
    assert (found.headroom_ratio, found.wake_headroom_ratio, found.reserve_hosts) == kept
    assert found.host_losses == ConsolidateSettings().host_losses
