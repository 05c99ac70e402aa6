"""The runner, case by case, in a scripted world."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.config.settings import MigrationSettings
from cluster.errors import ConflictError
from cluster.plan import PlanState, Sleep, StepRecord, StepState, Wake
from executors.events import EventKind
from tests.executors.world import End, Power, migrate, plan, stage

TWO = plan(migrate("s1", "g1", "h1", "h2"), migrate("s2", "g2", "h1", "h3", after=("s1",)))
WHERE = {"g1": "h1", "g2": "h1"}


def test_a_plan_runs_to_its_end_in_order() -> None:
    """Steps run in the order of their edges, and the plan ends with all of them done."""
    on = stage(WHERE)
    on.runner.begin(TWO)
    record = on.run()
    assert record.why == "2 of 2 steps done"
    assert on.world.started == ["s1", "s2"]
    assert on.world.where == {"g1": {"h2"}, "g2": {"h3"}}
    assert set(on.states().values()) == {StepState.DONE}
    assert record.steps["s1"].mib > 0
    kinds = [event.kind for event in on.events if event.kind is not EventKind.PROGRESS]
    assert kinds == [EventKind.STARTED, EventKind.ENDED] * 2 + [EventKind.PLAN_ENDED]


def test_a_plan_without_steps_ends_at_once() -> None:
    """Nothing to do is done."""
    on = stage({})
    on.runner.begin(plan())
    on.tick()
    assert on.record().state is PlanState.ENDED


@pytest.mark.parametrize(
    ("end", "state", "starts"),
    [
        (End.FAILS, StepState.FAILED, 1),
        (End.REFUSED, StepState.REFUSED, 0),
        (End.NEVER_BEGINS, StepState.FAILED, 1),
        (End.LOST, StepState.UNRESOLVED, 1),
        (End.DIES, StepState.FAILED, 1),
        (End.START_UNKNOWN, StepState.DONE, 2),
    ],
)
def test_a_step_ends_as_it_is_seen_and_a_surprise_ends_the_plan(end: End, state: StepState, starts: int) -> None:
    """After the first step that is not done nothing more is started, and the plan says why."""
    on = stage(WHERE, ends={"s1": end})
    on.runner.begin(TWO)
    record = on.run()
    assert on.states()["s1"] is state
    assert len(on.world.started) == starts
    if state is not StepState.DONE:
        assert on.states()["s2"] is StepState.WAITING
        assert f"step s1 {state}" in record.why


def test_running_steps_finish_after_a_surprise() -> None:
    """A failed step does not stop the migrations beside it."""
    on = stage({"g1": "h1", "g2": "h2", "g3": "h3"}, ends={"s1": End.REFUSED})
    steps = (
        migrate("s2", "g2", "h2", "h1"),
        migrate("s1", "g1", "h1", "h2"),
        migrate("s3", "g3", "h3", "h4"),
    )
    on.runner.begin(plan(*steps))
    on.run()
    assert on.states() == {"s1": StepState.REFUSED, "s2": StepState.DONE, "s3": StepState.WAITING}


def test_the_steps_own_look_refuses_it() -> None:
    """What the last look says against a step refuses it before anything is begun."""
    on = stage(WHERE)
    on.refusals = {"s1": "host h2 is cordoned"}
    on.runner.begin(TWO)
    record = on.run()
    assert record.why == "step s1 refused: host h2 is cordoned; 0 of 2 steps done"
    assert on.world.started == []


def test_a_guest_that_is_not_on_its_source_is_refused() -> None:
    """A step names the place its guest must be found at."""
    on = stage({"g1": "h3", "g2": "h1"})
    on.runner.begin(TWO)
    on.run()
    assert on.states()["s1"] is StepState.REFUSED
    assert on.world.started == []


def test_an_unresolved_guest_is_never_touched() -> None:
    """A guest whose last step is unresolved is refused until an operator has looked."""
    on = stage(WHERE, ends={"s1": End.LOST})
    on.runner.begin(TWO)
    on.run()
    on.world.silent.clear()
    on.world.jobs.clear()
    on.runner.begin(replace(plan(migrate("t1", "g1", "h1", "h2")), id="p2"))
    on.run()
    assert on.record("p2").step_state("t1") is StepState.REFUSED
    on.inner.resolve("g1", "ops", on.clock.now())
    on.runner.begin(replace(plan(migrate("u1", "g1", "h1", "h2")), id="p3"))
    on.run()
    assert on.record("p3").step_state("u1") is StepState.DONE


def test_what_may_not_act_starts_nothing_and_goes_on_later() -> None:
    """A kill switch or pause holds the plan; running steps are watched; lifting it lets the plan go on."""
    on = stage(WHERE)
    on.runner.begin(TWO)
    on.tick()
    on.why_held = "paused by an operator"
    for _ in range(20):
        on.tick()
    assert on.states() == {"s1": StepState.DONE, "s2": StepState.WAITING}
    assert [event.text for event in on.events if event.kind is EventKind.HELD] == ["paused by an operator"]
    on.why_held = None
    on.run()
    assert on.states()["s2"] is StepState.DONE


def test_stopping_finishes_what_runs() -> None:
    """Asked to start nothing more, the runner lets the running step arrive and ends the plan."""
    on = stage(WHERE)
    on.runner.begin(TWO)
    on.tick()
    on.runner.stop_starting()
    on.run()
    assert on.states() == {"s1": StepState.DONE, "s2": StepState.WAITING}
    assert on.world.aborted == set()


def test_aborting_stops_what_runs() -> None:
    """An abort asks the running migration to stop; its guest stays and the step is aborted."""
    on = stage(WHERE)
    on.runner.begin(TWO)
    on.tick()
    on.runner.abort()
    record = on.run()
    assert on.states() == {"s1": StepState.ABORTED, "s2": StepState.WAITING}
    assert on.world.where["g1"] == {"h1"}
    assert "an operator aborted" in record.why


def test_an_abort_that_comes_too_late_is_done() -> None:
    """A migration that ends before the abort reaches it counts as what it is: done."""
    on = stage(WHERE)
    on.runner.begin(TWO)
    on.tick(10.0)
    on.runner.abort()
    on.run()
    assert on.states() == {"s1": StepState.DONE, "s2": StepState.WAITING}


def test_an_overdue_migration_is_asked_to_stop() -> None:
    """Past its time-out a migration is aborted and its guest found on the source: failed."""
    on = stage(WHERE, ends={"s1": End.HANGS}, settings=MigrationSettings(timeout_s=30.0))
    on.runner.begin(TWO)
    on.run()
    assert on.states()["s1"] is StepState.FAILED
    assert "longer than 30 s" in on.record().steps["s1"].detail
    assert on.world.where["g1"] == {"h1"}


def test_the_time_out_counts_from_the_start_across_a_restart() -> None:
    """A restart gives a hanging migration no second time-out."""
    on = stage(WHERE, ends={"s1": End.HANGS}, settings=MigrationSettings(timeout_s=30.0))
    on.runner.begin(TWO)
    for _ in range(20):
        on.tick()
    on.new_runner()
    for _ in range(15):
        on.tick()
    assert on.world.aborted == {"s1"}


@pytest.mark.parametrize("ahead_s", [-3600.0, 3600.0])
def test_a_leader_with_another_time_of_day_gives_a_whole_time_out(ahead_s: float) -> None:
    """However far its time of day is from its predecessor's, it stops what hangs after one time-out, not before."""
    on = stage(WHERE, ends={"s1": End.HANGS}, settings=MigrationSettings(timeout_s=30.0))
    on.runner.begin(TWO)
    on.tick()
    on.clock.ahead_s = ahead_s
    on.new_runner()
    for _ in range(29):
        on.tick()
    assert on.world.aborted == set()
    for _ in range(4):
        on.tick()
    assert on.world.aborted == {"s1"}


