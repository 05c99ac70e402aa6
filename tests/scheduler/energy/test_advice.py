"""What the energy policy advises: who sleeps, who is woken and when, and why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from cluster import power_log, wake_proof
from cluster.config.settings import Settings
from cluster.host import PowerState
from cluster.power_sight import THEIRS
from cluster.rules import Ignore, Selector
from cluster.snapshot import Snapshot
from scheduler.energy.advice import Advice, advise
from scheduler.energy.night import Night
from scheduler.energy.outlook import Outlook
from tests.scheduler.energy.builders import NOW, awake, night, outlook, settings
from tests.scheduler.solver.clusters import cluster, guest

CHOSEN = settings(reserve_hosts=0, host_losses=1)
QUIET = outlook(*[4] * 48)
"""Hosts have 25.6 cores at their limit: one holds this, and another may be lost."""


def advice(
    snapshot: Snapshot,
    ahead: Outlook = QUIET,
    flags: Mapping[str, str] | None = None,
    chosen: Settings = CHOSEN,
    now_is: Night | None = Night(),  # noqa: B008 - frozen
    own: str = "",
) -> Advice:
    """The advice for a snapshot."""
    ours = {f"power:{one.id}": "asleep" for one in snapshot.hosts if one.power.state is PowerState.ASLEEP}
    return advise(snapshot, {**ours, **(flags or {})}, chosen, now_is, ahead, own, NOW)


def log(*changes: tuple[float, PowerState]) -> str:
    """A host's log: (hours ago, state) each."""
    text: str | None = None
    for hours, state in changes:
        text = power_log.with_transition(text, NOW - timedelta(hours=hours), state)
    return text or ""


def test_what_is_not_needed_may_sleep() -> None:
    """Four light hosts: two stay on, so that either may be lost."""
    found = advice(night())
    assert (found.sleepers, found.terms.awake_at_least, found.wake) == (2, 2, ())
    assert found.why_rest is None


def test_the_reserve_and_each_failed_wake_keep_one_more_awake() -> None:
    """One in reserve is the one that may be lost; a host that did not wake lately asks for another."""
    one = settings(reserve_hosts=1, host_losses=1)
    assert advice(night(), chosen=one).sleepers == 2
    failed = wake_proof.write(wake_proof.WakeProof().failed(NOW - timedelta(hours=2), "silent"))
    assert advice(night("abcd", "e"), chosen=one, flags={"wake:e": failed}).sleepers == 1


@pytest.mark.parametrize(
    ("flags", "own", "said"),
    [
        ({"power_log:a": log((0.2, PowerState.ON))}, "", "woke"),
        (
            {"power_log:a": log(*[(20 - k, s) for k, s in enumerate([PowerState.ASLEEP, PowerState.ON] * 4)])},
            "",
            "4 times",
        ),
        ({}, "a", "scheduler"),
    ],
)
def test_hosts_that_must_stay_on_say_why(flags: dict[str, str], own: str, said: str) -> None:
    """Just woken, slept often enough, or the scheduler's own: the host is not among those that may sleep."""
    found = advice(night(), flags=flags, own=own)
    assert said in found.reasons["a"]
    assert "a" not in found.terms.may_sleep


def test_nothing_sleeps_soon_after_any_host_woke() -> None:
    """What made one wake may not be over."""
    assert advice(night(), flags={"power_log:a": log((0.2, PowerState.ON))}).sleepers == 0
    assert advice(night(), flags={"power_log:a": log((2, PowerState.ON))}).sleepers == 2


def test_hosts_with_guests_that_never_move_stay_on() -> None:
    """A guest that cannot move, and one that a rule says to ignore."""
    hosts = [awake(one) for one in "abcd"]
    stuck = replace(guest("g1", "a"), movable=False, why_not="has a device of its host")
    rule = Ignore(name="alone", guests=Selector(ids=("g2",)))
    found = advice(replace(cluster(hosts, [stuck, guest("g2", "b")], (rule,)), taken_at=NOW))
    assert "a" not in found.terms.may_sleep
    assert "b" not in found.terms.may_sleep
    assert found.terms.may_sleep == {"c", "d"}


