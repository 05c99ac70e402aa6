"""The real loop run over a cluster's measured days, with its history in the store, and the course of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from benchmarks.thirty_days.course import Course
from benchmarks.thirty_days.load import SLOT_S, Weeks
from benchmarks.thirty_days.record import Recorder
from cluster.config.power import PowerSettings, WakeTest
from cluster.config.settings import Mode, Settings
from cluster.history import Metric, slot_of
from scheduler.replay.replaying import Pace, Replaying
from simulator.clock import SimClock
from simulator.guests import SimGuest, Writes
from simulator.loads import LoadMatrix
from simulator.world import World

INTERVAL_S = 300.0
"""How often the loop looks and plans."""
LAG_S = 60.0
"""How long after loads change it does so."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A course, guests that were lost on the way, what else must not happen and did, and what the loop said."""

    course: Course
    lost: tuple[str, ...]
    violations: tuple[str, ...]
    lines: tuple[tuple[datetime, str], ...]


EachDay = Callable[[int, Outcome], None]


def settings_for(policy: str, base: Settings | None = None) -> Settings:
    """Return the settings of a run: everything at its default but for the beat, and a plan each time one is worth it.

    What the loop adds up of energy itself is not looked at here, wake tests are another bench's.
    """
    chosen = base or Settings()
    return replace(
        chosen,
        scheduler=replace(
            chosen.scheduler, mode=Mode.ACT, policy=policy, interval_s=INTERVAL_S, work_limit=0.02, workers=1
        ),
        collect=replace(chosen.collect, interval_s=INTERVAL_S),
        gate=replace(chosen.gate, quiet_start_s=0.0),
        power=PowerSettings(wake_test=WakeTest.OFF),
        energy=replace(chosen.energy, meter_every_s=3600.0),
    )


def run(weeks: Weeks, settings: Settings, each_day: EachDay = lambda day, so_far: None) -> Outcome:
    """Run the loop over all measured days; when each is over, tell its number and what happened so far."""
    clock = SimClock(weeks.start)
    recorder = Recorder(weeks)
    matrix = LoadMatrix(weeks.measured, float(SLOT_S), 0.0)
    guests = [
        SimGuest(guest, load, Writes(hot_mib=100.0, hot_mib_s=100.0, cold_mib_s=5.0))
        for guest, load in zip(weeks.guests, matrix.loads(), strict=True)
    ]
    world = World(weeks.hosts, guests, clock, load_start_s=0.0, sample_s=60.0, ledgers=[recorder])
    clock.advance(LAG_S)
    replaying = Replaying(world, settings, clock, pace=Pace())
    first = slot_of(weeks.start) - weeks.history_slots
    if weeks.history_slots:
        past = {guest.id: row.tolist() for guest, row in zip(weeks.guests, weeks.history, strict=True)}
        replaying.remember(Metric.CPU_MILLICORES, first, past)
        memory = {guest.id: [guest.memory_mib] * weeks.history_slots for guest in weeks.guests}
        replaying.remember(Metric.MEMORY_MIB, first, memory)
    day = 0
    while (left_s := weeks.duration_s - clock.monotonic_s()) > 0:
        replaying.run(min(86400.0, left_s))
        day += 1
        recorder.check(world)
        violations = tuple(one.text for one in world.violations())
        course = recorder.course(clock.monotonic_s())
        outcome = Outcome(course, tuple(sorted(recorder.lost)), violations, tuple(replaying.lines))
        each_day(day, outcome)
    return outcome
