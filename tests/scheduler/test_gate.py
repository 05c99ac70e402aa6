"""What the gate looks at closely: who is silent for a good reason, what is worth it, who rests and for how long."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cluster import wake_proof
from cluster.config.power import PowerSettings, WakeTest
from cluster.config.settings import HostSettings, Mode
from cluster.guest import Usage
from cluster.host import PowerModel, PowerState
from cluster.plan import PlanRecord, PlanState, StepRecord, StepState
from cluster.snapshot import Snapshot
from cluster.wake_proof import WakeProof
from scheduler.gate import View, failed_moves, frozen_guests, why_no_plan, why_not_act, why_not_propose
from scheduler.intent import Intent, hosts_to_empty, intent_of, plannable_by_us
from tests.scheduler.test_breakers import NOW, gate_of, plan, stale, view


def with_hosts(snapshot: Snapshot, *names: str, **changes: object) -> Snapshot:
    """The snapshot with some hosts changed."""
    hosts = tuple(
        replace(host, **changes) if host.id in names else host  # type: ignore[arg-type]
        for host in snapshot.hosts
    )
    return replace(snapshot, hosts=hosts)


def test_one_stale_host_in_five_is_not_too_many() -> None:
    """A share of 20 % is allowed, more is not; the share can be set."""
    assert why_no_plan(view(snapshot=stale("kvm-5"))) is None
    assert "1 of 5 hosts" in (why_no_plan(view(snapshot=stale("kvm-5"), settings=gate_of(stale_hosts_ratio=0.1))) or "")


def test_an_unreachable_host_counts_as_a_stale_one() -> None:
    """Whether it is silent or says it cannot be asked comes to the same."""
    snapshot = with_hosts(stale("kvm-5"), "kvm-4", reachable=False)
    assert "2 of 5 hosts are stale or unreachable (kvm-4, kvm-5)" in (why_no_plan(view(snapshot=snapshot)) or "")


def test_hosts_that_sleep_are_silent_for_a_good_reason() -> None:
    """By their power state, or because we put them to sleep, even when their reports have expired."""
    asleep = with_hosts(stale("kvm-4", "kvm-5"), "kvm-4", "kvm-5", power=PowerModel(PowerState.ASLEEP))
    assert why_no_plan(view(snapshot=asleep)) is None
    flags = {"power:kvm-4": "asleep", "power:kvm-5": "asleep"}
    settings = replace(gate_of(), hosts=tuple(HostSettings(f"kvm-{number}") for number in range(1, 6)))
    gone = replace(view().snapshot, hosts=view().snapshot.hosts[:3])
    assert why_no_plan(view(snapshot=gone, settings=settings, flags=flags)) is None
    assert "2 of 5 hosts" in (why_no_plan(view(snapshot=gone, settings=settings)) or "")
    # Of those that are awake one in three is too many.
    tired = with_hosts(asleep, "kvm-3", reachable=False)
    assert "1 of 3 hosts" in (why_no_plan(view(snapshot=tired)) or "")


def test_a_moved_guest_without_figures_is_waited_for_but_not_for_ever() -> None:
    """Its new host has reported, but not yet what it uses there: that takes two samples."""
    one = replace(view().snapshot.guests[0], usage=Usage(None))
    snapshot = replace(view().snapshot, guests=(one,))
    just = {"g1": NOW - timedelta(seconds=5)}
    assert why_no_plan(view(snapshot=snapshot, last_moves=just)) == "waiting for figures of web-1 on its new host"
    assert why_no_plan(view(snapshot=snapshot, last_moves={"g1": NOW - timedelta(seconds=60)})) is None
    assert why_no_plan(view(last_moves=just)) is None


@pytest.mark.parametrize(
    ("last_moves", "last_failures", "unresolved", "by_request", "code"),
    [
        ({}, {}, {}, False, None),
        ({"g1": -10}, {}, {}, False, "cooldown"),
        ({"g1": -1801}, {}, {}, False, None),
        ({}, {"g1": -10}, {}, False, "cooldown"),
        ({}, {"g1": -1801}, {}, False, None),
        ({"g1": -10}, {"g1": -10}, {}, True, None),
        ({}, {}, {"g1": "its host is silent"}, False, "not_movable"),
        ({}, {}, {"g1": "its host is silent"}, True, "not_movable"),
        ({"other": -10}, {"other": -10}, {"other": "x"}, False, None),
    ],
)
def test_who_rests(
    last_moves: dict[str, int],
    last_failures: dict[str, int],
    unresolved: dict[str, str],
    by_request: bool,
    code: str | None,
) -> None:
    """A guest moved or failed of late rests, unless a person asks; an unresolved one is not even moved then."""
    seen = view(
        last_moves={one: NOW + timedelta(seconds=s) for one, s in last_moves.items()},
        last_failures={one: NOW + timedelta(seconds=s) for one, s in last_failures.items()},
        by_request=by_request,
    )
    frozen = frozen_guests(seen, unresolved)
    assert (frozen["g1"][0] if frozen else None) == code


def test_a_failed_migration_is_said_with_its_time() -> None:
    """The latest of several counts; steps that ended well or never began do not."""
    made = plan(moves=4)
    states = (StepState.FAILED, StepState.ABORTED, StepState.DONE, StepState.REFUSED)
    steps = {
        step.id: StepRecord(state, NOW - timedelta(seconds=60), 1)
        for step, state in zip(made.migrations, states, strict=True)
    }
    old = PlanRecord(made, PlanState.ENDED, steps)
    new = PlanRecord(made, PlanState.ENDED, {"s1": StepRecord(StepState.FAILED, NOW - timedelta(seconds=10), 1)})
    failed = failed_moves([new, old])
    assert failed == {"g1": NOW - timedelta(seconds=10), "g2": NOW - timedelta(seconds=60)}
    said = frozen_guests(view(last_failures=failed), {})["g1"]
    assert said == ("cooldown", "its migration failed at 19:59:50 UTC, it is tried again after 1800 s")


def test_repair_is_worth_it_whatever_it_gains() -> None:
    """The least gain is about the policy's goal, and nothing to gain from is no gain."""
    made = plan(gain=0.0)
    assert "the gain of 0.0%" in (why_not_act(view(), made) or "")
    broken = replace(made.goals[0], before=1.0)
    assert why_not_act(view(), replace(made, goals=(broken, *made.goals[1:]))) is None
    nothing = replace(made.goals[1], before=0.0, after=0.0)
    assert why_not_act(view(), replace(made, goals=(made.goals[0], nothing))) is not None