def test_a_host_is_woken_ahead_of_the_ramp() -> None:
    """25 cores need two hosts and a third that may be lost; waking takes 2 min, spreading 10, a look 1 and a step 5."""
    two_on = night("ab", "cd")
    later = outlook(*[4] * 12, *[45] * 36)
    assert advice(two_on, later).wake == ()
    soon = outlook(*[4] * 3, *[45] * 45)
    found = advice(two_on, soon)
    assert [host for host, _ in found.wake] == ["c"]
    assert "01:15" in found.wake[0][1]
    assert not found.is_urgent
    assert found.sleepers == 0


def test_a_surge_wakes_the_fastest_at_once() -> None:
    """Present use beyond the upper head-room is urgent, whatever the forecast says."""
    full = night("ab", "cd", guests_each=4, cores=6.0)
    fast = replace(full.host_by_id["d"], power=replace(full.host_by_id["d"].power, wake_s=30.0))
    full = replace(full, hosts=(*full.hosts[:3], fast))
    found = advice(full)
    assert found.is_urgent
    assert [host for host, _ in found.wake] == ["d"]


def test_a_loss_that_is_not_held_any_more_wakes_at_once() -> None:
    """The sums hold, and no host has room in one piece for the large guest of the other."""
    hosts = night("abc", "d").hosts
    guests = [guest("large", "a", gib=34), *(guest(f"g-{on}-{k}", on, gib=20) for on in "bc" for k in range(2))]
    found = advice(replace(cluster(hosts, guests), taken_at=NOW))
    assert found.is_urgent
    assert "without a" in found.wake[0][1]


def test_only_hosts_that_the_policy_put_to_sleep_are_woken() -> None:
    """Not one that is off for repair, nor one that a person put to sleep."""
    soon = outlook(*[45] * 48)
    snapshot = night("ab", "cd")
    found = advise(snapshot, {"power:d": "asleep"}, CHOSEN, Night(), soon, "", NOW)
    assert [host for host, _ in found.wake] == ["d"]
    assert advise(snapshot, {"power:d": "asleep", THEIRS + "d": "asleep"}, CHOSEN, Night(), soon, "", NOW).wake == ()


def test_when_the_night_is_over_all_are_woken() -> None:
    """Without a night nothing sleeps any more."""
    found = advice(night("ab", "cd"), now_is=None)
    assert [host for host, _ in found.wake] == ["c", "d"]
    assert (found.is_night, found.sleepers) == (False, 0)


def test_hosts_are_awake_by_the_hour_asked_for() -> None:
    """An hour before there is time; a quarter of an hour before all are woken, and once they are on guests spread."""
    by = Night(awake_by=NOW + timedelta(hours=1))
    assert advice(night("ab", "cd"), now_is=by).wake == ()
    soon = Night(awake_by=NOW + timedelta(minutes=15))
    assert len(advice(night("ab", "cd"), now_is=soon).wake) == 2
    assert advice(night("ab", "cd"), now_is=soon).is_night
    assert not advice(night("abcd"), now_is=soon).is_night


def test_what_goes_to_sleep_is_not_woken_by_the_same_figures() -> None:
    """Whatever the time left until morning, with no least times at all."""
    chosen = settings(reserve_hosts=0, least_off_s=0.0, least_on_s=0.0)
    for minutes in range(5, 120):
        by = Night(awake_by=NOW + timedelta(minutes=minutes))
        if advice(night(), now_is=by, chosen=chosen).sleepers:
            assert advice(night("ab", "cd"), now_is=by, chosen=chosen).wake == (), minutes


def test_a_host_planned_too_full_is_crowded_and_calls_for_relief() -> None:
    """30 cores planned on a host of 25.6: nothing rests, though nobody may sleep and nothing is over its limit."""
    shares = {"g-a-0": 30_000}
    found = advice(night("ab", "c", cores=4.0), outlook(*[40] * 48, shares=shares))
    assert found.is_crowded
    assert found.why_rest is None
