"""One search of the whole against cells on an engine: `python -m benchmarks.cells 2000x20000 --workers 2 --seconds 5`.

Prints for each way what is left of the imbalance (RMS), moves, GiB, and seconds taken, imports left out. With
`--dask` a Dask cluster of as many worker processes is started on this machine as well, on the loopback alone; it is
used once as it is and once with one of its workers killed after a third of the time.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.generate import generate
from cluster.clock import SystemClock
from policies.registry import make_problem
from scheduler.solver.cells.choose import LOCAL
from scheduler.solver.cells.engine import DASK
from scheduler.solver.cells.run import solve_in_cells
from scheduler.solver.instance import Instance
from scheduler.solver.local import search_locally
from scheduler.solver.lower import lower_problem
from scheduler.solver.meter import Budget, Meter
from scheduler.solver.rehearse import rehearse_few_moves
from scheduler.solver.solve import search_of


@contextmanager
def dask_cluster(workers: int) -> Iterator[tuple[str, list[int]]]:
    """Run a Dask scheduler and workers on the loopback for as long as the block lasts; yield its address and pids."""
    # Without types of its own that strict checking takes.
    distributed: Any = importlib.import_module("distributed")
    with distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=50,
    ) as cluster:
        pids = [int(nanny.pid) for nanny in cluster.workers.values()]
        yield str(cluster.scheduler_address).replace("tcp://", DASK), pids


def line(instance: Instance, name: str, budget: Budget, whole: bool) -> str:
    """Search within a budget, whole or in cells, and say what came of it."""
    search = search_of(instance)
    began_s = time.perf_counter()
    meter = Meter(budget, SystemClock(), None)
    if whole:
        search_locally(search, meter, 1.0)
    else:
        solve_in_cells(search, meter)
    took_s = time.perf_counter() - began_s
    rms = instance.goal.rms(search.imbalance(search.place))
    over = f"broken {search.value.broken}, overload {search.value.overload}"
    return f"{name:>28} {rms:10.6f} {search.value.moves:7d} {search.value.mib / 1024:9.0f} {took_s:7.2f}  {over}"


def main() -> None:
    """Compare the ways at every size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", default=["2000x20000"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--max-moves", type=int)
    parser.add_argument("--rules", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dask", action="store_true")
    options = parser.parse_args()
    rehearse_few_moves()
    for size in options.sizes:
        hosts, guests = (int(part) for part in size.split("x"))
        snapshot = generate(hosts, guests, options.seed, rules=options.rules)
        instance = lower_problem(make_problem("balance", snapshot, level=5, max_moves=options.max_moves)).instance
        print(f"{size}, {options.seconds:g} s\n{'':>28} {'RMS':>10} {'moves':>7} {'GiB':>9} {'seconds':>7}")
        print(line(instance, "whole, one thread", Budget(options.seconds, seed=options.seed), True), flush=True)
        for workers in sorted({1, options.workers}):
            budget = Budget(options.seconds, workers=workers, seed=options.seed)
            print(line(instance, f"cells, {LOCAL}, {workers} workers", budget, False), flush=True)
        if options.dask:
            with dask_cluster(options.workers) as (address, pids):
                budget = Budget(options.seconds, workers=options.workers, seed=options.seed, engine=address)
                print(line(instance, f"cells, Dask, {options.workers} workers", budget, False), flush=True)
                killer = threading.Timer(options.seconds / 3, os.kill, (pids[0], signal.SIGKILL))
                killer.start()
                print(line(instance, "the same, one killed", budget, False), flush=True)
                killer.join()


if __name__ == "__main__":
    main()
