"""Figures older than our own moves are found by what they show, whatever the clocks say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cluster.plan import Migrate, PlanRecord, PlanState, StepRecord, StepState
from cluster.snapshot import Snapshot
from scheduler.arrivals import Arrival, Arrivals, why_not_shown
from tests.executors.world import START, ManualClock, migrate, plan
from tests.scheduler.solver.clusters import cluster, guest, host


def seen(on: str) -> Snapshot:
    """Guest g on a host."""
    hosts = [replace(host(name), measured_at=START) for name in "ab"]
    return replace(cluster(hosts, [guest("g", on)]), taken_at=START, stale_s=90.0)


def moved(known_s: float) -> dict[str, Arrival]:
    """It was brought to b, which is known for so long."""
    return {"g": Arrival("b", known_s)}


def test_figures_that_show_the_guest_where_it_was_brought_will_do() -> None:
    """At once."""
    assert why_not_shown(seen("b"), moved(0)) is None


def test_figures_that_do_not_show_it_are_waited_out() -> None:
    """Whatever their times say: a host whose clock is ahead of ours dates old figures after the move."""
    expected = "waiting for figures that show g on b, where it was moved"
    for known_s in (0, 90, 180):
        assert why_not_shown(seen("a"), moved(known_s)) == expected
    assert why_not_shown(replace(seen("a"), guests=()), moved(0)) is not None


def test_what_is_known_for_longer_than_figures_may_be_old_is_no_reason_to_wait() -> None:
    """Somebody else has moved or stopped the guest since."""
    assert why_not_shown(seen("a"), moved(181)) is None


def test_a_host_that_cannot_be_planned_with_is_not_waited_for() -> None:
    """Its figures would never come; it is neither source nor target meanwhile."""
    snapshot = seen("a")
    silent = [replace(one, reachable=one.id != "b") for one in snapshot.hosts]
    assert why_not_shown(replace(snapshot, hosts=tuple(silent)), moved(0)) is None


def record(plan_id: str, *steps: tuple[Migrate, StepState, float]) -> PlanRecord:
    """An ended plan with its steps' states, so many seconds after the start."""
    written = {step.id: StepRecord(state, START + timedelta(seconds=at_s), 1) for step, state, at_s in steps}
    return PlanRecord(plan(*(step for step, *_ in steps), plan_id=plan_id), PlanState.ENDED, written)


def test_the_newest_plan_and_the_final_move_count() -> None:
    """By the order of the journal, not by times; what did not arrive does not count."""
    old = record("p1", (migrate("s1", "g", "a", "b"), StepState.DONE, 500))
    new = record(
        "p2",
        (migrate("s1", "g", "b", "c"), StepState.DONE, 100),
        (migrate("s2", "g", "c", "d"), StepState.DONE, 200),
        (migrate("s3", "other", "a", "b"), StepState.FAILED, 200),
    )
    assert Arrivals(ManualClock()).of([new, old]) == {"g": Arrival("d", 0.0)}


def test_how_long_an_arrival_is_known_goes_by_our_own_clock() -> None:
    """From when this process read of it first."""
    clock = ManualClock()
    arrivals = Arrivals(clock)
    records = [record("p1", (migrate("s1", "g", "a", "b"), StepState.DONE, -50))]
    assert arrivals.of(records)["g"].known_s == 0
    clock.sleep(20)
    assert arrivals.of(records)["g"].known_s == 20
    again = [record("p2", (migrate("s1", "g", "b", "a"), StepState.DONE, -50)), *records]
    assert arrivals.of(again)["g"] == Arrival("a", 0.0)


@pytest.mark.parametrize("at_s", [-4000, 4000])
def test_what_is_dated_far_from_now_is_left_out(at_s: float) -> None:
    """Long known, or written by a clock that was wrong; an older move of the guest does not take its place."""
    far = record("p2", (migrate("s1", "g", "b", "c"), StepState.DONE, at_s))
    older = record("p1", (migrate("s1", "g", "a", "b"), StepState.DONE, 0))
    assert Arrivals(ManualClock()).of([far, older]) == {}
