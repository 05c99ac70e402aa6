"""The judges of a course catch made-up schedules that are wrong, and let right ones pass."""

from __future__ import annotations

import pytest

from benchmarks.thirty_days.course import ASLEEP, Course, Move, PowerChange
from benchmarks.thirty_days.judge import (
    energy_kwh,
    most_moves_in,
    overload,
    shortest_s,
    sleeps,
    sleeps_in_a_day,
    to_and_fro,
)
from cluster.limits import Limits
from tests.benchmarks.thirty_days.made_up import night, weeks

HOUR_S = 3600.0


def test_guests_within_their_hosts_are_not_starved() -> None:
    """A host that is just at its limit is neither starved nor over it."""
    found = overload(Course(weeks([0, 1], [8000, 8000]), (), (), HOUR_S), Limits())
    assert (found.starved_minutes, found.over_limit_minutes, found.guest_minutes) == (0, 0, 0)


def test_too_much_on_a_host_is_starvation_from_the_move_on() -> None:
    """Two guests of 8 cores on a host of 10 starve from the second's arrival to the end, and 6 cores are not served."""
    course = Course(weeks([0, 1], [8000, 8000]), (Move(1, 1, 0, 580, 600),), (), HOUR_S)
    found = overload(course, Limits())
    assert found.starved_minutes == pytest.approx(50)
    assert found.over_limit_minutes == pytest.approx(50)
    assert found.guest_minutes == pytest.approx(100)
    assert found.unserved_ratio == pytest.approx(6 / 16 * 50 / 60)


def test_a_move_that_failed_leaves_the_guest_where_it_was() -> None:
    """Only who arrives is a load on the target."""
    course = Course(weeks([0, 1], [8000, 8000]), (Move(1, 1, 0, 580, 600, arrived=False),), (), HOUR_S)
    assert overload(course, Limits()).starved_minutes == 0


def test_over_the_limit_is_told_apart_from_starved() -> None:
    """9 of 10 cores are over a limit of 0.8 and starve nobody."""
    found = overload(Course(weeks([0], [9000]), (), (), HOUR_S), Limits())
    assert (found.starved_minutes, found.over_limit_minutes) == (0, 60)


def test_a_guest_on_a_sleeping_host_is_starved() -> None:
    """A host that sleeps with a guest on it gives that guest nothing."""
    course = Course(weeks([0], [10]), (), (PowerChange(600, 0, ASLEEP),), HOUR_S)
    found = overload(course, Limits())
    assert found.starved_minutes == pytest.approx(50)
    assert found.unserved_ratio == pytest.approx(50 / 60)


def test_energy_counts_load_sleep_and_the_way_there_and_back() -> None:
    """An hour of one host at half load, one idle, one with a sleep of 28 minutes between two minutes of changing."""
    course = Course(weeks([0], [5000]), (), tuple(night(2, 600, 2400)), HOUR_S)
    joules = 150 * 3600 + 100 * 3600 + 100 * (3600 - 1680) + 10 * 1680
    assert energy_kwh(course, 300.0) == pytest.approx(joules / 3.6e6)


def test_energy_counts_moves() -> None:
    """Memory moved costs what each GiB costs, arrived or not."""
    here = weeks([0], [0], memory_mib=512)
    idle = energy_kwh(Course(here, (), (), HOUR_S), 300.0)
    moves = (Move(0, 0, 1, 10, 20), Move(0, 1, 2, 30, 40, arrived=False))
    assert energy_kwh(Course(here, moves, (), HOUR_S), 300.0) - idle == pytest.approx(2 * 0.5 * 300 / 3.6e6)


def test_sleeps_are_counted_over_any_day() -> None:
    """Four sleeps around midnight are four in a day, though each date has two; the fifth a day later is not."""
    times = [22.0, 23.0, 25.0, 26.0, 46.5]
    power = sorted(
        (change for at in times for change in night(1, at * HOUR_S, (at + 0.5) * HOUR_S)), key=lambda one: one.at_s
    )
    course = Course(weeks([0], [0]), (), tuple(power), 3 * 86400.0)
    assert sleeps_in_a_day(course) == 4
    assert sleeps(course) == 5


def test_no_sleep_is_no_cycle() -> None:
    """A course in which nothing sleeps has none."""
    course = Course(weeks([0], [0]), (), (), HOUR_S)
    assert (sleeps_in_a_day(course), sleeps(course), shortest_s(course)) == (0, 0, (float("inf"), float("inf")))


def test_the_shortest_times_on_and_off_are_found() -> None:
    """Off counts from going down to being woken, on from being up to going down again."""
    power = (*night(1, 600, 1200), *night(1, 2100, 3600))
    course = Course(weeks([0], [0]), (), power, 2 * HOUR_S)
    assert shortest_s(course) == (900, 540)


@pytest.mark.parametrize(("back_s", "found"), [(1700, 1), (1900, 0)])
def test_a_guest_that_comes_back_soon_is_found(back_s: float, found: int) -> None:
    """Out and back counts when the way back begins within the time after arriving."""
    moves = (Move(0, 0, 1, 0, 20), Move(0, 1, 0, back_s, back_s + 20))
    assert to_and_fro(Course(weeks([0], [0]), moves, (), HOUR_S), 1800.0) == found


def test_a_guest_that_goes_on_is_not_to_and_fro() -> None:
    """Three hosts in a row are not a way back."""
    moves = (Move(0, 0, 1, 0, 20), Move(0, 1, 2, 100, 120))
    course = Course(weeks([0], [0]), moves, (), HOUR_S)
    assert (to_and_fro(course, 1800.0), most_moves_in(course, 1800.0)) == (0, 2)