@pytest.mark.parametrize("limits", [(1, 1, 4), (2, 1, 4), (1, 2, 4), (3, 3, 2), (9, 9, 9)])
def test_limits_are_used_and_kept(limits: tuple[int, int, int]) -> None:
    """As many migrations run at once as the limits allow, and no more (the world checks each start)."""
    out, into, cluster = limits
    settings = MigrationSettings(out_per_host=out, in_per_host=into, per_cluster=cluster)
    where = {f"g{i}": f"h{i % 2}" for i in range(6)}
    on = stage(where, settings=settings)
    on.runner.begin(plan(*(migrate(f"s{i}", f"g{i}", f"h{i % 2}", f"t{i % 2}") for i in range(6))))
    on.run()
    assert on.world.most_running == min(2 * min(out, into), cluster, 6)


def test_sleep_and_wake_go_through_the_power_executor() -> None:
    """Power steps are started once, watched, and done when the host is in the state asked for."""
    power = Power(lasts=3)
    on = stage({"g1": "h1"}, power=power)
    on.world.others = {"s1"}
    steps = (
        Wake("s1", "h2", "room"),
        migrate("s2", "g1", "h1", "h2", after=("s1",)),
        Sleep("s3", "h1", "", 98, ("s2",)),
    )
    on.runner.begin(plan(*steps))
    on.run()
    assert set(on.states().values()) == {StepState.DONE}
    assert power.started == ["s1", "s3"]


@pytest.mark.parametrize(
    ("power", "state"),
    [
        (None, StepState.REFUSED),
        (Power(refuses="holds guests"), StepState.REFUSED),
        (Power(error="the BMC refused"), StepState.FAILED),
        (Power(lasts=10**9), StepState.FAILED),
    ],
)
def test_a_power_step_that_does_not_work_ends_the_plan(power: Power | None, state: StepState) -> None:
    """Refused, failing and endless power steps end as such."""
    on = stage({}, power=power, settings=MigrationSettings(timeout_s=30.0))
    on.runner.begin(plan(Sleep("s1", "h1", "night")))
    on.run()
    assert on.states()["s1"] is state


def test_a_second_plan_is_refused() -> None:
    """One plan at a time."""
    on = stage(WHERE)
    on.runner.begin(TWO)
    with pytest.raises(ConflictError):
        on.runner.begin(replace(TWO, id="p2"))


def test_an_approved_plan_is_made_active() -> None:
    """A plan that waits in the journal is not opened a second time."""
    on = stage(WHERE)
    assert on.lease is not None
    on.inner.open_plan(TWO, PlanState.WAITING, on.lease.token, on.clock.now())
    on.runner.begin(TWO)
    on.run()
    assert set(on.states().values()) == {StepState.DONE}


def test_a_running_record_keeps_its_start() -> None:
    """Progress does not move the time a step began at."""
    on = stage({"g1": "h1"})
    on.runner.begin(plan(migrate("s1", "g1", "h1", "h2")))
    on.tick()
    began = on.record().steps["s1"].at
    on.tick()
    on.tick()
    record: StepRecord = on.record().steps["s1"]
    assert record.progress_ratio > 0
    assert record.at == began
