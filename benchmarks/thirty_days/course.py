"""What truly happened on a cluster: who ran where, which hosts were on, and what was wanted, over the whole time.

The judges read nothing else. A course is written down from what the world did, not from what the loop says of itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from benchmarks.integers import IntArray
from benchmarks.thirty_days.load import SLOT_S, Weeks
from cluster.limits import Limits

ON, GOING_DOWN, ASLEEP, WAKING = 0, 1, 2, 3
"""Power of a host. Only one that is `ON` counts as room; one going down still runs whoever is on it."""

StateArray = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Move:
    """A migration: guest and hosts by index, and when it was under way. One that failed left the guest where it was."""

    guest: int
    source: int
    target: int
    began_s: float
    ended_s: float
    arrived: bool = True


@dataclass(frozen=True, slots=True)
class PowerChange:
    """From this moment on a host (by index) is in this state."""

    at_s: float
    host: int
    state: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of time in which nothing changes: host of each guest, state of each host, millicores of each guest."""

    from_s: float
    to_s: float
    placement: IntArray
    states: StateArray
    wanted: IntArray


@dataclass(frozen=True)
class Course:
    """The measured days of `weeks`, all hosts on and guests where `weeks` has them at second 0, to `duration_s`.

    `moves` are sorted by their end and `power` by time.
    """

    weeks: Weeks
    moves: tuple[Move, ...]
    power: tuple[PowerChange, ...]
    duration_s: float

    def pieces(self) -> Iterator[Piece]:
        """Go through all the time, from one change of load, place or power to the next."""
        places = [(move.ended_s, move) for move in self.moves if move.arrived]
        cuts = {min(self.duration_s, slot * SLOT_S) for slot in range(int(self.duration_s // SLOT_S) + 2)}
        cuts |= {at_s for at_s, _ in places} | {change.at_s for change in self.power}
        times = sorted(at_s for at_s in cuts if 0 <= at_s <= self.duration_s)
        placement, states = self._home.copy(), np.zeros(len(self.weeks.hosts), dtype=np.int8)
        next_place, next_power = 0, 0
        for from_s, to_s in pairwise(times):
            while next_place < len(places) and places[next_place][0] <= from_s:
                move = places[next_place][1]
                placement[move.guest] = move.target
                next_place += 1
            while next_power < len(self.power) and self.power[next_power].at_s <= from_s:
                states[self.power[next_power].host] = self.power[next_power].state
                next_power += 1
            yield Piece(from_s, to_s, placement.copy(), states.copy(), self.wanted_at(from_s))

    def at(self, at_s: float) -> Piece:
        """Return how things stood at a moment, as a piece without length."""
        placement, states = self._home.copy(), np.zeros(len(self.weeks.hosts), dtype=np.int8)
        for move in self.moves:
            if move.arrived and move.ended_s <= at_s:
                placement[move.guest] = move.target
        for change in self.power:
            if change.at_s <= at_s:
                states[change.host] = change.state
        return Piece(at_s, at_s, placement, states, self.wanted_at(at_s))

    def under_way(self, at_s: float) -> list[Move]:
        """Return the migrations under way at a moment."""
        return [move for move in self.moves if move.began_s <= at_s < move.ended_s]

    def wanted_at(self, at_s: float) -> IntArray:
        """Return what each guest wants at a moment, in millicores."""
        column: IntArray = self.weeks.measured[:, min(int(at_s // SLOT_S), self.weeks.measured.shape[1] - 1)]
        return column

    @cached_property
    def _home(self) -> IntArray:
        index = {host.id: i for i, host in enumerate(self.weeks.hosts)}
        return np.array([index[guest.host] for guest in self.weeks.guests], dtype=np.int64)


def capacities(weeks: Weeks) -> IntArray:
    """Return all the CPU of each host, in millicores."""
    return np.array([host.cpu_millicores for host in weeks.hosts], dtype=np.int64)


def most(weeks: Weeks, limits: Limits) -> tuple[IntArray, IntArray]:
    """Return the millicores and MiB that plans may put on each host: its limits on what is not reserved."""
    cpu = [(host.cpu_millicores - host.reserved.cpu_millicores) * limits.cpu for host in weeks.hosts]
    memory = [(host.memory_mib - host.reserved.memory_mib) * limits.memory for host in weeks.hosts]
    # A thousandth of a unit against the last bit of a decimal ratio.
    return np.floor(np.array(cpu) + 1e-3).astype(np.int64), np.floor(np.array(memory) + 1e-3).astype(np.int64)
