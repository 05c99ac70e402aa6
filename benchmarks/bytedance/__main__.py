"""The engine on the ByteDance cluster: most free slots with few migrations.

    python -m benchmarks.bytedance --data DIR                                 25, 50 and 100 migrations, 5 s each
    python -m benchmarks.bytedance --data DIR --migrations 0 25 --time-limit 60

Exit status 1 when a placement breaks a rule, makes more migrations than allowed, or has fewer slots than wanted.
"""

from __future__ import annotations

import argparse

from benchmarks.bytedance.adapter import to_instance
from benchmarks.bytedance.evaluate import MOST_SLOTS, broken, free_slots, migrations
from benchmarks.bytedance.instance import FILE, read_instance
from benchmarks.data_folder import add_data_option, family_folder, run_command
from benchmarks.engine_run import add_engine_options, lateness, run_engine

WANTED_SLOTS = {5.0: {25: 245, 50: 256, 100: 280}, 60.0: {25: 248, 50: 260, 100: 285}}
"""Slots wanted by seconds given and migrations allowed; more seconds want no less."""


def wanted(time_limit_s: float, most: int) -> int:
    """Return the slots wanted with so much time and so many migrations; 0 where nothing is."""
    return max((slots.get(most, 0) for seconds, slots in WANTED_SLOTS.items() if time_limit_s >= seconds), default=0)


def _command() -> int:
    parser = argparse.ArgumentParser(description="Run the engine on the ByteDance cluster.")
    add_data_option(parser)
    parser.add_argument("--file", default=FILE, help="file inside the folder (default: %(default)s)")
    parser.add_argument("--migrations", type=int, nargs="+", default=[25, 50, 100], help="caps (default: 25 50 100)")
    add_engine_options(parser, time_limit_s=5.0)
    chosen = parser.parse_args()
    cluster = read_instance(family_folder(chosen.data, "vmr2l") / chosen.file)
    print(f"{free_slots(cluster, cluster.initial)} free slots at the start")
    print(f"{'cap':>5} {'migrations':>10} {'slots':>6} {'wanted':>6} {'most':>6} {'bound':>6} {'s':>6} {'CPU s':>6}")
    missed = 0
    for most in chosen.migrations:
        case = to_instance(cluster, most)
        run = run_engine(case.instance, chosen)
        placement = case.to_placement(run.place)
        made, slots = migrations(cluster, placement), free_slots(cluster, placement)
        least = wanted(chosen.time_limit, most) if chosen.file == FILE else 0
        breach = broken(cluster, placement) or (f"{made} migrations; allowed: {most}" if made > most else None)
        missed += breach is not None or slots < least
        known = MOST_SLOTS.get(most, "") if chosen.file == FILE else ""
        told = (breach or "feasible") + lateness(run, chosen.time_limit)
        figures = f"{most:>5} {made:>10} {slots:>6} {least or '':>6} {known:>6} {-run.bound:>6}"
        print(f"{figures} {run.wall_s:>6.1f} {run.cpu_s:>6.1f}  {told}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    run_command(_command)
