"""The loop when people ask for what is over, edit what they send, or change the configuration in mid-plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cluster.config.settings import Mode, Settings
from cluster.errors import RefusedError, StoreUnavailableError
from cluster.formats.plan_file import write_plan
from cluster.plan import Plan, PlanState, StepRecord, StepState
from cluster.store.protocol import Command
from executors.protocol import Presence
from scheduler.cli.context import Context
from scheduler.cli.verbs.run import LATEST_PLANS, _View
from scheduler.gate import why_no_plan
from scheduler.loop import MOST_UNTICKED, SILENT_CYCLES
from simulator.executor import SimMigrationExecutor
from tests.executors.world import migrate, plan
from tests.scheduler.stage import QUICK, Stage, in_mode

# One silent host of three is more than the breaker's usual share.
FEW_HOSTS = replace(QUICK, gate=replace(QUICK.gate, stale_hosts_ratio=0.5, guest_cooldown_s=0.0))


def begun(mode: Mode = Mode.ACT) -> tuple[Stage, Plan]:
    """A stage on which a plan of several moves has just begun, and the plan."""
    stage = Stage(in_mode(mode, replace(QUICK, migration=replace(QUICK.migration, per_cluster=1))))
    while stage.store.active_plan() is None:
        stage.run(0.5)
        for record in stage.plans(PlanState.WAITING):
            stage.ask("approve", record.plan.id)
    active = stage.store.active_plan()
    assert active is not None and len(active.plan.steps) > 1
    return stage, active.plan


def taken(stage: Stage, mode: Mode) -> Settings:
    """The stage's settings in another mode."""
    settings = in_mode(mode, stage.loop.settings)
    stage.loop.take(settings)
    return settings


def test_an_abort_is_for_the_plan_that_was_seen() -> None:
    """One that lay about until another plan ran does not stop that one."""
    stage, plan = begun()
    assert "is not under way any more" in stage.ask("abort", "an older plan")
    stage.run(200)
    assert [record.plan.id for record in stage.plans(PlanState.ENDED)] == [plan.id]
    assert stage.on("a") == 2


def test_an_edited_plan_does_not_set_the_one_going_that_waits_under_its_id() -> None:
    """What was checked is the file's plan; what the journal holds under that id is another."""
    stage = Stage(in_mode(Mode.ADVISE))
    stage.run(30)
    plan = stage.plans(PlanState.WAITING)[0].plan
    edited = replace(plan, steps=plan.steps[:1])
    assert "another plan" in stage.ask("apply", write_plan(edited))
    assert stage.store.active_plan() is None
    assert "is under way" in stage.ask("apply", write_plan(plan))


def test_a_look_that_fails_loses_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A taken command is gone from the store: each gets its own answer, and an abort needs no look."""
    stage, plan = begun()

    def blind(_: object) -> None:
        raise StoreUnavailableError("the store does not answer")

    monkeypatch.setattr(stage.loop, "view", blind)
    stage.store.push_command(Command("before", "apply", write_plan(replace(plan, id="X")), "bob", stage.clock.now()))
    assert "stopping what runs" in stage.ask("abort", plan.id)
    assert any("apply by bob" in line for line in stage.said)


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.ADVISE])
def test_a_mode_that_may_not_act_ends_the_plan_under_way(mode: Mode) -> None:
    """Read again in mid-plan: what runs is finished and nothing more is started."""
    stage, plan = begun()
    taken(stage, mode)
    stage.run(200)
    record = stage.store.plan(plan.id)
    assert record is not None and f"mode is {mode} now" in record.why
    states = [record.step_state(step.id) for step in plan.steps]
    assert states.count(StepState.DONE) == 1 and set(states) == {StepState.DONE, StepState.WAITING}


def test_what_is_asked_for_in_a_mode_is_not_ended_by_it() -> None:
    """An approved plan of mode advise goes on when the configuration is read again."""
    stage, _ = begun(Mode.ADVISE)
    taken(stage, Mode.ADVISE)
    stage.run(200)
    assert stage.on("a") == 2


@pytest.mark.parametrize(("mode", "left"), [(Mode.ACT, 2), (Mode.OBSERVE, 5)])
def test_a_plan_left_behind_is_gone_on_with_only_in_mode_act(mode: Mode, left: int) -> None:
    """A daemon that is started again in mode observe finishes what runs and touches nothing else."""
    stage, _ = begun()
    stage.loop.leadership.release()
    stage.loop = stage.new_loop("two")
    stage.loop.settings = in_mode(mode, stage.loop.settings)
    for _ in range(300):
        stage.loop.keep_lease()
        stage.loop.collect()
        stage.loop.tick()
        stage.clock.advance(1)
    assert stage.on("a") == left
    assert stage.store.active_plan() is None


def look_as(monkeypatch: pytest.MonkeyPatch, seen: Presence, hosts: str, guests: str = "") -> None:
    """Have the executor's eyes see guests (all, unless named) so on these hosts; reports go on as ever."""
    real = SimMigrationExecutor._presence

    def presence(self: SimMigrationExecutor, guest: str, host: str) -> Presence:
        return seen if host in hosts and guests in ("", guest) else real(self, guest, host)

    monkeypatch.setattr(SimMigrationExecutor, "_presence", presence)


