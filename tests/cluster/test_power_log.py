"""The log of a host's sleeping and waking."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cluster import power_log
from cluster.host import PowerState

NOW = datetime(2026, 11, 24, 1, tzinfo=UTC)
DAY_S = 86400.0


def log_of(*changes: tuple[float, PowerState]) -> dict[str, str]:
    """Flags with the log of host a: (hours before now, state) each."""
    text: str | None = None
    for hours, state in changes:
        text = power_log.with_transition(text, NOW - timedelta(hours=hours), state)
    return {power_log.flag_of("a"): text or ""}


def test_cycles_are_counted_within_the_time_asked_for() -> None:
    """Each falling asleep counts once, by when it happened."""
    flags = log_of((30, PowerState.ASLEEP), (20, PowerState.ON), (10, PowerState.ASLEEP), (9, PowerState.ON))
    assert power_log.cycles_within(flags, "a", NOW, DAY_S) == 1
    assert power_log.cycles_within(flags, "a", NOW, 2 * DAY_S) == 2
    assert power_log.cycles_within(flags, "b", NOW, DAY_S) == 0


def test_the_same_state_again_is_no_transition() -> None:
    """A step that is settled twice, as after a crash, leaves one line."""
    flags = log_of((2, PowerState.ASLEEP), (1, PowerState.ASLEEP))
    change = power_log.last_change(flags, "a")
    assert change is not None
    assert change.at == NOW - timedelta(hours=2)


def test_old_lines_go_and_the_latest_stays() -> None:
    """A host asleep for a week is still known to be, though the log is of two days."""
    text = power_log.with_transition(None, NOW - timedelta(days=9), PowerState.ON)
    text = power_log.with_transition(text, NOW - timedelta(days=8), PowerState.ASLEEP)
    assert [one.state for one in power_log.read(text)] == [PowerState.ON, PowerState.ASLEEP]
    text = power_log.with_transition(text, NOW, PowerState.ON)
    assert power_log.read(text) == (power_log.Transition(NOW, PowerState.ON),)


@pytest.mark.parametrize(
    "text", [None, "", "{", "7", '["on"]', '[["x", "on"]]', '[["2026-11-24T01:00:00+00:00", "up"]]']
)
def test_what_cannot_be_read_is_no_log(text: str | None) -> None:
    """Whatever stands in the flag, reading it ends well."""
    assert power_log.read(text) == ()