def test_what_is_proposed_is_worth_it_too() -> None:
    """Mode, windows and cooldowns do not keep a plan from being put up; too little gain and too many moves do."""
    observing = view(settings=replace(gate_of(), scheduler=replace(gate_of().scheduler, mode=Mode.ADVISE)))
    assert why_not_act(observing, plan()) == "mode advise"
    assert why_not_propose(observing, plan()) is None
    assert "the gain" in (why_not_propose(observing, plan(gain=0.01)) or "")
    assert "21 moves" in (why_not_propose(observing, plan(moves=21)) or "")


def test_who_asks_comes_before_what_the_hour_says() -> None:
    """Drains first, by request; then the policy, or consolidation while a night window is open."""
    assert intent_of(view()) == (Intent("balance"),)
    drained = view(flags={"drain:kvm-1": "ann", "drain:kvm-2": "ann"})
    # kvm-2 is empty already.
    assert intent_of(drained) == (Intent("drain", ("kvm-1",), by_request=True), Intent("balance"))


def test_a_failing_host_comes_before_all_else() -> None:
    """Marked by a person it is emptied in any mode; by its sensors without asking in mode act alone."""
    flags = {"drain:kvm-1": "ann", "fail:kvm-1": "ann"}
    failing = with_hosts(view().snapshot, "kvm-1", failing=True)
    marked = view(snapshot=failing, flags=flags)
    evacuation, drain, _ = intent_of(marked)
    assert (evacuation, drain.policy) == (Intent("evacuate", ("kvm-1",), by_request=True), "drain")
    watching = replace(gate_of(), scheduler=replace(gate_of().scheduler, mode=Mode.ADVISE))
    for settings, at_once in ((gate_of(), True), (watching, False)):
        sensed = view(snapshot=failing, settings=settings)
        assert intent_of(sensed)[0] == Intent("evacuate", ("kvm-1",), by_request=at_once)


@pytest.mark.parametrize("why", ["immovable", "unreachable"])
def test_a_drain_that_cannot_go_on_does_not_hold_up_the_rest(why: str) -> None:
    """Only immovable guests left, or a host that is silent: nothing to drain."""
    snapshot = view().snapshot
    if why == "immovable":
        snapshot = replace(snapshot, guests=tuple(replace(one, movable=False) for one in snapshot.guests))
    else:
        snapshot = with_hosts(snapshot, "kvm-1", reachable=False)
    assert hosts_to_empty(view(snapshot=snapshot), {"kvm-1"}) == ()


def closed_hosts(seen: View, **modes: Mode) -> set[str]:
    """Hosts that autonomous plans may not touch, with these modes of `kvm_1` and so on, and a stop file on kvm-5."""
    hosts = tuple(HostSettings(name.replace("_", "-"), mode=mode) for name, mode in modes.items())
    settings = replace(seen.settings, hosts=hosts)
    snapshot = plannable_by_us(seen.snapshot, settings, frozenset({"kvm-5"}), True, {})
    closed = {host.id for host in snapshot.hosts if host.cordoned}
    assert {guest.host for guest in snapshot.guests if not guest.movable} == closed & {"kvm-1"}
    return closed


def test_hosts_of_a_more_cautious_mode_and_stopped_ones_are_left_alone() -> None:
    """They take nothing and their guests stay; where the whole cluster only observes, host modes add nothing."""
    assert closed_hosts(view()) == {"kvm-5"}
    assert closed_hosts(view(), kvm_1=Mode.OBSERVE, kvm_2=Mode.ADVISE, kvm_3=Mode.ACT) == {"kvm-1", "kvm-2", "kvm-5"}
    watching = view(settings=replace(gate_of(), scheduler=replace(gate_of().scheduler, mode=Mode.OBSERVE)))
    assert closed_hosts(watching, kvm_1=Mode.OBSERVE) == {"kvm-5"}


def test_without_power_control_no_host_may_sleep() -> None:
    """Whatever the configuration says of them."""
    snapshot = with_hosts(view().snapshot, "kvm-1", power=PowerModel(controllable=True))
    settings = replace(view().settings, power=PowerSettings(wake_test=WakeTest.OFF))
    for can_sleep in (True, False):
        seen = plannable_by_us(snapshot, settings, frozenset(), can_sleep, {})
        assert seen.host_by_id["kvm-1"].power.controllable is can_sleep


def test_a_host_sleeps_only_with_a_wake_test_passed() -> None:
    """Unless the configuration asks for none."""
    snapshot = with_hosts(view().snapshot, "kvm-1", power=PowerModel(controllable=True))
    proven = {wake_proof.flag_of("kvm-1"): wake_proof.write(WakeProof().passed(snapshot.taken_at, 60.0))}
    for flags in ({}, proven):
        seen = plannable_by_us(snapshot, view().settings, frozenset(), True, flags)
        assert seen.host_by_id["kvm-1"].power.controllable is bool(flags)
