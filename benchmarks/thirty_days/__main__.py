"""Thirty days of weekly load on forty hosts under the real loop, judged by code that it does not share.

    python -m benchmarks.thirty_days                             seeds 1, 2 and 3
    python -m benchmarks.thirty_days --seeds 7 --days 7          another one, a week of it
    python -m benchmarks.thirty_days --hosts 6 --guests 54 --days 3
    python -m benchmarks.thirty_days --waves                     flapping loads instead: square waves

Each seed is a cluster with a load of its own (`load.py`). The loop runs over it twice at its defaults: under `balance`
with everything on, and under `consolidate`. A seed is missed when

- minutes in which a host's guests wanted more than all its CPU are over those with everything on by more than 1 %,
- less than 80 % of the energy is saved that the planner with perfect foresight saves (`perfect.py`: a bound, so the
  stricter reading; it keeps the smaller of the two head-rooms),
- a host's loss at one of 500 random moments leaves a guest without room on the hosts awake (`spare.py`),
- a host sleeps more often in any 24 hours than configured, or a guest is sent back to where it came from before it
  has rested for as long as configured,
- a guest is lost, or the simulator's own witness found something.

A square wave (`waves.py`) is missed by the last two alone. The exit status is 1 when anything is missed. Thirty days
take about a quarter of an hour of one core with everything on and 50 minutes under `consolidate`, a wave half a minute;
`--workers` runs so many at once.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from benchmarks.data_folder import run_command
from benchmarks.thirty_days.course import ON, Course
from benchmarks.thirty_days.judge import (
    energy_kwh,
    most_moves_in,
    overload,
    shortest_s,
    sleeps,
    sleeps_in_a_day,
    to_and_fro,
)
from benchmarks.thirty_days.load import Weeks, weekly
from benchmarks.thirty_days.perfect import Keeps, Perfect, perfect
from benchmarks.thirty_days.run import Outcome, run, settings_for
from benchmarks.thirty_days.spare import Trial, try_losses
from benchmarks.thirty_days.waves import WAVES, Wave, square
from cluster.config.settings import Settings

MOST_MORE_STARVED = 0.01
LEAST_OF_PERFECT = 0.8


@dataclass(frozen=True, slots=True)
class Task:
    """One run: a seed's cluster, or a wave's, under a policy."""

    seed: int
    policy: str
    hosts: int
    guests: int
    days: int
    wave: Wave | None = None
    verbose: bool = False

    def weeks(self) -> Weeks:
        """Return the cluster and its load."""
        if self.wave is not None:
            return square(self.wave, self.seed, self.hosts, self.guests, self.days)
        return weekly(self.seed, self.hosts, self.guests, self.days)


def outcome(task: Task) -> Outcome:
    """Run a task."""
    began_s = time.monotonic()

    def each_day(day: int, _: Outcome) -> None:
        if task.verbose:
            print(f"seed {task.seed} {task.policy}: day {day}, {time.monotonic() - began_s:.0f} s", file=sys.stderr)

    return run(task.weeks(), settings_for(task.policy), each_day)


def bound(task: Task) -> Perfect:
    """Return what a planner with perfect foresight does with the task's cluster."""
    settings = Settings()
    chosen = settings.consolidate
    headroom = min(chosen.headroom_ratio, chosen.wake_headroom_ratio)
    return perfect(task.weeks(), Keeps(settings.limits, headroom, chosen.reserve_hosts, chosen.host_losses))


def losses(course: Course, seed: int, moments: int) -> Trial:
    """Lose every host at random moments."""
    dice = np.random.default_rng(seed)
    return try_losses(course, dice.uniform(0, course.duration_s, moments).tolist(), Settings().limits)


def calm_problems(found: Outcome) -> list[str]:
    """Print how often hosts slept and guests moved; return what there was too much of."""
    settings = Settings()
    course, rest_s = found.course, settings.gate.guest_cooldown_s
    days = course.duration_s / 86400
    cycles, back = sleeps_in_a_day(course), to_and_fro(course, rest_s)
    on_s, off_s = shortest_s(course)
    each = len(course.weeks.hosts) * days
    print(
        f"  sleeps: {sleeps(course)}, {sleeps(course) / each:.2f} per host and day, at most {cycles} in 24 h "
        f"(allowed {settings.consolidate.cycles_per_day}); shortest on {on_s / 60:.0f} min, off {off_s / 60:.0f} min"
    )
    print(
        f"  moves: {len(course.moves)}, {len(course.moves) / len(course.weeks.guests) / days:.2f} per guest and day, "
        f"of one at most {most_moves_in(course, 86400.0)} in 24 h; back within {rest_s / 60:.0f} min: {back}"
    )
    problems = []
    if cycles > settings.consolidate.cycles_per_day:
        problems.append("power cycles")
    if back:
        problems.append("ping-pong")
    if found.lost:
        problems.append(f"{len(found.lost)} guests lost")
    if found.violations:
        problems.append(f"{len(found.violations)} violations, the first: {found.violations[0]}")
    return problems


