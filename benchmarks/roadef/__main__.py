"""The engine on the ROADEF/EURO challenge 2012, beside the challenge's winner and the best known.

    python -m benchmarks.roadef --data DIR                          every instance there, 300 s each
    python -m benchmarks.roadef --data DIR a1_4 b_1 --time-limit 30 --out solutions --table figures.csv

Every solution is judged by `evaluate`, which shares nothing with the engine. Exit status 1 when one breaks a rule, the
instances of set A sum to no less than the winner's ten, or one of another set costs more than the winner's run.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from benchmarks.data_folder import add_data_option, family_folder, run_command
from benchmarks.engine_run import add_engine_options, lateness, run_engine
from benchmarks.roadef.adapter import to_instance, to_placement
from benchmarks.roadef.evaluate import broken, cost
from benchmarks.roadef.instance import find_instance, instance_names
from benchmarks.roadef.reference import REFERENCES, WINNER_SUM, score

COLUMNS = ("instance", "time limit s", "workers", "seed", "cost", "verdict", "wall s", "cpu s")


def _command() -> int:
    parser = argparse.ArgumentParser(description="Run the engine on the ROADEF/EURO challenge 2012.")
    add_data_option(parser)
    parser.add_argument("names", nargs="*", help="instances, such as a1_1 (default: all)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the solutions there")
    parser.add_argument("--table", type=Path, metavar="FILE", help="add a line for each instance to this CSV file")
    add_engine_options(parser, time_limit_s=300.0)
    chosen = parser.parse_args()
    folder = family_folder(chosen.data, "roadef2012")
    print(f"{'':>6} {'cost':>14} {'score':>8} {'winner':>8} {'bound':>14} {'s':>6} {'CPU s':>6}")
    missed, scores = 0, []
    for name in chosen.names or instance_names(folder):
        problem = find_instance(folder, name)
        run = run_engine(to_instance(problem), chosen)
        placement = to_placement(run.place)
        found, breach, reference = cost(problem, placement).total, broken(problem, placement), REFERENCES.get(name)
        told = breach or "feasible"
        judged = f"{'':>8} {'':>8}"
        if reference is not None:
            ours, winner = score(found, reference), score(reference.winner, reference)
            judged = f"{ours:>8.4f} {winner:>8.4f}"
            if name.startswith("a"):
                scores.append(ours)
            elif found > reference.winner:
                missed, told = missed + 1, f"{told}, over the winner's {reference.winner}"
        missed += breach is not None
        told += lateness(run, chosen.time_limit)
        print(
            f"{name:>6} {found:>14} {judged} {run.bound:>14} {run.wall_s:>6.1f} {run.cpu_s:>6.1f}  {told}", flush=True
        )
        if chosen.out is not None:
            chosen.out.mkdir(parents=True, exist_ok=True)
            text = " ".join(str(machine) for machine in placement.tolist())
            (chosen.out / f"solution_{name}.txt").write_text(text + "\n", encoding="ascii")
        if chosen.table is not None:
            figures = (found, breach or "feasible", f"{run.wall_s:.1f}", f"{run.cpu_s:.1f}")
            _add_line(chosen.table, (name, chosen.time_limit, chosen.workers, chosen.seed, *figures))
    if scores:
        print(f"set A: {len(scores)} instances sum to {sum(scores):.3f}; the winner's ten to {WINNER_SUM}")
        missed += sum(scores) >= WINNER_SUM
    return 1 if missed else 0


def _add_line(table: Path, figures: tuple[object, ...]) -> None:
    """Add a line of figures to a CSV file, below a line of names where there is none yet."""
    new = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(COLUMNS)
        writer.writerow(figures)


if __name__ == "__main__":
    run_command(_command)
