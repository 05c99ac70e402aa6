"""Bins that a packing takes and the rule it breaks, sharing nothing with the engine.

python -m benchmarks.packing.evaluate --data DIR            the sample and what is known of it, class by class
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.data_folder import add_data_option, family_folder, run_command
from benchmarks.integers import IntArray
from benchmarks.packing.instance import FAMILIES, SAMPLE, Packing, read_sample


def bins(packing: Packing, placement: IntArray) -> int:
    """Return how many different bins the items [items] are in."""
    return len(np.unique(placement))


def broken(packing: Packing, placement: IntArray) -> str | None:
    """Return in one line the first rule that a packing breaks, or `None` when every bin holds what is in it."""
    items = len(packing.sizes)
    if placement.shape != (items,):
        return f"length: found {placement.size} bins; allowed: one for each of {items} items"
    if bool((placement < 0).any()):
        item = int(np.flatnonzero(placement < 0)[0])
        return f"bin of item {item}: found {placement[item]}; allowed: 0 and more"
    used_bins, index = np.unique(placement, return_inverse=True)
    used = np.zeros((len(used_bins), len(packing.capacity)), dtype=np.int64)
    np.add.at(used, index, packing.sizes)
    for at, dimension in np.argwhere(used > packing.capacity).tolist():
        found, most = used[at, dimension], packing.capacity[dimension]
        return f"capacity of bin {used_bins[at]}, dimension {dimension}: found {found}; allowed: {most}"
    return None


def first_fit(packing: Packing) -> IntArray:
    """Return the bin of each item by first fit in falling order of the sum of relative sizes, a plain yardstick."""
    order = np.argsort(-(packing.sizes / packing.capacity).sum(axis=1), kind="stable")
    free = np.tile(packing.capacity, (len(order), 1))
    placement = np.zeros(len(order), dtype=np.int64)
    for item in order.tolist():
        placement[item] = int(np.argmax((free >= packing.sizes[item]).all(axis=1)))
        free[placement[item]] -= packing.sizes[item]
    return placement


def _command() -> int:
    parser = argparse.ArgumentParser(description="The sample of every class and what is known of it.")
    add_data_option(parser)
    parser.add_argument("--size", type=int, default=SAMPLE, help="instances of each class (default: %(default)s)")
    parser.add_argument("--names", action="store_true", help="list the instances too")
    chosen = parser.parse_args()
    folder = family_folder(chosen.data, "vbp")
    print(f"{'family':>9} {'class':>7} {'instances':>9} {'bound':>6} {'best_overall':>12} {'first fit':>9}")
    status = 0
    for family in FAMILIES:
        for one, chosen_ones in read_sample(folder, family, chosen.size).items():
            bound = sum(known.lower_bound for _, known in chosen_ones)
            best = sum(known.best_overall for _, known in chosen_ones)
            plain = 0
            for packing, _ in chosen_ones:
                placement = first_fit(packing)
                plain += bins(packing, placement)
                status |= int(broken(packing, placement) is not None)
            print(f"{family:>9} {one:>7} {len(chosen_ones):>9} {bound:>6} {best:>12} {plain:>9}")
            if chosen.names:
                print(" ".join(packing.name for packing, _ in chosen_ones))
    return status


if __name__ == "__main__":
    run_command(_command)
