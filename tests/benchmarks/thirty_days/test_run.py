"""The real loop over a small cluster: a night and a morning, judged as the thirty days are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.thirty_days.__main__ import losses
from benchmarks.thirty_days.course import Course
from benchmarks.thirty_days.judge import energy_kwh, overload, sleeps, sleeps_in_a_day, to_and_fro
from benchmarks.thirty_days.load import weekly
from benchmarks.thirty_days.perfect import Keeps, perfect
from benchmarks.thirty_days.run import run, settings_for


def test_a_night_and_a_morning_are_kept() -> None:
    """Hosts sleep and are awake again for the morning; nobody starves, every loss has room, and energy is saved."""
    here = weekly(1, 6, 48, 1, history_days=14)
    here = replace(here, wanted=here.wanted[:, : here.history_slots + 14 * 12])
    chosen = settings_for("consolidate")
    beat_s = 600.0
    chosen = replace(
        chosen,
        scheduler=replace(chosen.scheduler, interval_s=beat_s),
        collect=replace(chosen.collect, interval_s=beat_s),
    )
    found = run(here, chosen)
    course, kept = found.course, chosen.consolidate
    assert (found.lost, found.violations) == ((), ())
    assert sleeps(course) >= 2
    assert sleeps_in_a_day(course) <= kept.cycles_per_day
    assert to_and_fro(course, chosen.gate.guest_cooldown_s) == 0
    assert overload(course, chosen.limits).starved_minutes == 0
    trial = losses(course, 1, 40)
    assert trial.losses > 100
    assert trial.failures == ()
    everything_on = energy_kwh(Course(here, (), (), course.duration_s), 0.0)
    least = perfect(here, Keeps(chosen.limits, kept.wake_headroom_ratio, kept.reserve_hosts, kept.host_losses)).kwh
    saved = (everything_on - energy_kwh(course, kept.move_joules_per_gib)) / (everything_on - least)
    assert 0.4 < saved < 1.0
    on = [int(np.count_nonzero(piece.states == 0)) for piece in course.pieces()]
    assert min(on) <= 4
