"""What people ask of the leader: approve, reject, apply, abort; each refusal says why and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cluster.config.settings import Mode
from cluster.formats.plan_file import write_plan
from cluster.plan import PlanState, StepState
from cluster.store.protocol import Command
from scheduler.commands import carry_out
from tests.scheduler.stage import QUICK, Stage, in_mode


@pytest.fixture
def stage() -> Stage:
    """A cluster in mode advise with one plan waiting."""
    stage = Stage(in_mode(Mode.ADVISE))
    stage.run(30)
    assert len(stage.plans(PlanState.WAITING)) == 1
    return stage


def waiting(stage: Stage) -> str:
    """The id of the plan that waits."""
    return stage.plans(PlanState.WAITING)[0].plan.id


def as_file(stage: Stage) -> str:
    """The waiting plan as a file's text, under an id of its own."""
    return write_plan(replace(stage.plans(PlanState.WAITING)[0].plan, id="FROM-A-FILE"))


def test_an_approved_plan_is_carried_out(stage: Stage) -> None:
    """It is under way at once, in mode advise, and done soon after."""
    plan = waiting(stage)
    assert stage.ask("approve", plan) == f"approve by ann: plan {plan} is under way"
    assert stage.store.active_plan() is not None
    stage.run(200)
    assert [stage.on(host) for host in "abc"] == [2, 2, 2]


def test_a_rejected_plan_is_not(stage: Stage) -> None:
    """It says who rejected it, and cannot be approved any more."""
    plan = waiting(stage)
    assert stage.ask("reject", plan) == f"reject by ann: plan {plan} will not be carried out"
    record = stage.store.plan(plan)
    assert record is not None and (record.state, record.why) == (PlanState.REJECTED, "rejected by ann")
    assert "does not wait for approval" in stage.ask("approve", plan)
    assert stage.store.active_plan() is None


def test_a_plan_from_a_file_is_carried_out(stage: Stage) -> None:
    """Sent whole, written down, and begun."""
    assert stage.ask("apply", as_file(stage)) == "apply by ann: plan FROM-A-FILE is under way"
    stage.run(200)
    assert stage.on("a") == 2


def test_the_same_file_is_not_applied_twice(stage: Stage) -> None:
    """The second time its id is known, whatever the world looks like."""
    text = as_file(stage)
    stage.ask("apply", text)
    stage.run(200)
    assert "refused" in stage.ask("apply", text)
    assert stage.store.active_plan() is None


def test_abort_stops_what_runs_and_starts_nothing_more(stage: Stage) -> None:
    """The guest under way stays where it was, and the plan has ended."""
    stage.ask("approve", waiting(stage))
    assert stage.ask("abort") == "abort by ann: stopping what runs, starting nothing more"
    stage.run(20)
    (record,) = stage.plans(PlanState.ENDED)
    assert "aborted by ann" in record.why
    assert stage.on("a") == 6
    assert {record.step_state(step.id) for step in record.plan.steps} <= {StepState.ABORTED, StepState.WAITING}


def test_abort_with_nothing_under_way_says_so(stage: Stage) -> None:
    """And it does not lie in wait for the next plan."""
    assert stage.ask("abort") == "abort by ann: nothing is under way"
    stage.ask("approve", waiting(stage))
    stage.run(200)
    assert stage.on("a") == 2


def paused(stage: Stage) -> None:
    """The cluster is paused."""
    stage.store.set_flag("paused", "bob")


def under_way(stage: Stage) -> None:
    """A plan is under way already."""
    stage.ask("apply", as_file(stage))


def expired(stage: Stage) -> None:
    """The plan has waited for too long, with nobody looking."""
    stage.clock.advance(QUICK.scheduler.plan_expires_s)
    stage.loop.collect()
    stage.loop.keep_lease()


def moved_away(stage: Stage) -> None:
    """Somebody has moved the guests by hand."""
    for guest in [move.guest for move in stage.plans(PlanState.WAITING)[0].plan.migrations]:
        stage.world.start_migration(guest, "a", "b", None)
    stage.clock.advance(60)
    stage.loop.collect()
    stage.loop.keep_lease()


def cordoned(stage: Stage) -> None:
    """The targets take no guests any more."""
    for host in "bc":
        stage.store.set_flag(f"cordon:{host}", "bob")


@pytest.mark.parametrize("verb", ["approve", "apply"])
@pytest.mark.parametrize(
    ("happens", "says"),
    [
        (paused, "paused by bob: trimtab resume"),
        (under_way, "plan FROM-A-FILE is under way"),
        (expired, "expired at"),
        (moved_away, "not on a as planned: make a new plan"),
        (cordoned, "is cordoned: make a new plan"),
    ],
)
def test_what_does_not_hold_is_refused(stage: Stage, verb: str, happens: Callable[[Stage], None], says: str) -> None:
    """For a waiting plan as for one from a file: one line with the reason, and nothing is begun."""
    argument = waiting(stage) if verb == "approve" else as_file(stage)
    happens(stage)
    before = stage.store.active_plan()
    said = stage.ask(verb, argument)
    assert said.startswith(f"{verb} by ann: refused: ") and says in said
    after = stage.store.active_plan()
    assert (before and before.plan.id) == (after and after.plan.id)


@pytest.mark.parametrize(
    ("verb", "argument", "says"),
    [
        ("approve", "nothing", "approve by ann: refused: plan nothing does not wait for approval"),
        ("reject", "nothing", "reject by ann: refused: plan nothing does not wait for approval"),
        ("apply", "{", "apply by ann refused: the plan sent: "),
        ("dance", "", "command 'dance' of ann is unknown to this version: ignored"),
    ],
)
def test_nonsense_is_refused_in_one_line(stage: Stage, verb: str, argument: str, says: str) -> None:
    """The loop goes on."""
    said = stage.ask(verb, argument)
    assert said.startswith(says) and "\n" not in said
    stage.run(30)


def test_a_store_that_may_forget_carries_out_nothing(stage: Stage) -> None:
    """Without a journal that lasts, not even by request."""
    view = replace(stage.loop.view(None), store_problems=("appendfsync is everysec",))
    command = Command("x", "approve", waiting(stage), "ann", stage.clock.now())
    said = carry_out(command, stage.store, stage.runner, lambda: view, 1)
    assert said == "approve by ann: refused: the store is not safe for a journal: appendfsync is everysec"
