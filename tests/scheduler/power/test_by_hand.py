"""Sleeping and waking by hand: what stands against it, and which of the gate's looks still count."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cluster.config.power import BmcDriver, BmcSettings, PowerSettings, WakeTest
from cluster.config.settings import HostSettings, Settings
from cluster.errors import InputError
from cluster.guest import Guest, Usage
from cluster.host import Host, PowerModel, PowerState
from cluster.limits import Limits
from cluster.plan import BY_HAND, Sleep, Wake
from cluster.snapshot import Snapshot
from scheduler.check import why_step_no_longer_holds
from scheduler.power.by_hand import is_so_already, plan_of, step_of, why_not

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
SLEEPY = PowerModel(controllable=True)
BMC = BmcSettings(BmcDriver.SIMULATED)
SETTINGS = Settings(
    hosts=(HostSettings("h1", power=SLEEPY, bmc=BMC), HostSettings("h2", bmc=BMC), HostSettings("h3", bmc=BMC)),
    power=PowerSettings(wake_test=WakeTest.OFF),
)


def snapshot(state: PowerState = PowerState.ON, *guests: str, age_s: float = 1.0, cordoned: bool = False) -> Snapshot:
    """`h1` in this state, with these guests, and `h2`."""
    measured = NOW - timedelta(seconds=age_s)
    first = Host("h1", 8000, 16384, power=replace(SLEEPY, state=state), measured_at=measured, cordoned=cordoned)
    held = tuple(Guest(one, "h1", 1, 1024, Usage(100), name=one) for one in guests)
    return Snapshot("s", NOW, (first, Host("h2", 8000, 16384)), held)


def sleep(host: str = "h1") -> Sleep:
    """A step that puts a host to sleep."""
    return Sleep("s1", host, "for the test")


def wake(host: str = "h1") -> Wake:
    """A step that wakes a host."""
    return Wake("s1", host, "for the test")


@pytest.mark.parametrize(
    ("seen", "step", "said"),
    [
        (snapshot(), sleep(), None),
        (snapshot(cordoned=True), sleep(), None),
        (snapshot(PowerState.ON, "web-1", "web-2"), sleep(), "host h1 holds 2 guests (web-1, ...): trimtab drain h1"),
        (snapshot(PowerState.UNKNOWN), sleep(), "host h1 is unknown"),
        (snapshot(age_s=1000.0), sleep(), "host h1 is stale"),
        (snapshot(), sleep("h2"), "has no power.controllable = true"),
        (snapshot(), sleep("h9"), "host h9 has not reported"),
        (snapshot(PowerState.ASLEEP), wake(), None),
        (snapshot(), wake("h3"), None),
        (snapshot(), wake("h9"), "host h9 has no [[hosts]] entry"),
    ],
)
def test_what_stands_against_it_is_one_sentence(seen: Snapshot, step: Sleep | Wake, said: str | None) -> None:
    """Guests, figures too old, an entry that does not allow it; a host never seen may be woken."""
    why = why_not(step, seen, SETTINGS, {}, NOW)
    assert (why is None) if said is None else (why is not None and said in why)


def test_a_host_that_is_not_proven_to_wake_is_refused() -> None:
    """A person's wish is no proof."""
    why = why_not(sleep(), snapshot(), replace(SETTINGS, power=PowerSettings()), {}, NOW)
    assert why is not None
    assert "trimtab wake-test h1" in why


def test_what_is_so_already_needs_no_plan() -> None:
    """Asleep or off, on and reporting; not so: on its way, silent, or never seen."""
    assert [is_so_already(sleep(), snapshot(state)) for state in PowerState] == [False, True, True, False, False]
    assert is_so_already(wake(), snapshot())
    assert not is_so_already(wake(), snapshot(age_s=1000.0))
    assert not is_so_already(wake("h9"), snapshot())


@pytest.mark.parametrize(
    ("seen", "step"), [(snapshot(cordoned=True), sleep()), (snapshot(), wake("h3")), (snapshot(PowerState.OFF), wake())]
)
def test_the_last_look_lets_through_what_only_a_person_may(seen: Snapshot, step: Sleep | Wake) -> None:
    """A drained host sleeps and an unseen one wakes by hand; in any other plan the same step is refused."""
    plan = plan_of(step, snapshot(), SETTINGS, "ann")
    assert why_step_no_longer_holds(plan, step, seen, Limits(), NOW) is None
    other = replace(plan, policy="consolidate")
    refused = why_step_no_longer_holds(other, step, seen, Limits(), NOW)
    assert (refused is None) == (isinstance(step, Wake) and step.host == "h1")


def test_guests_that_came_meanwhile_are_seen_by_the_last_look() -> None:
    """By hand as by policy."""
    plan = plan_of(sleep(), snapshot(), SETTINGS, "ann")
    refused = why_step_no_longer_holds(plan, sleep(), snapshot(PowerState.ON, "web-1"), Limits(), NOW)
    assert refused == "host h1 has guests: web-1"


def test_only_a_plan_of_one_power_step_by_hand_is_taken_as_one() -> None:
    """Nobody smuggles anything else in by that door."""
    plan = plan_of(sleep(), snapshot(), SETTINGS, "ann")
    assert (step_of(plan), plan.policy) == (sleep(), BY_HAND)
    for other in (
        replace(plan, policy="consolidate"),
        replace(plan, steps=(sleep(), wake("h2"))),
        replace(plan, steps=()),
    ):
        with pytest.raises(InputError, match="allowed: one power step, asked for by hand"):
            step_of(other)
