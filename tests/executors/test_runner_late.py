"""The runner before a blackout: what would not be over in time is not begun, but a failing host is emptied."""

from __future__ import annotations

from dataclasses import replace

from cluster.plan import EVACUATE, PlanRecord, StepState
from executors.events import EventKind
from executors.runner import PlanRunner
from tests.executors.world import CONFIRM_S, SETTLE_S, Stage, migrate, plan, stage


def closing(left_s: float) -> Stage:
    """A stage on which nothing may be begun that takes more than so many seconds."""
    on = stage({"g1": "h1"})
    on.runner = PlanRunner(
        on.store,
        on.world,
        None,
        on.clock,
        on.world.settings,
        lambda _plan, _step: None,
        lambda: None,
        lambda: on.lease,
        may_last=lambda seconds: f"only {left_s:g} s are left" if seconds > left_s else None,
        settle_s=SETTLE_S,
        confirm_s=CONFIRM_S,
    )
    return on


MOVE = migrate("s1", "g1", "h1", "h2")
SECONDS = MOVE.estimate.seconds


def state(on: Stage) -> StepState:
    """How far the only step is."""
    record: PlanRecord | None = on.store.active_plan()
    assert record is not None
    return record.step_state("s1")


def test_a_step_that_would_last_too_long_is_held() -> None:
    """It waits, with the reason told once, and starts where there is time enough."""
    late, early = closing(SECONDS - 0.1), closing(SECONDS)
    for on in (late, early):
        on.runner.begin(plan(MOVE))
    held = [event for _ in range(3) for event in late.runner.tick() if event.kind is EventKind.HELD]
    assert [event.text for event in held] == [f"only {SECONDS - 0.1:g} s are left"]
    early.runner.tick()
    assert (state(late), state(early)) == (StepState.WAITING, StepState.RUNNING)


def test_a_failing_host_is_emptied_to_the_last_second() -> None:
    """Its guests are in more danger from the host than from a window."""
    on = closing(0.0)
    on.runner.begin(replace(plan(MOVE), policy=EVACUATE))
    on.runner.tick()
    assert state(on) is StepState.RUNNING
