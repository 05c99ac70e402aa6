"""A course is what the pretend cluster did."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.thirty_days.course import ASLEEP, GOING_DOWN, ON, WAKING
from benchmarks.thirty_days.judge import energy_kwh, overload
from benchmarks.thirty_days.load import START, Weeks
from benchmarks.thirty_days.record import Recorder
from cluster.limits import Limits
from simulator.clock import SimClock
from simulator.guests import SimGuest, SteadyLoad
from simulator.world import World
from tests.benchmarks.thirty_days.made_up import weeks


def world_of(here: Weeks) -> tuple[World, Recorder, SimClock]:
    """Return a cluster of steady loads with a recorder."""
    clock, recorder = SimClock(START), Recorder(here)
    guests = [
        SimGuest(guest, SteadyLoad(float(row[0]))) for guest, row in zip(here.guests, here.wanted.tolist(), strict=True)
    ]
    return World(here.hosts, guests, clock, load_start_s=0.0, sample_s=10.0, ledgers=[recorder]), recorder, clock


def test_moves_and_sleeps_are_written_down() -> None:
    """With the moments at which they began and ended; what is called off did not arrive."""
    here = weeks([0, 0, 1], [1000, 2000, 3000])
    world, recorder, clock = world_of(here)
    clock.advance(100)
    world.start_migration("g0", "h0", "h1")
    clock.advance(50)
    world.start_migration("g1", "h0", "h1")
    world.abort_migration("g1")
    world.sleep_host("h2")
    clock.advance(450)
    world.wake_host("h2")
    clock.advance(400)
    world.snapshot()
    world.settle_accounts()
    course = recorder.course(1000.0)
    recorder.check(world)
    done, aborted = sorted(course.moves, key=lambda move: move.guest)
    assert (done.guest, done.source, done.target, done.began_s, done.arrived) == (0, 0, 1, 100, True)
    assert 100 < done.ended_s < 110
    assert (aborted.guest, aborted.began_s, aborted.arrived) == (1, 150, False)
    assert [(change.at_s, change.state) for change in course.power] == [
        (150, GOING_DOWN),
        (210, ASLEEP),
        (600, WAKING),
        (660, ON),
    ]
    assert course.at(50).placement.tolist() == [0, 0, 1]
    assert course.at(999).placement.tolist() == [1, 0, 1]


def test_the_judge_and_the_world_agree_on_energy() -> None:
    """Two ways to add up the same hour: the world's own looks every ten seconds, and the course."""
    here = weeks([0, 0, 1], [1000, 2000, 3000])
    world, recorder, clock = world_of(here)
    world.sleep_host("h2")
    clock.advance(1200)
    world.wake_host("h2")
    clock.advance(2400)
    drawn = sum(world.joules().values())
    world.settle_accounts()
    assert energy_kwh(recorder.course(3600.0), 0.0) * 3.6e6 == pytest.approx(drawn, rel=1e-3)


def test_a_guest_that_is_gone_is_seen() -> None:
    """A host put to sleep with a guest on it: lost, and starved to the end."""
    here = replace(weeks([0, 1], [1000, 1000]))
    world, recorder, clock = world_of(here)
    world.sleep_host("h1")
    clock.advance(3600)
    world.snapshot()
    world.settle_accounts()
    recorder.check(world)
    assert recorder.lost == {"g1"}
    assert overload(recorder.course(3600.0), Limits()).starved_minutes == pytest.approx(59)
