"""How fast the compiled search proposes, and what compiling it takes: `python -m benchmarks.proposals`.

One line per problem and temperature: proposals a second, nanoseconds each, and the share taken, all by CPU time of one
thread. With `--compile` the kernels are compiled anew into a folder of its own, each with its seconds.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scheduler.solver.instance import Instance

STEPS = 20_000
"""Proposals of one call, as in the search."""
SWAPS = 300
"""Swaps of 1024 proposals, as in the search."""


def balance(hosts: int = 100, guests: int = 1000) -> Instance:
    """Return a skewed cluster to be balanced, without rules."""
    from benchmarks.generate import generate
    from policies.registry import make_problem
    from scheduler.solver.lower import lower_problem

    return lower_problem(make_problem("balance", generate(hosts, guests), level=5)).instance


def grouped(hosts: int = 100, guests: int = 1000, seed: int = 1) -> Instance:
    """Return a random machine reassignment problem: four guests a group, conflicts, spread, dependencies, crowds."""
    from benchmarks.roadef.adapter import to_instance
    from benchmarks.roadef.instance import Balance, Reassignment

    dice = np.random.default_rng(seed)
    services, resources = guests // 4, 6
    service = np.sort(dice.integers(0, services, guests))
    # Members of a service are numbered one after the other: never two on one host, and over all locations.
    initial = (np.arange(guests) * 7) % hosts
    requirement = dice.integers(1, 100, (guests, resources))
    use = np.zeros((hosts, resources), dtype=np.int64)
    np.add.at(use, initial, requirement)
    capacity = use.max(axis=0) + dice.integers(100, 300, (hosts, resources))
    return to_instance(
        Reassignment(
            name="grouped",
            transient=np.arange(resources) < 2,
            load_weight=np.full(resources, 10, dtype=np.int64),
            neighborhood=np.arange(hosts) % 4,
            location=np.arange(hosts) % 10,
            capacity=capacity,
            safety=capacity * 3 // 5,
            machine_move_cost=np.abs(np.subtract.outer(np.arange(hosts), np.arange(hosts))) % 10,
            spread_min=np.minimum(2, np.bincount(service, minlength=services)),
            dependencies=tuple(() for _ in range(services)),
            service=service,
            requirement=requirement,
            process_move_cost=dice.integers(1, 50, guests),
            balances=(Balance(0, 2, 2, 10), Balance(1, 3, 1, 10)),
            process_move_weight=1,
            service_move_weight=10,
            machine_move_weight=1,
            initial=initial,
        )
    )


def speeds(instance: Instance, seconds: float) -> Iterator[str]:
    """Yield a line for each temperature, from that of the search's start to none."""
    from scheduler.solver.kernels.anneal import anneal
    from scheduler.solver.local import Local

    search = Local(instance, instance.home, seed=1)
    usual = search.usual_temperature()
    anneal(search.tables, search.state, STEPS, usual, SWAPS)
    for heat in (1.0, 0.01, 0.0001):
        made, taken, began_s = 0, 0, time.thread_time()
        while (spent_s := time.thread_time() - began_s) < seconds:
            taken += anneal(search.tables, search.state, STEPS, heat * usual, SWAPS)
            made += STEPS
        yield (
            f"heat {heat:<6g} {made / spent_s / 1e6:6.2f} M proposals/s {1e9 * spent_s / made:8.1f} ns each, "
            f"{taken / made:7.2%} taken"
        )


def main() -> None:
    """Print what compiling or loading takes, then the speeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each line (default: %(default)s)")
    parser.add_argument("--compile", action="store_true", help="compile anew, for the seconds that takes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        if options.compile:
            os.environ["NUMBA_CACHE_DIR"] = fresh
        from scheduler.solver.kernels.warm import warm

        began_s = time.process_time()
        for name, spent_s in warm():
            print(f"{name:>14} {spent_s:6.2f} CPU s")
        print(f"{'all':>14} {time.process_time() - began_s:6.2f} CPU s {'compiling' if options.compile else 'loading'}")
        for name, instance in (("balance", balance()), ("grouped", grouped())):
            for line in speeds(instance, options.seconds):
                print(f"{name:>14} {line}", flush=True)


if __name__ == "__main__":
    main()