def test_a_host_that_only_reports_does_not_keep_the_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its agent is well, but no step can begin there: it counts as unreachable, and plans do without it."""
    look_as(monkeypatch, Presence.UNKNOWN, "b")
    stage = Stage(FEW_HOSTS)
    stage.run(200)
    assert [stage.on(host) for host in "abc"] == [3, 0, 3]
    snapshot = stage.loop.see(None).snapshot
    assert snapshot.why_unplannable(snapshot.host_by_id["b"]) == "host b is unreachable"
    assert len(stage.plans(PlanState.ENDED)) <= 3


def test_a_host_that_answers_again_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen of it is forgotten after a while."""
    with monkeypatch.context() as patched:
        look_as(patched, Presence.UNKNOWN, "b")
        stage = Stage(FEW_HOSTS)
        stage.run(100)
    stage.run(2 * SILENT_CYCLES * stage.settings.scheduler.interval_s)
    assert [stage.on(host) for host in "abc"] == [2, 2, 2]


def test_a_guest_that_is_refused_again_and_again_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old definition of it lies on every other host: after two refusals it rests, and the others move."""
    look_as(monkeypatch, Presence.STOPPED, "bc", "g0")
    stage = Stage()
    stage.run(1200)
    assert sorted(stage.on(host) for host in "abc") == [2, 2, 2]


def test_a_drain_in_mid_plan_stops_what_would_come_to_the_host() -> None:
    """The plan under way ends instead of filling the host, and the next one empties it."""
    stage, made = begun()
    stage.store.set_flag("drain:b", "ann")
    coming = sum(step.target == "b" for step in made.migrations)
    stage.run(300)
    record = stage.store.plan(made.id)
    assert record is not None and "host b is cordoned" in record.why
    done = [step for step in made.migrations if record.step_state(step.id) is StepState.DONE]
    assert sum(step.target == "b" for step in done) < coming
    assert stage.on("b") == 0


def test_a_move_dated_in_the_future_holds_nothing_up_for_ever() -> None:
    """The scheduler's clock was once a year ahead: no figures will be newer than that for a year."""
    stage = Stage()
    stage.loop.keep_lease()
    lease = stage.loop.leadership.lease
    assert lease is not None
    made = plan(migrate("s1", "g0", "b", "a"))
    stage.store.open_plan(made, PlanState.ACTIVE, lease.token, stage.clock.now())
    done = StepRecord(StepState.DONE, stage.clock.now() + timedelta(days=365), lease.token)
    stage.store.write_step(made.id, "s1", StepState.WAITING, done)
    stage.store.set_plan_state(made.id, PlanState.ENDED, lease.token, stage.clock.now(), "")
    stage.run(300)
    assert [stage.on(host) for host in "abc"] == [2, 2, 2]


def test_a_quiet_start_is_as_long_as_it_is_whatever_the_time_of_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock was hours ahead when the daemon came up, and is corrected: it does not rest for those hours."""
    stage = Stage(replace(QUICK, gate=replace(QUICK.gate, quiet_start_s=60.0)))
    right = stage.clock.now
    with monkeypatch.context() as wrong:
        wrong.setattr(stage.clock, "now", lambda: right() + timedelta(hours=9))
        stage.loop = stage.new_loop("two")
    stage.loop.keep_lease()
    stage.loop.collect()
    assert "quiet start, 60 s to go" in str(why_no_plan(stage.loop.view(None)))
    stage.clock.advance(61)
    assert "quiet start" not in str(why_no_plan(stage.loop.view(None)))


def test_a_loop_that_is_stuck_lets_another_lead() -> None:
    """Its lease would be renewed for ever by a thread of its own, and nobody would watch what runs."""
    stage = Stage()
    for _ in range(MOST_UNTICKED):
        stage.loop.keep_lease()
    with pytest.raises(RefusedError, match="the loop is stuck"):
        stage.loop.keep_lease()
    stage.clock.advance(stage.settings.scheduler.lease_s)
    other = stage.new_loop("two")
    other.keep_lease()
    assert other.leadership.lease is not None
    stage.loop.tick()
    stage.loop.keep_lease()
    assert stage.loop.leadership.lease is None


def test_after_a_first_interrupt_no_plan_is_begun() -> None:
    """Neither by the loop itself nor by an approval that comes in while what runs is finished."""
    stage = Stage(in_mode(Mode.ADVISE))
    stage.run(30)
    stage.loop.stop_starting()
    assert "no plan is begun any more" in stage.ask("approve", stage.plans(PlanState.WAITING)[0].plan.id)
    assert stage.store.active_plan() is None


def test_moves_are_counted_over_many_plans() -> None:
    """The daemon's summary knows of every plan, though each look reads only the latest."""
    stage = Stage()
    view = _View(Context(stage.clock), stage.loop)
    stage.loop.keep_lease()
    lease = stage.loop.leadership.lease
    assert lease is not None
    for number in range(2 * LATEST_PLANS):
        made = plan(migrate("s1", "g0", "a", "b"), plan_id=f"p{number}")
        stage.store.open_plan(made, PlanState.ACTIVE, lease.token, stage.clock.now())
        done = StepRecord(StepState.DONE, stage.clock.now(), lease.token, mib=10)
        stage.store.write_step(made.id, "s1", StepState.WAITING, done)
        stage.store.set_plan_state(made.id, PlanState.ENDED, lease.token, stage.clock.now(), "")
        if number % 7 == 0:
            view._moves()
    assert view._moves() == (2 * LATEST_PLANS, 0, 20.0 * LATEST_PLANS)
