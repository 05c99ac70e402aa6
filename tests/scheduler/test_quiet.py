"""Quiet hours: what is learned from a guest's history, and when a plan waits for them."""

from __future__ import annotations

from array import array
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.history import EMPTY, HEADER, SLOT_S, SLOTS, Metric, UsageRing, slot_of, slot_start
from cluster.plan import Plan
from scheduler.quiet import LEAST_SLOTS, Levels, learned, why_wait
from tests.executors.world import migrate, plan
from tests.scheduler.stage import QUICK, Stage

# A Monday.
NOON = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
STEADY = Levels((1.0,) * 24, (1.0,) * 24)


def office_hours(moment: datetime) -> int:
    """Busy from 8 to 18 on working days."""
    return 3000 if moment.weekday() < 5 and 8 <= moment.hour < 18 else 300


def ring(known: int = SLOTS) -> UsageRing:
    """A history of office hours up to noon, with so many of its latest slots known."""
    last = slot_of(NOON)
    values = array("I", [EMPTY] * SLOTS)
    for slot in range(last - known + 1, last + 1):
        values[slot % SLOTS] = office_hours(slot_start(slot))
    return UsageRing(HEADER.pack(last, 1, 0) + values.tobytes())


def one_move(mib: int = 1000) -> Plan:
    """A plan that moves one guest."""
    step = migrate("s1", "g1", "h1", "h2")
    return plan(replace(step, estimate=replace(step.estimate, mib=mib)))


def test_office_hours_are_learned() -> None:
    """Each hour's level is its mean against the guest's own mean, working days apart from weekends."""
    levels = learned(ring(), NOON)
    assert levels is not None
    mean = (50 * 3000 + 118 * 300) / 168
    assert levels.at(NOON) == pytest.approx(3000 / mean, rel=0.01)
    assert levels.at(NOON.replace(hour=20)) == pytest.approx(300 / mean, rel=0.01)
    assert levels.at(datetime(2026, 11, 22, 12, tzinfo=UTC)) == pytest.approx(300 / mean, rel=0.01)


def test_little_is_learned_from_little() -> None:
    """Half a week has to be known; a guest that never did anything has no hours."""
    assert learned(ring(LEAST_SLOTS - 1), NOON) is None
    assert learned(ring(LEAST_SLOTS), NOON) is not None
    assert learned(UsageRing(), NOON) is None


def test_a_plan_waits_for_the_evening_when_it_may() -> None:
    """It says until when; with less patience it acts at once."""
    levels = {"g1": learned(ring(), NOON) or STEADY}
    why = why_wait(one_move(), levels, NOON, 6 * 3600)
    assert why == "waiting for 18:00 UTC: the guests to move are 90% less busy then"
    assert why_wait(one_move(), levels, NOON, 5 * 3600) is None
    assert why_wait(one_move(), levels, NOON, 0) is None
    assert why_wait(one_move(), levels, NOON.replace(hour=19), 6 * 3600) is None


def test_guests_of_whom_nothing_is_known_do_not_wait() -> None:
    """Nor do those that are always the same."""
    assert why_wait(one_move(), {}, NOON, 86400) is None
    assert why_wait(one_move(), {"g1": STEADY}, NOON, 86400) is None


@given(
    workday=st.lists(st.floats(0.1, 5.0), min_size=24, max_size=24),
    weekend=st.lists(st.floats(0.1, 5.0), min_size=24, max_size=24),
)
def test_waiting_ends(workday: list[float], weekend: list[float]) -> None:
    """Whoever always waits as told acts at some hour, and then the guest is no busier than at first."""
    levels = {"g1": Levels(tuple(workday), tuple(weekend))}
    now = NOON
    for _ in range(12):
        why = why_wait(one_move(), levels, now, 12 * 3600)
        if why is None:
            break
        hour = int(why.split()[2][:2])
        now = now.replace(minute=0) if now.hour == hour else now.replace(hour=hour, minute=0)
        now = now if now > NOON or hour > 12 else now.replace(day=24)
    else:
        pytest.fail("it waits for ever")
    assert levels["g1"].at(now) <= levels["g1"].at(NOON)


def test_the_daemon_waits_for_a_quieter_hour_where_it_may() -> None:
    """Balance that mends nothing waits when it is told to; without the setting the same cluster is spread at once."""
    patient = replace(QUICK, gate=replace(QUICK.gate, quiet_within_s=7200.0))
    for settings, moved in ((patient, False), (QUICK, True)):
        stage = Stage(settings)
        now = stage.clock.now()
        for back in range(LEAST_SLOTS + 10, 0, -1):
            at = now - timedelta(seconds=SLOT_S * back)
            for guest in stage.world.guests:
                busy = at.hour == now.hour
                stage.store.record_usage(guest, Metric.CPU_MILLICORES, at, 2000 if busy else 100)
        stage.run(120)
        assert (stage.on("a") < 6) is moved
        assert stage.loop.sentence.startswith("not acting: waiting for ") is not moved


def test_a_plan_without_goals_waits_for_nothing() -> None:
    """One that says nothing of what it mends is weighed like one that mends nothing."""
    stage = Stage(replace(QUICK, gate=replace(QUICK.gate, quiet_within_s=7200.0)))
    cycle, view = stage.loop.cycle_once, stage.loop.view(None)
    assert cycle._why_wait(view, replace(one_move(), goals=())) is None
