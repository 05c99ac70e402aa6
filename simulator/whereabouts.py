"""Who runs where and moves where to, as arrays: what a ledger looks up at every moment without asking each guest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simulator.loads import FloatArray, RowLoad
from simulator.watcher import Holding

if TYPE_CHECKING:
    from simulator.world import World

IntArray = NDArray[np.int64]


class Whereabouts:
    """The hosts and guests of a world in its order, and where each guest is, kept up with the world.

    `host_of` [guest] is the index of the host it runs on and -1 for none, `target_of` [guest] that of the host a
    migration under way takes it to; `capacity` [host] is in millicores.
    """

    def __init__(self, world: World) -> None:
        self.hosts = tuple(world.hosts)
        self.guests = tuple(world.guests)
        self.capacity: FloatArray = np.array([host.facts.cpu_millicores for host in world.hosts.values()], float)
        self.most: FloatArray = np.array([guest.facts.vcpus * 1000.0 for guest in world.guests.values()], float)
        self.host_of: IntArray = np.full(len(self.guests), -1)
        self.target_of: IntArray = np.full(len(self.guests), -1)
        self._host_index = {host: number for number, host in enumerate(self.hosts)}
        self._guest_index = {guest: number for number, guest in enumerate(self.guests)}
        self._version = -1
        rows = [guest.load for guest in world.guests.values()]
        first = rows[0] if rows else None
        self._matrix = first.matrix if isinstance(first, RowLoad) else None
        self._rows = np.array([row.row if isinstance(row, RowLoad) else -1 for row in rows], np.int64)
        if any(not isinstance(row, RowLoad) or row.matrix is not self._matrix for row in rows):
            self._matrix = None

    def follow(self, world: World) -> None:
        """Take over what has changed in the world since the last call."""
        if world.version == self._version:
            return
        self._version = world.version
        self.host_of.fill(-1)
        self.target_of.fill(-1)
        for host, on in world.holdings.items():
            index = self._host_index[host]
            for guest, holding in on.items():
                if holding is Holding.RUNNING:
                    self.host_of[self._guest_index[guest]] = index
        for guest, one in world.migrations.items():
            self.target_of[self._guest_index[guest]] = self._host_index[one.target]

    def wanted(self, world: World, load_time_s: float) -> FloatArray:
        """Return what each guest wants at a load time [guest], in millicores, wherever it is."""
        if self._matrix is not None:
            values = self._matrix.at(load_time_s)[self._rows]
        else:
            values = np.array([guest.load.millicores(load_time_s) for guest in world.guests.values()], float)
        return np.minimum(values, self.most)

    def per_host(self, of_guests: FloatArray, where: IntArray) -> FloatArray:
        """Return the sums over each host's guests [host]; a guest at -1 counts nowhere."""
        there = where >= 0
        return np.bincount(where[there], of_guests[there], minlength=len(self.hosts)).astype(np.float64)


class Curves:
    """The power curves of hosts, worked out for all of them at once."""

    def __init__(self, curves: list[tuple[tuple[float, float], ...]]) -> None:
        self._groups = [
            (curve, np.array([number for number, one in enumerate(curves) if one == curve]))
            for curve in sorted(set(curves))
        ]
        self._hosts = len(curves)

    def watts(self, load_ratio: FloatArray) -> FloatArray:
        """Return what each host draws when on, at its load [host]."""
        drawn = np.zeros(self._hosts)
        for curve, hosts in self._groups:
            if curve:
                loads, watts = zip(*curve, strict=True)
                drawn[hosts] = np.interp(load_ratio[hosts], loads, watts)
        return drawn


def ratio(part: float, whole: float) -> float:
    """Return part of whole; 0 of nothing."""
    return part / whole if whole > 0 and math.isfinite(whole) else 0.0
