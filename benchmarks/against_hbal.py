"""`trimtab plan` beside Ganeti's `hbal` on the same generated clusters, figure by figure.

    python -m benchmarks.against_hbal --cache hbal-answers            100 hosts, 1000 guests, seed 1, 100 steps
    python -m benchmarks.against_hbal --seeds 1 2 3 --hbal-time-limit 300

`hbal` (Debian package ganeti-htools-3.0) takes about a quarter of an hour of CPU for one such cluster; `--cache` keeps
its answers. What it is given and why the comparison is fair is told in `hbal`. A seed is missed when trimtab is not
better in memory deviation, CPU deviation and GiB at once; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.data_folder import run_command
from benchmarks.generate import generate
from benchmarks.hbal import run_hbal
from benchmarks.imbalance import HEADER, Figures, figures, fleet_of, line
from benchmarks.trimtab_plan import balance_arguments, run_plan
from cluster.formats.cluster_file import write_cluster


def better(ours: Figures, theirs: Figures) -> bool:
    """Tell whether ours has the lower memory deviation, CPU deviation and GiB, all three."""
    return ours.memory_stdev < theirs.memory_stdev and ours.cpu_stdev < theirs.cpu_stdev and ours.gib < theirs.gib


def _command() -> int:
    parser = argparse.ArgumentParser(description="Compare trimtab plan with Ganeti's hbal.")
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--guests", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--steps", type=int, default=100, help="steps of hbal, and trimtab's cap on moves")
    parser.add_argument("--levels", type=int, nargs="+", default=[5], help="levels of trimtab; any one may be better")
    parser.add_argument("--time-limit", type=float, help="seconds given to trimtab (default: its own choice)")
    parser.add_argument("--hbal", type=Path, help="the program (default: on the path, or where Debian puts it)")
    parser.add_argument("--hbal-time-limit", type=float, help="seconds given to hbal; its steps so far count then")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where hbal's answers are kept")
    chosen = parser.parse_args()
    print(HEADER)
    misses = 0
    for seed in chosen.seeds:
        snapshot = generate(chosen.hosts, chosen.guests, seed)
        fleet = fleet_of(snapshot)
        print(line(f"seed {seed}, start", figures(fleet, fleet.home), ""), flush=True)
        rival = run_hbal(snapshot, chosen.steps, chosen.hbal, chosen.cache, chosen.hbal_time_limit)
        theirs = figures(fleet, fleet.placement(rival.hosts))
        how = f", stopped after {rival.steps} steps" if rival.stopped else f", {rival.steps} steps"
        print(line("hbal", theirs, f"{rival.cpu_s:.0f} s CPU, {rival.wall_s:.0f} s{how}"), flush=True)
        kept = False
        with tempfile.TemporaryDirectory(prefix="trimtab-hbal-") as folder:
            file = Path(folder) / "cluster.json"
            file.write_text(write_cluster(snapshot), encoding="utf-8")
            for level in chosen.levels:
                run = run_plan(file, balance_arguments(chosen.steps, level, chosen.time_limit))
                ours = figures(fleet, fleet.placement(run.hosts))
                kept |= better(ours, theirs)
                print(line(f"trimtab, level {level}", ours, run.time()), flush=True)
        misses += not kept
        print(f"{'':>24} {'better on all three' if kept else 'missed: not better on all three'}")
    return 1 if misses else 0


if __name__ == "__main__":
    run_command(_command)
