"""Orders by CP-SAT: whole, in keeping with edges, the same every time, and asked for only where they may save much."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given, settings

from scheduler.planner.activities import Slots, Workload
from scheduler.planner.intervals import order_by_intervals
from scheduler.planner.listing import list_schedule
from tests.scheduler.planner.test_schedule import activity, capacity, workloads


@settings(max_examples=10)
@given(work=workloads(6))
def test_an_order_is_whole_keeps_edges_and_is_the_same_again(work: Workload) -> None:
    """Every step once, none before one that it waits for."""
    known = list_schedule(work, range(len(work.activities)))
    order = order_by_intervals(work, known)
    assert order is not None and order == order_by_intervals(work, known)
    assert sorted(order) == list(range(len(work.activities)))
    place = {index: at for at, index in enumerate(order)}
    assert all(place[earlier] < place[index] for index, one in enumerate(work.activities) for earlier in one.after)


def test_the_longest_is_begun_first() -> None:
    """Two slots, two short steps and a long one: begun last it would stick out."""
    work = Workload((activity("a", "b"), activity("b", "a"), activity("c", "d")), Slots(1, 1, 2), capacity())
    known = list_schedule(work, range(3))
    order = order_by_intervals(work, known)
    assert known.makespan_s == 50.0
    assert order is not None and list_schedule(work, order).makespan_s == 40.0


def test_planning_does_not_load_ortools_by_itself() -> None:
    """It takes most of a second, which only a plan that is far from its bound is worth."""
    code = "import sys, scheduler.planner.schedule; sys.exit('ortools' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
