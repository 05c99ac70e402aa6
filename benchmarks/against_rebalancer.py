"""`trimtab plan` beside Meta's `rebalancer` (local search) on the same generated clusters, figure by figure.

    python -m benchmarks.against_rebalancer --venv rebalancer-env
    python -m benchmarks.against_rebalancer --venv rebalancer-env --seeds 1 2 3 --formula variance --swaps

`--venv` is a folder where the package gets a Python 3.12 environment of its own, made on the first run. trimtab may
move as many guests as rebalancer did. A seed is missed when trimtab's deviations or GiB are higher, or its solving is
not 20 times shorter; the exit status is then 1. `--clock cpu` compares CPU time, of all of trimtab's process.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.data_folder import run_command
from benchmarks.generate import generate
from benchmarks.imbalance import HEADER, Figures, figures, fleet_of, line
from benchmarks.rebalancer import FORMULAS, Search, environment, run_rebalancer
from benchmarks.trimtab_plan import balance_arguments, run_plan
from cluster.formats.cluster_file import write_cluster

TIMES_FASTER = 20.0


def no_worse(ours: Figures, theirs: Figures) -> bool:
    """Tell whether neither deviation nor GiB of ours is higher."""
    return ours.memory_stdev <= theirs.memory_stdev and ours.cpu_stdev <= theirs.cpu_stdev and ours.gib <= theirs.gib


def _command() -> int:
    parser = argparse.ArgumentParser(description="Compare trimtab plan with Meta's rebalancer.")
    parser.add_argument("--venv", type=Path, required=True, metavar="DIR", help="environment of the package")
    parser.add_argument("--python", type=Path, help="Python 3.12 or later to make it with (default: looked for)")
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--guests", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--formula", choices=sorted(FORMULAS), default="squares")
    parser.add_argument("--swaps", action="store_true", help="let rebalancer swap guests too")
    parser.add_argument("--stop-after-moves", type=int, help="let rebalancer make so many moves only")
    parser.add_argument("--levels", type=int, nargs="+", default=[5], help="levels of trimtab; any one may be better")
    parser.add_argument("--time-limit", type=float, help="seconds given to trimtab (default: its own choice)")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    chosen = parser.parse_args()
    inside = environment(chosen.venv, chosen.python)
    search = Search(chosen.formula, chosen.swaps, chosen.stop_after_moves)
    print(HEADER)
    misses = 0
    for seed in chosen.seeds:
        snapshot = generate(chosen.hosts, chosen.guests, seed)
        fleet = fleet_of(snapshot)
        print(line(f"seed {seed}, start", figures(fleet, fleet.home), ""), flush=True)
        rival = run_rebalancer(snapshot, inside, search)
        theirs = figures(fleet, fleet.placement(rival.hosts))
        print(line("rebalancer", theirs, f"{rival.wall_s:.2f} s solving ({rival.cpu_s:.2f} s CPU)"), flush=True)
        kept = False
        with tempfile.TemporaryDirectory(prefix="trimtab-rebalancer-") as folder:
            file = Path(folder) / "cluster.json"
            file.write_text(write_cluster(snapshot), encoding="utf-8")
            for level in chosen.levels:
                run = run_plan(file, balance_arguments(theirs.moves, level, chosen.time_limit))
                ours = figures(fleet, fleet.placement(run.hosts))
                faster = rival.cpu_s / run.cpu_s if chosen.clock == "cpu" else rival.wall_s / max(run.solve_s, 1e-3)
                kept |= no_worse(ours, theirs) and faster >= TIMES_FASTER
                print(line(f"trimtab, level {level}", ours, f"{run.time()}, {faster:.0f} times faster"), flush=True)
        misses += not kept
        print(f"{'':>24} {'no worse, and 20 times faster' if kept else 'missed'}")
    return 1 if misses else 0


if __name__ == "__main__":
    run_command(_command)
