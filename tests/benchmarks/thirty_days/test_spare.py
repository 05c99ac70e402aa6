"""The N+1 trial finds the losses that leave no room, and only those."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.thirty_days.course import ASLEEP, GOING_DOWN, Course, Move, PowerChange
from benchmarks.thirty_days.spare import best_fit, packs, try_losses
from cluster.limits import Limits
from tests.benchmarks.thirty_days.made_up import night, weeks

DAY_S = 86400.0


def test_room_on_the_others_is_no_failure() -> None:
    """Two guests of 4 cores on two of three hosts: whichever is lost, there is room."""
    trial = try_losses(Course(weeks([0, 1], [4000, 4000]), (), (), DAY_S), [0.0, 600.0], Limits())
    assert (trial.losses, trial.failures) == (4, ())


def test_a_sleeping_host_is_no_room() -> None:
    """With the third host asleep the fuller two cannot stand in for each other: by CPU."""
    course = Course(weeks([0, 1], [5000, 5000]), (), tuple(night(2, 600, 7200)), DAY_S)
    assert not try_losses(course, [300.0, 7300.0], Limits()).failures
    for at_s in (610.0, 3600.0, 7190.0):  # going down, asleep, waking
        assert {one.host for one in try_losses(course, [at_s], Limits()).failures} == {"h0", "h1"}, at_s


def test_memory_counts() -> None:
    """Guests that want no CPU but most of the memory are not to be held by one host."""
    course = Course(weeks([0, 1], [0, 0], hosts=2, memory_mib=600), (), (), DAY_S)
    assert len(try_losses(course, [0.0], Limits()).failures) == 2


def test_whole_guests_are_packed() -> None:
    """Room enough in the sum is not enough: a guest of 4.1 cores does not fit where 4, 4 and 4 are free."""
    course = Course(weeks([0, 0, 1, 2, 3], [4100, 3900, 4000, 4000, 4000], hosts=4), (), (), DAY_S)
    (failure,) = try_losses(course, [0.0], Limits()).failures
    assert (failure.host, failure.guests, failure.open) == ("h0", 2, False)


def test_a_guest_under_way_takes_memory_at_both_ends() -> None:
    """While a guest of 300 MiB is on its way to the only other host, there is no room there for 800 MiB more."""
    here = weeks([0, 0, 0], [0, 0, 0], hosts=2, memory_mib=300)
    course = Course(here, (Move(0, 0, 1, 100, 200, arrived=False),), (), DAY_S)
    assert not try_losses(course, [50.0], Limits()).failures
    assert try_losses(course, [150.0], Limits()).failures
    assert not try_losses(course, [250.0], Limits()).failures


def test_a_guest_on_a_sleeping_host_is_a_failure() -> None:
    """Whatever room there is elsewhere."""
    course = Course(weeks([0], [10]), (), (PowerChange(100, 0, ASLEEP),), DAY_S)
    assert len(try_losses(course, [200.0], Limits()).failures) == 1


def test_a_host_going_down_is_lost_as_well() -> None:
    """Its guests need room like any others'."""
    course = Course(weeks([0, 1], [7000, 7000], hosts=2), (), (PowerChange(100, 0, GOING_DOWN),), DAY_S)
    assert {one.host for one in try_losses(course, [200.0], Limits()).failures} == {"h0", "h1"}


def test_best_fit_that_fails_is_tried_exactly() -> None:
    """7, 5, 4, 4 into 10 and 10: the largest first fails on no other order than a search finds."""
    need = np.array([[5, 0], [4, 0], [4, 0], [3, 0], [2, 0], [2, 0]])
    free = np.array([[10, 9], [10, 9]])
    assert packs(need, free)
    assert not packs(np.array([[6, 0], [6, 0], [6, 0]]), free)


@settings(max_examples=60, deadline=None)
@given(
    need=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=5),
    free=st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=1, max_size=3),
)
def test_packing_agrees_with_trying_everything(need: list[tuple[int, int]], free: list[tuple[int, int]]) -> None:
    """CP-SAT says what trying all placements says, and best fit never says there is room where there is none."""
    wants, room = np.array(need, dtype=np.int64), np.array(free, dtype=np.int64)
    possible = any(
        all((wants[np.array(where) == host].sum(axis=0) <= room[host]).all() for host in range(len(room)))
        for where in product(range(len(room)), repeat=len(wants))
    )
    assert packs(wants, room) is possible
    assert possible or not best_fit(wants, room)
