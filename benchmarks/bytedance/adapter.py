"""A NUMA cluster as the engine's general array form, and its seats back as nodes.

A host's resources are CPU and memory of each of its nodes. A guest's modes are the nodes it can be on: one node, or
for a guest of two entries a pair of nodes, in both orders where some guest's entries differ. Free slots are the goal.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, permutations
from math import gcd

import numpy as np

from benchmarks.bytedance.evaluate import SLOT_MILLICORES
from benchmarks.bytedance.instance import NumaCluster
from benchmarks.integers import IntArray
from cluster.errors import InputError
from scheduler.solver.forms import Bools, Index
from scheduler.solver.goal import GoalArrays
from scheduler.solver.instance import Instance, make_instance
from scheduler.solver.terms import FreeSlots


@dataclass(frozen=True, slots=True)
class NumaCase:
    """The engine's instance and what turns its seats into nodes.

    `modes` are the nodes of each mode, as positions on a host; `nodes` [hosts, nodes of a host] are node indices.
    """

    instance: Instance
    modes: tuple[tuple[int, ...], ...]
    nodes: IntArray

    def to_placement(self, place: Index) -> IntArray:
        """Return the node of each entry, [guests, 2], -1 where a guest has no second."""
        width = np.full((len(self.modes), 2), -1, dtype=np.int64)
        for i, mode in enumerate(self.modes):
            width[i, : len(mode)] = mode
        hosts, positions = self.instance.host_of(place), width[place % len(self.modes)]
        placement: IntArray = np.where(positions < 0, -1, self.nodes[hosts[:, None], positions])
        return placement


def to_instance(cluster: NumaCluster, max_migrations: int | None, slot_millicores: int = SLOT_MILLICORES) -> NumaCase:
    """Return the cluster in the engine's form: minus one for each free slot, with so many migrations at most.

    Raises `InputError` when hosts differ in their number of nodes.
    """
    hosts, guests = len(cluster.host_ids), len(cluster.guest_ids)
    per_host = np.bincount(cluster.host_of_node, minlength=hosts)
    if len(set(per_host.tolist())) != 1:
        raise InputError(f"hosts with {per_host.min()} to {per_host.max()} nodes; allowed: the same number on each")
    many = int(per_host[0])
    nodes = np.argsort(cluster.host_of_node, kind="stable").reshape(hosts, many).astype(np.int64)
    position = np.zeros(len(cluster.host_of_node), dtype=np.int64)
    position[nodes] = np.arange(many)[None, :]
    uneven = _uneven(cluster)
    pairs = tuple(permutations(range(many), 2) if uneven.any() else combinations(range(many), 2))
    modes: tuple[tuple[int, ...], ...] = (*((one,) for one in range(many)), *pairs)
    cpu_unit = _unit(cluster.cpu_millicores, cluster.guest_cpu_millicores, slot_millicores)
    memory_unit = _unit(cluster.memory_kib, cluster.guest_memory_kib)
    capacity = np.stack([cluster.cpu_millicores[nodes] // cpu_unit, cluster.memory_kib[nodes] // memory_unit], axis=2)
    # A mode that a guest has not asks for more than any host has, so that layers that look at demands alone keep off.
    demand = np.full((guests, len(modes), 2 * many), capacity.max(initial=0) + 1, dtype=np.int64)
    usable: Bools = np.zeros((guests, len(modes)), dtype=np.bool_)
    for i, mode in enumerate(modes):
        right = (cluster.entries == len(mode)) & (uneven | (list(mode) == sorted(mode)))
        usable[:, i] = right
        demand[right, i] = 0
        for entry, node in enumerate(mode):
            demand[right, i, 2 * node] = cluster.guest_cpu_millicores[right, entry] // cpu_unit
            demand[right, i, 2 * node + 1] = cluster.guest_memory_kib[right, entry] // memory_unit
    slot = slot_millicores // cpu_unit
    goal = GoalArrays(
        terms=tuple(FreeSlots(2 * node, capacity[:, node, 0], slot) for node in range(many)),
        price=np.zeros(guests, dtype=np.int64),
        left=np.zeros(hosts, dtype=np.bool_),
        left_weight=np.zeros(guests, dtype=np.int64),
        hosts=np.arange(hosts, dtype=np.intp),
    )
    instance = make_instance(
        demand=demand,
        usable=usable,
        capacity=capacity.reshape(hosts, 2 * many),
        home=_home(cluster, position, modes, uneven),
        goal=goal,
        max_moves=max_migrations,
    )
    return NumaCase(instance, modes, nodes)


def _uneven(cluster: NumaCluster) -> Bools:
    """Which guests have two entries that differ, so that their order matters."""
    cpu, memory = cluster.guest_cpu_millicores, cluster.guest_memory_kib
    differ: Bools = (cluster.entries == 2) & ((cpu[:, 0] != cpu[:, 1]) | (memory[:, 0] != memory[:, 1]))
    return differ


def _home(cluster: NumaCluster, position: IntArray, modes: tuple[tuple[int, ...], ...], uneven: Bools) -> Index:
    """The seat of each guest; two equal entries are on a pair of nodes in either order."""
    number = {mode: i for i, mode in enumerate(modes)}
    seats = []
    for guest, (entries, ordered) in enumerate(zip(cluster.entries.tolist(), uneven.tolist(), strict=True)):
        there = cluster.initial[guest, :entries]
        mode = tuple(position[there].tolist())
        host = int(cluster.host_of_node[there[0]])
        seats.append(host * len(modes) + number[mode if ordered else tuple(sorted(mode))])
    return np.array(seats, dtype=np.intp)


def _unit(*amounts: IntArray | int) -> int:
    """The largest unit in which all amounts are whole."""
    return gcd(*(int(np.gcd.reduce(np.asarray(one).reshape(-1))) for one in amounts)) or 1
