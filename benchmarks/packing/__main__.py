"""The engine on vector bin packing, class by class beside the best of the published heuristics.

    python -m benchmarks.packing --data DIR                                   25 instances of each class, 10 s each
    python -m benchmarks.packing --data DIR --classes new/class1 --size 5

Exit status 1 when a packing breaks a rule, a class takes more bins than `best_overall`, or fewer than three classes
(of all eight) take fewer.
"""

from __future__ import annotations

import argparse

from benchmarks.data_folder import add_data_option, family_folder, run_command
from benchmarks.engine_run import add_engine_options, lateness, run_engine
from benchmarks.packing.adapter import to_instance, to_placement
from benchmarks.packing.evaluate import bins, broken
from benchmarks.packing.instance import FAMILIES, SAMPLE, read_sample

LEAST_BETTER = 3


def _command() -> int:
    parser = argparse.ArgumentParser(description="Run the engine on vector bin packing.")
    add_data_option(parser)
    parser.add_argument("--classes", nargs="+", metavar="FAMILY/CLASS", help="such as new/class1 (default: all)")
    parser.add_argument("--size", type=int, default=SAMPLE, help="instances of each class (default: %(default)s)")
    parser.add_argument("--each", action="store_true", help="print every instance too")
    add_engine_options(parser, time_limit_s=10.0)
    chosen = parser.parse_args()
    folder = family_folder(chosen.data, "vbp")
    print(f"{'class':>24} {'bins':>6} {'best_overall':>12} {'table bound':>11} {'bound':>6} {'s':>6} {'CPU s':>6}")
    missed = better = classes = 0
    for family in FAMILIES:
        for one, instances in read_sample(folder, family, chosen.size).items():
            if chosen.classes and f"{family}/{one}" not in chosen.classes:
                continue
            classes += 1
            totals, whole = [0.0] * 6, True
            for packing, known in instances:
                run = run_engine(to_instance(packing), chosen)
                placement = to_placement(run.place)
                row = [
                    bins(packing, placement),
                    known.best_overall,
                    known.optimum or known.lower_bound,
                    run.bound,
                    run.wall_s,
                    run.cpu_s,
                ]
                totals = [total + value for total, value in zip(totals, row, strict=True)]
                breach = broken(packing, placement)
                missed += breach is not None
                whole &= breach is None
                if chosen.each or breach:
                    print(_line(packing.name, row, (breach or "") + lateness(run, chosen.time_limit)), flush=True)
            missed += totals[0] > totals[1]
            better += whole and totals[0] < totals[1]
            told = f"{totals[0] - totals[1]:+.0f} bins" if whole else "some packings break a rule"
            print(_line(f"{family}/{one}", totals, told), flush=True)
    if not chosen.classes and better < LEAST_BETTER:
        missed += 1
    print(f"{better} of {classes} classes take fewer bins than the best published heuristics")
    return 1 if missed else 0


def _line(name: str, row: list[float], told: str) -> str:
    found, best, table, bound, wall_s, cpu_s = row
    return f"{name:>24} {found:>6.0f} {best:>12.0f} {table:>11.0f} {bound:>6.0f} {wall_s:>6.1f} {cpu_s:>6.1f}  {told}"


if __name__ == "__main__":
    run_command(_command)
