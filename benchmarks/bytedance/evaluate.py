"""Free slots, migrations and broken rules of a placement on NUMA nodes, sharing nothing with the engine.

    python -m benchmarks.bytedance.evaluate --data DIR            the cluster as it is

Exit status 1 when a rule is broken, which a cluster may do before anything is moved.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.bytedance.instance import FILE, NumaCluster, read_instance
from benchmarks.data_folder import add_data_option, family_folder, run_command
from benchmarks.integers import IntArray

SLOT_MILLICORES = 16_000

MOST_SLOTS = {25: 248, 50: 260, 100: 287}
"""No placement of the public cluster has more free slots with so many migrations; 25 and 50 are reached by some."""


def free_slots(cluster: NumaCluster, placement: IntArray, slot_millicores: int = SLOT_MILLICORES) -> int:
    """Return how many slots of a size the nodes have free CPU for; an overfull node has none."""
    free = np.maximum(0, cluster.cpu_millicores - _used(cluster, placement, cluster.guest_cpu_millicores))
    return int((free // slot_millicores).sum())


def migrations(cluster: NumaCluster, placement: IntArray) -> int:
    """Return how many guests changed host or nodes; two equal entries that traded nodes are not a migration."""
    equal = (cluster.guest_cpu_millicores[:, 0] == cluster.guest_cpu_millicores[:, 1]) & (
        cluster.guest_memory_kib[:, 0] == cluster.guest_memory_kib[:, 1]
    )
    changed = (placement != cluster.initial).any(axis=1)
    changed_set = (np.sort(placement, axis=1) != np.sort(cluster.initial, axis=1)).any(axis=1)
    return int(np.where(equal & (cluster.entries == 2), changed_set, changed).sum())


def broken(cluster: NumaCluster, placement: IntArray) -> str | None:
    """Return in one line the first rule that a placement [G, 2] breaks, or `None` when it keeps them all."""
    nodes = len(cluster.host_of_node)
    if placement.shape != cluster.initial.shape:
        return f"shape: found {placement.shape}; allowed: {cluster.initial.shape}, two nodes for each guest"
    second = cluster.entries == 2
    outside = (placement < 0) | (placement >= nodes)
    outside[:, 1] = np.where(second, outside[:, 1], placement[:, 1] != -1)
    if outside.any():
        guest = int(np.flatnonzero(outside.any(axis=1))[0])
        return f"nodes of {cluster.guest_ids[guest]}: found {placement[guest].tolist()}; allowed: 0 to {nodes - 1}"
    first, other = placement[second, 0], placement[second, 1]
    apart = np.flatnonzero((cluster.host_of_node[first] != cluster.host_of_node[other]) | (first == other))
    if apart.size:
        guest = int(np.flatnonzero(second)[apart[0]])
        return f"nodes of {cluster.guest_ids[guest]}: found {placement[guest].tolist()}; allowed: two of one host"
    for what, has, needs in (
        ("CPU (millicores)", cluster.cpu_millicores, cluster.guest_cpu_millicores),
        ("memory (KiB)", cluster.memory_kib, cluster.guest_memory_kib),
    ):
        used = _used(cluster, placement, needs)
        over = np.flatnonzero(used > has)
        if over.size:
            node = int(over[0])
            where = f"node {node} (on {cluster.host_ids[cluster.host_of_node[node]]})"
            return f"{what} of {where}: found {used[node]}; allowed: {has[node]}"
    return None


def _used(cluster: NumaCluster, placement: IntArray, needs: IntArray) -> IntArray:
    used = np.zeros(len(cluster.host_of_node), dtype=np.int64)
    there = placement >= 0
    np.add.at(used, placement[there], needs[there])
    return used


def _command() -> int:
    parser = argparse.ArgumentParser(description="Free slots of the cluster as it is.")
    add_data_option(parser)
    parser.add_argument("--file", default=FILE, help="file inside the folder (default: %(default)s)")
    chosen = parser.parse_args()
    cluster = read_instance(family_folder(chosen.data, "vmr2l") / chosen.file)
    breach = broken(cluster, cluster.initial)
    size = f"{len(cluster.host_ids)} hosts, {len(cluster.host_of_node)} nodes, {len(cluster.guest_ids)} guests"
    print(f"{size}: {free_slots(cluster, cluster.initial)} free slots of {SLOT_MILLICORES // 1000} cores")
    print(breach or "every rule is kept")
    return 0 if breach is None else 1


if __name__ == "__main__":
    run_command(_command)
