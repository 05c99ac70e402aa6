"""Power asked for and seen: what both come to for plans, and what is kept of hosts that sleep for long."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cluster.config.settings import Settings
from cluster.guest import Guest, Usage
from cluster.host import Host, PowerState
from cluster.plan import Sleep, StepState, Wake
from cluster.power_sight import (
    ASKED,
    BY_HAND,
    FACTS,
    SEEN,
    Observed,
    asked_state,
    effective_state,
    facts_text,
    observed,
    observed_text,
    why_not_wake,
    with_kept,
)
from cluster.report import HostUsage, Observation, Report
from scheduler.see import build_snapshot

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
ON, ASLEEP, OFF, WAKING, UNKNOWN = (
    PowerState.ON,
    PowerState.ASLEEP,
    PowerState.OFF,
    PowerState.WAKING,
    PowerState.UNKNOWN,
)
GUEST = Guest("g1", "h1", 1, 1024, Usage(100))


def report(host: str = "h1", at: datetime = NOW) -> Report:
    """A host's report, with a guest."""
    seen = Observation(at, Host(host, 8000, 16384), HostUsage(), (replace(GUEST, host=host),))
    return Report("boot", at, 1, seen)


def flags(asleep: bool, seen: PowerState | None) -> dict[str, str]:
    """The flags of a host asked to sleep or not, and seen so."""
    found = {ASKED + "h1": "asleep"} if asleep else {}
    return found | ({} if seen is None else {SEEN + "h1": observed_text(Observed(seen, NOW))})


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize(
    ("seen", "state"),
    [(None, ASLEEP), (OFF, ASLEEP), (ASLEEP, ASLEEP), (ON, UNKNOWN), (UNKNOWN, UNKNOWN), (WAKING, WAKING)],
)
def test_a_host_asked_to_sleep_is_never_on(seen: PowerState | None, state: PowerState, fresh: bool) -> None:
    """However it is seen, and whatever it reports."""
    assert effective_state("h1", ON, fresh, flags(True, seen)) is state


@pytest.mark.parametrize("seen", [None, *PowerState])
def test_a_host_that_reports_is_as_it_reports(seen: PowerState | None) -> None:
    """Where nothing was asked of it, an old look at its power says less than its own fresh word."""
    assert effective_state("h1", ON, True, flags(False, seen)) is ON


@pytest.mark.parametrize(("seen", "state"), [(None, ON), (ON, ON), (UNKNOWN, ON), (OFF, OFF), (WAKING, WAKING)])
def test_a_silent_host_is_as_it_is_seen(seen: PowerState | None, state: PowerState) -> None:
    """Where its power can be seen; else it is merely stale."""
    assert effective_state("h1", ON, False, flags(False, seen)) is state


@pytest.mark.parametrize(
    ("step", "done", "asleep", "seen", "state"),
    [
        (Sleep("s1", "h1", ""), StepState.RUNNING, False, None, UNKNOWN),
        (Sleep("s1", "h1", ""), StepState.RUNNING, True, OFF, ASLEEP),
        (Sleep("s1", "h1", ""), StepState.DONE, False, None, ASLEEP),
        (Sleep("s1", "h1", ""), StepState.WAITING, False, None, ON),
        (Sleep("s1", "h1", ""), StepState.REFUSED, False, None, ON),
        (Wake("s1", "h1", ""), StepState.WAITING, True, OFF, ASLEEP),
        (Wake("s1", "h1", ""), StepState.RUNNING, True, OFF, WAKING),
        (Wake("s1", "h1", ""), StepState.DONE, True, OFF, ON),
        (Wake("s1", "h1", ""), StepState.FAILED, True, OFF, ASLEEP),
    ],
)
def test_the_steps_of_the_plan_under_way_count(
    step: Sleep | Wake, done: StepState, asleep: bool, seen: PowerState | None, state: PowerState
) -> None:
    """A step that waits for one that is done begins before its flag is written."""
    assert effective_state("h1", ON, True, flags(asleep, seen), [(step, done)]) is state


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"state": "on"}', '{"state": "up", "at": "2026-11-24"}',
                                  '{"state": "on", "at": "2026-11-24T02:00:00"}'])  # fmt: skip
def test_an_observation_that_cannot_be_read_is_none(text: str) -> None:
    """Another version's flag stops nobody."""
    assert observed({SEEN + "h1": text}, "h1") is None


def test_an_observation_is_read_as_it_was_written() -> None:
    """With why nothing was seen."""
    seen = Observed(UNKNOWN, NOW, "its BMC does not answer")
    assert observed({SEEN + "h1": observed_text(seen)}, "h1") == seen
    assert (asked_state({}, "h1"), asked_state({ASKED + "h1": "asleep"}, "h1")) == (ON, ASLEEP)


# -- kept facts --------------------------------------------------------------------------------------------------------


def test_a_host_that_sleeps_for_long_stays_in_the_snapshot() -> None:
    """Its report has expired; what it was like is kept, without guests, and it takes none."""
    held = {ASKED + "h1": "asleep", FACTS + "h1": facts_text(report(at=NOW - timedelta(hours=9)))}
    sight = build_snapshot([report("h2")], Settings(), held, NOW)
    assert [(host.id, host.power.state) for host in sight.snapshot.hosts] == [("h1", ASLEEP), ("h2", ON)]
    assert sight.snapshot.guests_by_host["h1"] == ()
    assert sight.snapshot.why_no_target(sight.snapshot.host_by_id["h1"]) is not None


def test_kept_facts_count_only_for_hosts_that_sleep_and_are_silent() -> None:
    """A host that reports speaks for itself; one that is not ours any more is not kept alive."""
    text = facts_text(report(at=NOW - timedelta(hours=9)))
    assert with_kept([report()], {ASKED + "h1": "asleep", FACTS + "h1": text}) == (report(),)
    assert with_kept([], {FACTS + "h1": text}) == ()
    assert with_kept([], {ASKED + "h1": "asleep", FACTS + "h1": "another version's"}) == ()


# -- who is woken ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "woken"),
    [
        ({}, False),
        ({ASKED + "h1": "asleep"}, True),
        ({ASKED + "h1": "asleep", "drain:h1": "ann"}, False),
        ({ASKED + "h1": "asleep", "fail:h1": "ann"}, False),
        ({ASKED + "h1": "asleep", "drain:h1": "ann", BY_HAND + "h1": "ann"}, True),
        ({BY_HAND + "h1": "ann"}, True),
        ({ASKED + "h2": "asleep", BY_HAND + "h2": "ann"}, False),
    ],
)
def test_only_our_own_sleepers_are_woken_unless_a_person_asks(held: dict[str, str], woken: bool) -> None:
    """A host under repair stays off."""
    assert (why_not_wake("h1", held) is None) == woken
