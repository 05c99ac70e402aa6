"""One turn of the loop on a pretend cluster: what each mode, flag and switch makes of the same work to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cluster.config.settings import Mode, WindowKind, WindowSettings
from cluster.plan import PlanState, StepRecord, StepState
from cluster.rules import AntiAffinity
from scheduler.turns import Turns
from tests.scheduler.solver.clusters import these
from tests.scheduler.stage import QUICK, Stage, in_mode


def test_in_mode_act_guests_are_spread_and_then_it_rests() -> None:
    """Two on each host after a few minutes; from then on not one move more."""
    stage = Stage()
    stage.run(300)
    assert [stage.on(host) for host in "abc"] == [2, 2, 2]
    done = stage.world.tally().moves_done
    stage.run(3000)
    assert stage.world.tally().moves_done == done == 4
    assert stage.world.violations() == ()
    assert stage.loop.sentence.startswith("balance: imbalance (RMS) 0")


def test_in_mode_observe_nothing_is_done_and_said_why() -> None:
    """The plan is made, shown, and left."""
    stage = Stage(in_mode(Mode.OBSERVE))
    stage.run(300)
    assert (stage.on("a"), stage.store.plans(5)) == (6, ())
    assert stage.loop.sentence.startswith("not acting: mode observe; balance:")
    assert stage.loop.latest_plan is not None and stage.loop.latest_plan.migrations


def test_in_mode_advise_one_plan_waits() -> None:
    """Cycle after cycle it is the same one, and its line says how to approve it."""
    stage = Stage(in_mode(Mode.ADVISE))
    stage.run(300)
    (waiting,) = stage.store.plans(5)
    assert waiting.state is PlanState.WAITING
    assert f"trimtab approve {waiting.plan.id}" in stage.loop.sentence
    assert stage.on("a") == 6


def test_a_waiting_plan_that_expires_makes_room_for_another() -> None:
    """The old one is rejected as expired, a new one is put up."""
    stage = Stage(in_mode(Mode.ADVISE))
    stage.run(QUICK.scheduler.plan_expires_s + 120)
    assert len(stage.plans(PlanState.WAITING)) == 1
    (old,) = stage.plans(PlanState.REJECTED)
    assert old.why == "expired unapproved"


def test_a_plan_of_too_little_gain_is_not_even_put_up() -> None:
    """Nobody is asked about what the daemon itself would not think worth it."""
    stage = Stage(replace(in_mode(Mode.ADVISE), gate=replace(QUICK.gate, least_gain_ratio=1.1)))
    stage.run(120)
    assert stage.store.plans(5) == ()


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.ADVISE])
def test_a_drain_is_carried_out_in_every_mode(mode: Mode) -> None:
    """A person asked for it; nothing else is moved by it."""
    stage = Stage(in_mode(mode))
    stage.store.set_flag("drain:a", "ann")
    stage.run(600)
    assert stage.on("a") == 0
    assert stage.world.tally().moves_done == 6
    assert {record.plan.policy for record in stage.plans(PlanState.ENDED)} == {"drain"}


def test_a_drain_waits_while_paused_and_goes_on_after() -> None:
    """Paused is paused for everybody."""
    stage = Stage(in_mode(Mode.OBSERVE))
    stage.store.set_flag("paused", "ann")
    stage.store.set_flag("drain:a", "ann")
    stage.run(120)
    assert (stage.on("a"), stage.loop.sentence) == (6, "not acting: paused by ann: trimtab resume")
    stage.store.set_flag("paused", None)
    stage.run(600)
    assert stage.on("a") == 0


def test_the_kill_switch_stops_between_two_steps(tmp_path: Path) -> None:
    """A file that appears in mid-plan holds back the next step, though the store says to go on."""
    switch = tmp_path / "stop"
    stage = Stage(replace(QUICK, gate=replace(QUICK.gate, kill_switch=str(switch))))
    stage.run(1)
    switch.touch()
    stage.run(300)
    assert stage.world.tally().moves_done == 1
    assert any(f"the kill switch {switch} is there" in line for line in stage.said)
    switch.unlink()
    stage.run(300)
    assert [stage.on(host) for host in "abc"] == [2, 2, 2]


def test_a_blackout_wins_over_an_act_window_and_a_drain() -> None:
    """Both open at once: nothing moves, whoever asked."""
    windows = tuple(WindowSettings(kind) for kind in (WindowKind.ACT, WindowKind.BLACKOUT))
    stage = Stage(replace(QUICK, windows=windows))
    stage.store.set_flag("drain:a", "ann")
    stage.run(120)
    assert (stage.on("a"), stage.loop.sentence) == (6, "not acting: a blackout window is open")


def test_at_night_hosts_are_emptied_and_sleep() -> None:
    """Within a night window the policy is to consolidate: guests fit on fewer hosts, the others sleep, and stay so."""
    stage = Stage(replace(QUICK, windows=(WindowSettings(WindowKind.NIGHT),)), guests=3)
    stage.run(1200)
    asleep = [host for host in "abc" if f"power:{host}" in stage.store.flags()]
    assert len(asleep) == 1
    assert not any("stale" in line for line in stage.said)
    moves = stage.world.tally().moves_done
    stage.run(1200)
    assert stage.world.tally().moves_done == moves
    assert stage.world.violations() == ()


def test_a_host_in_mode_observe_is_left_as_it_is() -> None:
    """Its guests stay and none comes, while the other hosts act."""
    stage = Stage()
    stage.host_mode("b", Mode.OBSERVE)
    stage.run(600)
    assert [stage.on(host) for host in "abc"] == [3, 0, 3]
    stage = Stage()
    stage.host_mode("a", Mode.OBSERVE)
    stage.run(300)
    assert stage.on("a") == 6


def test_an_unresolved_guest_is_not_planned_with() -> None:
    """Nothing touches it until a person has looked: the others move without it."""
    stage = Stage(guests=2, rules=[AntiAffinity(name="apart", guests=these("g0", "g1"))])
    stage.run(0)
    plan = stage.loop.latest_plan
    assert plan is not None
    (step,) = plan.migrations
    token = stage.loop.leadership.lease.token if stage.loop.leadership.lease else 0
    record = stage.store.active_plan()
    assert record is not None
    running = record.steps.get(step.id)
    stage.store.write_step(
        plan.id,
        step.id,
        running.state if running else StepState.WAITING,
        replace(
            running or _blank(stage, token),
            state=StepState.UNRESOLVED,
            detail="its host is silent",
            at=stage.clock.now() + timedelta(seconds=1),
        ),
    )
    stage.run(600)
    others = [move for one in stage.store.plans(9) if one.plan.id != plan.id for move in one.plan.migrations]
    assert others and {move.guest for move in others} == {"g0", "g1"} - {step.guest}


def _blank(stage: Stage, token: int) -> StepRecord:
    return StepRecord(StepState.WAITING, stage.clock.now(), token)


def test_a_second_scheduler_stands_by_and_takes_over() -> None:
    """It does nothing while the first leads, and goes on with its work when the lease has run out."""
    stage = Stage()
    stage.run(1)
    other = stage.new_loop("two")
    other.cycle()
    assert other.sentence == "standing by: another scheduler leads"
    stage.clock.advance(stage.settings.scheduler.lease_s + 1)
    Turns(other.jobs(), stage.clock, stage.said.append).until(lambda: False, 300)
    assert [stage.on(host) for host in "abc"] == [2, 2, 2]
    assert stage.world.tally().moves_done == 4


def test_a_loop_that_finishes_begins_no_new_plan() -> None:
    """Told to stop, it ends the step under way; the cycles that follow plan nothing."""
    stage = Stage()
    stage.run(1)
    assert stage.store.active_plan() is not None
    stage.loop.stop_starting()
    stage.run(600)
    assert stage.loop.is_idle_here()
    assert stage.world.tally().moves_done == 1
    assert len(stage.store.plans(9)) == 1


def test_quiet_start_and_cooldowns_pass() -> None:
    """It waits for its quiet start, then acts without being told."""
    stage = Stage(replace(QUICK, gate=replace(QUICK.gate, quiet_start_s=300.0)))
    stage.run(290)
    assert (stage.on("a"), "quiet start" in stage.loop.sentence) == (6, True)
    stage.run(300)
    assert stage.on("a") == 2
