"""The real loop under random faults in the simulator, and a witness who watches the world.

    python -m benchmarks.chaos                  10,000 runs on every core
    python -m benchmarks.chaos --runs 200       fewer
    python -m benchmarks.chaos --seed 4711      one run, told in full

Each run has a small cluster with little room, two or three schedulers with clocks of their own (off by hours, a little
fast or slow, now and then standing still with their process), and plans by chance that are ordered and checked as
real ones are. Schedulers are killed at any call, the store restarts, is cut off or loses an answer, hosts fall silent
or lose their power, migrations fail, QEMUs die or hang, people pause, drain, abort and move guests by hand. It is
wrong when a guest runs twice or is lost by no fault; when a host's memory, the limits on migrations at once, a
bandwidth budget or a rate limit are passed; when a step begins under a token that is not the newest, or is begun by
two; when the journal says of a step what the world does not show, or a scheduler speaks of a move by hand that was
its own; when a plan does not come to its end once all is well again. Exit status 1 then, with the seeds.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from benchmarks.chaos.run import Outcome, Run

MOST_SHOWN = 20


def run_seed(seed: int) -> Outcome:
    """Run one seed."""
    run = Run(seed)
    try:
        return run.outcome()
    except Exception as error:  # noqa: BLE001  # a defect is what is looked for, and the other seeds still count
        return Outcome(seed, (f"internal error: {error!r}",), 0, 0, 0, 0, 0, 0)


def outcomes(seeds: range, processes: int) -> Iterator[Outcome]:
    """Run the seeds, in order."""
    if processes == 1:
        yield from map(run_seed, seeds)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(run_seed, seeds, chunksize=16)


def tell(seed: int) -> int:
    """Run one seed and print all that was said and done."""
    outcome = Run(seed, verbose=True).outcome()
    print("\n".join(outcome.log))
    print("\n".join(f"WRONG {text}" for text in outcome.wrong) or "nothing wrong")
    return 1 if outcome.wrong else 0


def main() -> int:
    """Run and print; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000, help="how many runs (10,000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--seed", type=int, help="one run only, told in full")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many processes")
    chosen = parser.parse_args()
    if chosen.seed is not None:
        return tell(chosen.seed)
    began = time.perf_counter()
    total: Counter[str] = Counter()
    wrong: list[Outcome] = []
    with_budget, busiest = 0, 0.0
    for outcome in outcomes(range(chosen.first, chosen.first + chosen.runs), chosen.processes):
        total["runs"] += 1
        for name in ("done", "ended_otherwise", "held_up", "deaths", "leaders", "strikes"):
            total[name] += getattr(outcome, name)
        with_budget += outcome.busiest_ratio > 0
        busiest = max(busiest, outcome.busiest_ratio)
        if outcome.wrong:
            wrong.append(outcome)
            if len(wrong) <= MOST_SHOWN:
                print(f"seed {outcome.seed}: {outcome.wrong[0]}", flush=True)
    print(
        f"{total['runs']} runs, seeds {chosen.first} to {chosen.first + chosen.runs - 1},"
        f" {time.perf_counter() - began:.0f} s: {total['done']} steps done, {total['ended_otherwise']} ended otherwise,"
        f" {total['deaths']} schedulers killed, {total['leaders']} times one came to lead, {total['strikes']} strikes"
        f" at a call, {total['held_up']} starts held up in the last window; {with_budget} runs used a bandwidth budget,"
        f" up to {busiest:.1%} of it"
    )
    print(f"{len(wrong)} runs with something wrong" + (f": seeds {[one.seed for one in wrong][:50]}" if wrong else ""))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
