"""Wake tests and what power steps prove, with the real loop on a pretend cluster."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cluster import wake_proof
from cluster.config.consolidate import ConsolidateSettings
from cluster.config.power import PowerSettings
from cluster.config.settings import Settings, WindowKind, WindowSettings
from cluster.host import PowerState
from cluster.plan import PlanState
from cluster.wake_proof import WakeProof
from scheduler.power import wake_state, wake_tests
from scheduler.power.wake_state import Phase, WakeTest
from simulator.faults import Fault, FaultKind
from tests.scheduler.stage import QUICK, Stage

NEEDS_PROOF = replace(QUICK, power=PowerSettings())
AT_NIGHT = replace(NEEDS_PROOF, windows=(WindowSettings(WindowKind.NIGHT),))


def ask(stage: Stage, host: str, *, drain: bool = False) -> None:
    """Ask for a test as the verb does."""
    test = WakeTest(host, "ann", stage.clock.now().isoformat(), drain=drain)
    stage.store.set_flag(wake_state.PREFIX + host, wake_state.write(test))


def outcome(stage: Stage, host: str, most_s: float = 2400) -> WakeTest:
    """Let the loop work until the host's test is over."""
    for _ in range(int(most_s / 10)):
        stage.run(10)
        test = wake_state.read(stage.store.flags(), host)
        if test is not None and test.phase.is_over:
            return test
    raise AssertionError(stage.said)


def is_on(stage: Stage, host: str) -> bool:
    """Whether the host really runs."""
    return stage.world.hosts[host].power.state is PowerState.ON


def proof_of(stage: Stage, host: str) -> WakeProof:
    """What is known of a host's waking."""
    return wake_proof.read(stage.store.flags(), host)


def rest(stage: Stage, settings: Settings = NEEDS_PROOF) -> Stage:
    """Let guests be spread, so that nothing else is under way."""
    stage.run(600)
    return stage


def test_an_empty_host_is_put_to_sleep_and_woken() -> None:
    """Passing is a proof with the time that it took, and the host is as it was."""
    stage = Stage(NEEDS_PROOF, guests=0)
    ask(stage, "b")
    test = outcome(stage, "b")
    assert test.phase is Phase.PASSED, test
    proof = proof_of(stage, "b")
    wake_s = stage.world.hosts["b"].power.model.wake_s
    assert proof.took_s is not None and wake_s <= proof.took_s <= wake_s + 30
    assert wake_proof.is_proven(stage.store.flags(), "b", stage.clock.now(), 30)
    assert is_on(stage, "b")
    assert [record.plan.policy for record in stage.plans(PlanState.ENDED)] == ["wake_test", "wake_test"]
    assert not [flag for flag in stage.store.flags() if flag.startswith(("waking:", "power:"))]


def test_a_host_with_guests_is_not_tested_unless_it_may_be_drained() -> None:
    """Refused with what to do; with leave to drain it is emptied first, and takes guests again after."""
    stage = rest(Stage(NEEDS_PROOF))
    assert [stage.on(host) for host in "abc"] == [2, 2, 2]
    ask(stage, "b")
    test = outcome(stage, "b")
    assert test.phase is Phase.REFUSED
    assert "holds 2 guests" in test.text and "trimtab wake-test b --drain" in test.text
    ask(stage, "b", drain=True)
    assert outcome(stage, "b").phase is Phase.PASSED
    assert proof_of(stage, "b").proven_at is not None
    assert "drain:b" not in stage.store.flags()
    stage.run(2400)
    assert [stage.on(host) for host in "abc"] == [2, 2, 2]
    assert stage.world.violations() == ()


@pytest.mark.parametrize(
    ("flag", "text"),
    [("drain:b", "is drained: trimtab undrain b first"), ("fail:b", "is failing"), ("paused", "paused by ann")],
)
def test_a_host_that_is_let_alone_is_not_tested(flag: str, text: str) -> None:
    """Drained by a person, failing, or everything paused: refused, and nothing was begun."""
    stage = Stage(NEEDS_PROOF, guests=0)
    stage.store.set_flag(flag, "ann")
    ask(stage, "b")
    test = outcome(stage, "b")
    assert (test.phase, text in test.text) == (Phase.REFUSED, True), test
    assert stage.plans(PlanState.ENDED) == []
    assert stage.store.flags()[flag] == "ann"


def test_a_host_that_does_not_wake_is_blocked_with_an_alarm_until_it_does() -> None:
    """Its test fails, the alarm is said and stands in the status, and the reserve is to be one larger."""
    stage = Stage(NEEDS_PROOF, guests=0)
    stage.world.inject(Fault(0.0, FaultKind.WAKE_FAILS, host="b", count=1))
    ask(stage, "b")
    test = outcome(stage, "b")
    assert test.phase is Phase.FAILED and "did not wake" in test.text, test
    flags = stage.store.flags()
    assert wake_proof.blocked(flags) == {"b"}
    assert wake_proof.failed_wakes(flags, stage.clock.now()) == 1
    assert any(line.startswith("ALARM host b: it did not wake") for line in stage.said)
    alarms = stage.loop.status()["alarms"]
    assert isinstance(alarms, list) and any("BLOCKED host b" in alarm for alarm in alarms)


def test_at_night_hosts_are_tested_one_a_night_and_only_the_proven_sleep() -> None:
    """The emptiest goes first, drained for it; a host without a proof stays on all night."""
    lone = ConsolidateSettings(reserve_hosts=0, host_losses=0, least_on_s=0.0, least_off_s=600.0)
    stage = Stage(replace(AT_NIGHT, consolidate=lone), guests=3)
    stage.run(2400)
    tested = [test.host for test in wake_state.read_all(stage.store.flags())]
    assert len(tested) == 1
    assert proof_of(stage, tested[0]).proven_at is not None
    asleep = [host for host in "abc" if f"power:{host}" in stage.store.flags()]
    assert asleep == tested
    assert stage.world.violations() == ()


def test_no_test_is_scheduled_by_day_or_where_none_is_wanted() -> None:
    """Outside night windows, in mode observe, or with none allowed per night."""
    for settings in (NEEDS_PROOF, replace(AT_NIGHT, power=PowerSettings(wake_tests_per_night=0))):
        stage = Stage(settings, guests=0)
        stage.run(600)
        assert wake_state.read_all(stage.store.flags()) == []


def test_another_leader_goes_on_with_a_test() -> None:
    """The scheduler dies with the host asleep: the next one wakes it."""
    stage = Stage(NEEDS_PROOF, guests=0)
    ask(stage, "b")
    while is_on(stage, "b"):
        stage.run(1)
    stage.succeed()
    assert outcome(stage, "b").phase is Phase.PASSED
    assert is_on(stage, "b")


def test_old_outcomes_are_forgotten() -> None:
    """After half a day."""
    stage = Stage(NEEDS_PROOF, guests=0)
    at = stage.clock.now() - wake_tests.KEPT - timedelta(seconds=1)
    old = WakeTest("b", "ann", at.isoformat(), Phase.PASSED)
    stage.store.set_flag(wake_state.PREFIX + "b", wake_state.write(old))
    stage.run(60)
    assert wake_state.read_all(stage.store.flags()) == []
