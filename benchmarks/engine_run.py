"""The engine run on an instance of its general array form, with what it took; the one place that calls it."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

from scheduler.solver.forms import Index
from scheduler.solver.instance import Instance
from scheduler.solver.solve import Budget, solve_instance

LATE_S = 0.3
"""The engine promises to stop this soon after its deadline."""


@dataclass(frozen=True, slots=True)
class EngineRun:
    """The best placement, the goal's proven bound, and seconds of wall clock and of CPU."""

    place: Index
    bound: int
    wall_s: float
    cpu_s: float


def add_engine_options(parser: argparse.ArgumentParser, time_limit_s: float) -> None:
    """Give a command the engine's budget as options."""
    parser.add_argument("--time-limit", type=float, default=time_limit_s, help="seconds each (default: %(default)g)")
    parser.add_argument("--workers", type=int, default=1, help="threads (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")


def run_engine(instance: Instance, chosen: argparse.Namespace) -> EngineRun:
    """Solve an instance with the budget of `add_engine_options`."""
    from scheduler.solver.evaluate import GOAL

    budget = Budget(time_limit_s=chosen.time_limit, workers=chosen.workers, seed=chosen.seed)
    began_s, cpu_before_s = time.perf_counter(), time.process_time()
    search = solve_instance(instance, budget)
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_before_s
    return EngineRun(search.place, int(search.bounds[GOAL]), wall_s, cpu_s)


def lateness(run: EngineRun, time_limit_s: float) -> str:
    """Return what to say of a run that stopped too late, empty for one that did not."""
    late_s = run.wall_s - time_limit_s
    return f", {late_s:.1f} s late" if late_s > LATE_S else ""
