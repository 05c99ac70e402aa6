"""How even a placement of a cluster is and what reaching it took, the same figures for every tool that is compared.

Only CPU and memory count, as in the contract's `balance` goal: u = demand / (capacity - reserved) on each host, U the
same over all of them, I the sum of (u - U)^2 over hosts and both resources. Moves and GiB are those of guests that end
on another host than they started on, whatever way they took; deviations are the population's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.integers import IntArray
from cluster.limits import Limits
from cluster.snapshot import Snapshot

CPU, MEMORY = 0, 1

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fleet:
    """A cluster as arrays: `demand` [guests, 2] and `room` [hosts, 2] in millicores and MiB, `home` host of each guest.

    `most` [hosts, 3] and `load` [guests, 3] are what plans keep to: CPU, memory and vCPUs under the default limits.
    """

    host_ids: tuple[str, ...]
    guest_ids: tuple[str, ...]
    demand: IntArray
    room: IntArray
    home: IntArray
    load: IntArray
    most: IntArray

    def placement(self, hosts: Mapping[str, str]) -> IntArray:
        """Return the host index of each guest, from the ids of those that moved; the others stay at home."""
        index = {host: i for i, host in enumerate(self.host_ids)}
        moved = [index[hosts[guest]] if guest in hosts else -1 for guest in self.guest_ids]
        return np.where(np.array(moved) < 0, self.home, np.array(moved))


@dataclass(frozen=True, slots=True)
class Figures:
    """What a placement is worth and what it took."""

    moves: int
    gib: float
    imbalance: float
    memory_stdev: float
    cpu_stdev: float
    worst_ratio: float


HEADER = f"{'':>24} {'moves':>5} {'GiB':>6} {'I':>8} {'mem stdev':>9} {'CPU stdev':>9} {'worst host':>10}  time"


def fleet_of(snapshot: Snapshot) -> Fleet:
    """Return a snapshot's arrays, hosts and guests in the snapshot's order."""
    limits = Limits()
    index = {host.id: i for i, host in enumerate(snapshot.hosts)}
    room = [
        (host.cpu_millicores - host.reserved.cpu_millicores, host.memory_mib - host.reserved.memory_mib)
        for host in snapshot.hosts
    ]
    demand = [(guest.usage.cpu_millicores or 0, guest.memory_mib + guest.overhead_mib) for guest in snapshot.guests]
    most = [
        (int(cpu * limits.cpu), int(mib * limits.memory), int(cpu * limits.vcpus_per_core) // 1000) for cpu, mib in room
    ]
    vcpus = [(guest.vcpus,) for guest in snapshot.guests]
    return Fleet(
        host_ids=tuple(index),
        guest_ids=tuple(guest.id for guest in snapshot.guests),
        demand=np.array(demand, dtype=np.int64),
        room=np.array(room, dtype=np.int64),
        home=np.array([index[guest.host] for guest in snapshot.guests], dtype=np.int64),
        load=np.hstack([np.array(demand, dtype=np.int64), np.array(vcpus, dtype=np.int64)]),
        most=np.array(most, dtype=np.int64),
    )


def used(placement: IntArray, amounts: IntArray, hosts: int) -> IntArray:
    """Return the sums [hosts, columns] of the guests' amounts on each host."""
    total = np.zeros((hosts, amounts.shape[1]), dtype=np.int64)
    np.add.at(total, placement, amounts)
    return total


def figures(fleet: Fleet, placement: IntArray) -> Figures:
    """Return the figures of a placement [guests] of host indices."""
    ratio: FloatArray = used(placement, fleet.demand, len(fleet.room)) / fleet.room
    ideal = fleet.demand.sum(axis=0) / fleet.room.sum(axis=0)
    moved = placement != fleet.home
    deviation = ratio.std(axis=0)
    return Figures(
        moves=int(moved.sum()),
        gib=float(fleet.demand[moved, MEMORY].sum() / 1024),
        imbalance=float(((ratio - ideal) ** 2).sum()),
        memory_stdev=float(deviation[MEMORY]),
        cpu_stdev=float(deviation[CPU]),
        worst_ratio=float(ratio.max()),
    )


def line(name: str, found: Figures, time: str) -> str:
    """Return the figures as a line under `HEADER`; `time` says what it took and on which clock."""
    return (
        f"{name:>24} {found.moves:>5} {found.gib:>6.0f} {found.imbalance:>8.4f} {found.memory_stdev:>9.4f} "
        f"{found.cpu_stdev:>9.4f} {found.worst_ratio:>10.1%}  {time}"
    )
