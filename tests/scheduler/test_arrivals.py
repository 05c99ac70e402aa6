"""Figures older than our own moves are found by what they show, whatever the clocks say."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from cluster.plan import Migrate, PlanRecord, PlanState, StepRecord, StepState
from cluster.snapshot import Snapshot
from scheduler.arrivals import Arrival, arrivals_of, why_not_shown
from tests.executors.world import START, migrate, plan
from tests.scheduler.solver.clusters import cluster, guest, host


def seen(on: str, measured_s: float) -> Snapshot:
    """Guest g on a host, all hosts measured so many seconds after the move."""
    at = START + timedelta(seconds=measured_s)
    hosts = [replace(host(name), measured_at=at) for name in "ab"]
    return replace(cluster(hosts, [guest("g", on)]), taken_at=at, stale_s=90.0)


MOVED = {"g": Arrival("b", START, "p1", "s1")}


def test_figures_that_show_the_guest_where_it_was_brought_will_do() -> None:
    """Even when its host's clock says that they are older."""
    assert why_not_shown(seen("b", -60), MOVED) is None


def test_figures_that_do_not_show_it_are_waited_out() -> None:
    """A host whose clock is ahead of ours dates old figures after the move."""
    expected = "waiting for figures that show g on b, where it was moved"
    for measured_s in (-30, 0, 30, 180):
        assert why_not_shown(seen("a", measured_s), MOVED) == expected
    assert why_not_shown(replace(seen("a", 30), guests=()), MOVED) is not None


def test_figures_later_than_clocks_may_differ_are_believed() -> None:
    """Somebody else has moved the guest since."""
    assert why_not_shown(seen("a", 181), MOVED) is None


def test_a_host_that_cannot_be_planned_with_is_not_waited_for() -> None:
    """Its figures would never come; it is neither source nor target meanwhile."""
    snapshot = seen("a", 30)
    silent = [replace(one, reachable=one.id != "b") for one in snapshot.hosts]
    assert why_not_shown(replace(snapshot, hosts=tuple(silent)), MOVED) is None


def record(plan_id: str, *steps: tuple[Migrate, StepState, float]) -> PlanRecord:
    """An ended plan with its steps' states, so many seconds after the start."""
    written = {step.id: StepRecord(state, START + timedelta(seconds=at_s), 1) for step, state, at_s in steps}
    return PlanRecord(plan(*(step for step, *_ in steps), plan_id=plan_id), PlanState.ENDED, written)


def test_the_newest_plan_and_the_final_move_count() -> None:
    """By the order of the journal, not by times; what did not arrive does not count."""
    latest = datetime.max.replace(tzinfo=START.tzinfo)
    old = record("p1", (migrate("s1", "g", "a", "b"), StepState.DONE, 500))
    new = record(
        "p2",
        (migrate("s1", "g", "b", "c"), StepState.DONE, 100),
        (migrate("s2", "g", "c", "d"), StepState.DONE, 200),
        (migrate("s3", "other", "a", "b"), StepState.FAILED, 200),
    )
    found = arrivals_of([new, old], latest)
    assert found == {"g": Arrival("d", START + timedelta(seconds=200), "p2", "s2")}


def test_what_is_dated_in_the_future_was_written_by_a_wrong_clock() -> None:
    """Nobody waits for that day."""
    wrong = record("p1", (migrate("s1", "g", "a", "b"), StepState.DONE, 5000))
    assert arrivals_of([wrong], START + timedelta(seconds=90)) == {}