def judge(base: Outcome, ours: Outcome, least: Perfect, seed: int, moments: int) -> list[str]:
    """Print what one seed came to; return what was missed."""
    settings = Settings()
    problems = []
    with_all, with_ours = (overload(one.course, settings.limits) for one in (base, ours))
    print(
        f"  starved minutes: {with_ours.starved_minutes:.1f} (everything on {with_all.starved_minutes:.1f}), of guests "
        f"{with_ours.guest_minutes:.0f} ({with_all.guest_minutes:.0f}), unserved {with_ours.unserved_ratio:.5%} "
        f"({with_all.unserved_ratio:.5%}); minutes over the limit: {with_ours.over_limit_minutes:.0f} "
        f"({with_all.over_limit_minutes:.0f})"
    )
    if with_ours.starved_minutes > with_all.starved_minutes * (1 + MOST_MORE_STARVED):
        problems.append("starved")
    joules = settings.consolidate.move_joules_per_gib
    kwh_all, kwh = (energy_kwh(one.course, joules) for one in (base, ours))
    share = (kwh_all - kwh) / (kwh_all - least.kwh)
    on = [int((piece.states == ON).sum()) for piece in ours.course.pieces()]
    best = least.hosts_on.sum(axis=0)
    print(
        f"  energy: {kwh:.0f} kWh, everything on {kwh_all:.0f}, perfect foresight {least.kwh:.0f}: saved "
        f"{1 - kwh / kwh_all:.1%} of at most {1 - least.kwh / kwh_all:.1%}, which is {share:.1%}"
    )
    print(
        f"  hosts on: {min(on)} to {max(on)}; perfect foresight {best.min()} to {best.max()}, mean {best.mean():.1f}, "
        f"{least.wakes} wakes"
    )
    if share < LEAST_OF_PERFECT:
        problems.append("energy")
    trial = losses(ours.course, seed, moments)
    print(f"  losses tried: {trial.losses}, {trial.exact} by CP-SAT; without room: {len(trial.failures)}")
    for failure in trial.failures[:5]:
        print(f"    at {failure.at_s / 86400:.3f} d {failure.host} with {failure.guests} guests")
    if trial.failures:
        problems.append("N+1")
    return problems + calm_problems(ours)


def weekly_loads(chosen: argparse.Namespace, pool: ProcessPoolExecutor) -> bool:
    """Run all seeds; tell whether none is missed."""
    tasks = {
        (seed, policy): Task(seed, policy, chosen.hosts, chosen.guests, chosen.days, verbose=True)
        for seed in chosen.seeds
        for policy in ("balance", "consolidate")
    }
    runs = {key: pool.submit(outcome, task) for key, task in tasks.items()}
    least = {seed: pool.submit(bound, tasks[seed, "balance"]) for seed in chosen.seeds}
    missed = []
    for seed in chosen.seeds:
        base, ours = (runs[seed, policy].result() for policy in ("balance", "consolidate"))
        print(f"seed {seed}: {chosen.hosts} hosts, {chosen.guests} guests, {chosen.days} days")
        problems = judge(base, ours, least[seed].result(), seed, chosen.moments)
        print(f"  {'missed: ' + ', '.join(problems) if problems else 'kept'}", flush=True)
        if problems:
            missed.append(seed)
    print(
        f"{len(chosen.seeds) - len(missed)} of {len(chosen.seeds)} seeds kept" + (f"; missed {missed}" * bool(missed))
    )
    return not missed


def square_waves(chosen: argparse.Namespace, pool: ProcessPoolExecutor) -> bool:
    """Run all waves; tell whether none is missed."""
    tasks = [Task(seed, "consolidate", 12, 96, 1, wave) for seed in chosen.seeds for wave in WAVES]
    missed = 0
    for task, found in zip(tasks, pool.map(outcome, tasks), strict=True):
        print(f"seed {task.seed}, {task.wave.name if task.wave is not None else ''}")
        starved = overload(found.course, Settings().limits)
        print(f"  starved minutes: {starved.starved_minutes:.1f}, over the limit {starved.over_limit_minutes:.0f}")
        problems = calm_problems(found)
        print(f"  {'missed: ' + ', '.join(problems) if problems else 'kept'}", flush=True)
        missed += bool(problems)
    print(f"{len(tasks) - missed} of {len(tasks)} square waves kept")
    return not missed


def main() -> int:
    """Run what is asked for; 1 when anything is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--hosts", type=int, default=40)
    parser.add_argument("--guests", type=int, default=360)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--moments", type=int, default=500, help="at which every host is lost")
    parser.add_argument("--waves", action="store_true", help="square waves on 12 hosts instead")
    parser.add_argument("--workers", type=int, default=1, help="runs at once")
    chosen = parser.parse_args()
    with ProcessPoolExecutor(max_workers=chosen.workers) as pool:
        kept = square_waves(chosen, pool) if chosen.waves else weekly_loads(chosen, pool)
    return 0 if kept else 1


if __name__ == "__main__":
    run_command(main)
