"""`trimtab plan` beside plain steepest descent on the contract's `balance` objective, over generated clusters.

    python -m benchmarks.steepest                          ten clusters of 100 hosts and 1000 guests, 100 moves
    python -m benchmarks.steepest --seeds 1 2 --steps 50

Steepest descent takes, at each step, the one shift of one guest to one host that lowers I most, within the limits
plans keep to; it is written here in plain numpy and shares nothing with the engine. A seed is missed when trimtab's I
is not lower, it moves more GiB, its process takes 1.5 s or more, or it solves for 0.5 s or more; the exit status is
then 1. On a busy machine `--clock cpu` judges the process by its CPU time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.data_folder import run_command
from benchmarks.generate import generate
from benchmarks.imbalance import HEADER, Figures, Fleet, figures, fleet_of, line, used
from benchmarks.integers import IntArray
from benchmarks.trimtab_plan import PlanRun, balance_arguments, run_plan
from cluster.formats.cluster_file import write_cluster

MOST_PROCESS_S = 1.5
MOST_SOLVE_S = 0.5


def steepest(fleet: Fleet, steps: int) -> IntArray:
    """Return the placement after at most so many best single shifts; fewer when none lowers I any more.

    Shifting a demand d from host s to host t changes I, for each resource, by
    (x_s - d/c_s)^2 - x_s^2 + (x_t + d/c_t)^2 - x_t^2, where x = u - U and c is the host's room.
    """
    placement = fleet.home.copy()
    guests, hosts = np.arange(len(placement)), len(fleet.room)
    ideal = fleet.demand.sum(axis=0) / fleet.room.sum(axis=0)
    share = fleet.demand[:, None, :] / fleet.room[None, :, :]
    for _ in range(steps):
        over = used(placement, fleet.demand, hosts) / fleet.room - ideal
        loads = used(placement, fleet.load, hosts)
        out = share[guests, placement]
        leaving = (out * (out - 2 * over[placement])).sum(axis=1)
        change = leaving[:, None] + (share * (share + 2 * over[None, :, :])).sum(axis=2)
        fits: npt.NDArray[np.bool_] = np.logical_and.reduce(
            loads[None, :, :] + fleet.load[:, None, :] <= fleet.most[None, :, :], axis=2
        )
        fits[guests, placement] = False
        change[~fits] = np.inf
        guest, host = np.unravel_index(int(np.argmin(change)), change.shape)
        if change[guest, host] >= -1e-12:
            break
        placement[guest] = host
    return placement


def missed(ours: Figures, run: PlanRun, theirs: Figures, clock: str) -> list[str]:
    """Return what trimtab missed, each in a few words; nothing when it kept all four."""
    process_s = run.cpu_s if clock == "cpu" else run.process_s
    return [
        what
        for what, kept in (
            (f"I {ours.imbalance:.4f} is not under {theirs.imbalance:.4f}", ours.imbalance < theirs.imbalance),
            (f"{ours.gib:.0f} GiB is more than {theirs.gib:.0f}", ours.gib <= theirs.gib),
            (f"process {process_s:.2f} s", process_s < MOST_PROCESS_S),
            (f"solving {run.solve_s:.2f} s", run.solve_s < MOST_SOLVE_S),
        )
        if not kept
    ]


def _command() -> int:
    parser = argparse.ArgumentParser(description="Compare trimtab plan with steepest descent.")
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--guests", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(1, 11)))
    parser.add_argument("--steps", type=int, default=100, help="descent steps, and trimtab's cap on moves")
    parser.add_argument("--level", type=int, default=5)
    parser.add_argument("--time-limit", type=float, help="seconds given to trimtab (default: its own choice)")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="what the process is judged by")
    chosen = parser.parse_args()
    print(HEADER)
    misses = 0
    for seed in chosen.seeds:
        snapshot = generate(chosen.hosts, chosen.guests, seed)
        fleet = fleet_of(snapshot)
        began_s = time.process_time()
        theirs = figures(fleet, steepest(fleet, chosen.steps))
        descent_s = time.process_time() - began_s
        with tempfile.TemporaryDirectory(prefix="trimtab-steepest-") as folder:
            file = Path(folder) / "cluster.json"
            file.write_text(write_cluster(snapshot), encoding="utf-8")
            run = run_plan(file, balance_arguments(chosen.steps, chosen.level, chosen.time_limit))
        ours = figures(fleet, fleet.placement(run.hosts))
        print(line(f"seed {seed}, start", figures(fleet, fleet.home), ""))
        print(line("steepest descent", theirs, f"{descent_s:.2f} s CPU"))
        print(line("trimtab", ours, run.time()))
        found = missed(ours, run, theirs, chosen.clock)
        misses += bool(found)
        print(f"{'':>24} {'missed: ' + '; '.join(found) if found else 'kept'}", flush=True)
    print(f"{len(chosen.seeds) - misses} of {len(chosen.seeds)} seeds kept")
    return 1 if misses else 0


if __name__ == "__main__":
    run_command(_command)
