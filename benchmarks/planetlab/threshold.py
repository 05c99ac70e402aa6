"""THR-MMT: a plain threshold on CPU, guests of least migration time, power-aware best fit decreasing. For calibration.

Written from Beloglazov and Buyya (2012), section 4: every 300 s (1) a host whose guests want more than 80 % of it gives
up those of least RAM until it is under that; (2) these are placed, the largest first, where power rises least; (3) the
least used of the other hosts is emptied if all its guests fit elsewhere, then the next, and so on. Two habits of the
runs compared with are kept, for without them figures differ by half: what a host draws is known from the last look at
loads, and not renewed while guests are placed; and a host that was just given guests may be emptied at once, those
included, which then count as moved twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from benchmarks.planetlab.setting import CORE_MIPS, CORES, GUEST_MIB, HOSTS, WATTS, kinds
from simulator.loads import FloatArray

GRID = np.linspace(0.0, 1.0, 11)
Moves = list[tuple[int, int, int]]
"""Guest, the host it leaves, the one it goes to."""


def watts(load_ratio: FloatArray) -> FloatArray:
    """Return what each host draws at its load [host], even ones by the first curve and odd ones by the second."""
    drawn = np.empty_like(load_ratio)
    for kind in (0, 1):
        drawn[kind::2] = np.interp(load_ratio[kind::2], GRID, WATTS[kind])
    return drawn


@dataclass
class Threshold:
    """The policy with its threshold; `on` lists each host's guests in the order they came."""

    on: list[list[int]]
    threshold: float = 0.8
    core: FloatArray = field(default_factory=lambda: np.array([CORE_MIPS[number % 2] for number in range(HOSTS)]))

    def decide(self, wanted: FloatArray) -> Moves:
        """Return the moves of one decision, for what each guest wants now [guest] in MIPS."""
        return _Decision(self, wanted).moves()

    def move(self, moves: Moves) -> None:
        """Take moves over as done."""
        for guest, source, target in moves:
            self.on[source].remove(guest)
            self.on[target].append(guest)

    def forget(self, gone: set[int]) -> None:
        """Go on without these guests."""
        self.on = [[guest for guest in on if guest not in gone] for on in self.on]


def net(moves: Moves) -> Moves:
    """Return the moves with those of a guest that moves twice at once put together."""
    ends: dict[int, tuple[int, int]] = {}
    for guest, source, target in moves:
        ends[guest] = (ends[guest][0] if guest in ends else source, target)
    return [(guest, source, target) for guest, (source, target) in ends.items() if source != target]


class _Decision:
    """One decision: figures of hosts [host] as they change while guests are taken and placed."""

    def __init__(self, policy: Threshold, wanted: FloatArray) -> None:
        self._policy = policy
        self._wanted = wanted
        self._mib = [GUEST_MIB[kind] for kind in kinds(len(wanted))]
        self._core = policy.core
        self._whole = CORES * policy.core
        self._asked = np.array([sum(wanted[guest] for guest in on) for on in policy.on], float)
        self._given = np.array(
            [sum(min(wanted[guest], core) for guest in on) for on, core in zip(policy.on, policy.core, strict=True)]
        )
        self._given = np.minimum(self._given, self._whole)
        self._load = self._given / self._whole
        self._drawn = watts(self._load)
        self._came: dict[int, list[int]] = {}

    def moves(self) -> Moves:
        """Relieve what is over the threshold, then empty what can be emptied."""
        over = self._asked > self._policy.threshold * self._whole
        taken = [(guest, int(host)) for host in np.flatnonzero(over) for guest in self._given_up(int(host))]
        open_to = ~over
        moves: Moves = []
        for guest, host in sorted(taken, key=lambda one: -self._wanted[one[0]]):
            if (target := self._best(guest, open_to)) is not None:
                self._put(guest, target)
                self._came.setdefault(target, []).append(guest)
                moves.append((guest, host, target))
        off = self._load == 0
        not_emptied = over | off
        open_to = ~(over | off)
        while not not_emptied.all():
            host = int(np.argmin(np.where(not_emptied, np.inf, self._load)))
            not_emptied[host] = True
            open_to[host] = False
            emptied = self._emptied(host, open_to)
            not_emptied[[target for _, _, target in emptied]] = True
            moves += emptied
        return moves

    def _given_up(self, host: int) -> list[int]:
        """Return the guests of least RAM that have to leave a host for it to be under the threshold."""
        left, asked = list(self._policy.on[host]), self._asked[host]
        taken = []
        while left and asked > self._policy.threshold * self._whole[host]:
            guest = min(left, key=lambda one: self._mib[one])
            left.remove(guest)
            taken.append(guest)
            asked = sum(self._wanted[one] for one in left)
        return taken

    def _emptied(self, host: int, open_to: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Moves:
        """Return the moves that empty a host; none unless all its guests find a place."""
        moves: Moves = []
        guests = [*self._policy.on[host], *self._came.get(host, ())]
        for guest in sorted(guests, key=lambda one: -self._wanted[one]):
            target = self._best(guest, open_to)
            if target is None:
                for placed, _, where in moves:
                    self._put(placed, where, -1)
                return []
            self._put(guest, target)
            moves.append((guest, host, target))
        return moves

    def _best(self, guest: int, open_to: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int | None:
        """Return the host on which the guest raises power least over the last look; the first of equals."""
        wants = self._wanted[guest]
        fits = open_to & (self._core >= wants) & (self._whole - self._given >= wants)
        fits &= (self._given == 0) | (self._asked + wants <= self._policy.threshold * self._whole)
        if not fits.any():
            return None
        rise = watts((self._given + wants) / self._whole) - self._drawn
        return int(np.argmin(np.where(fits, rise, np.inf)))

    def _put(self, guest: int, host: int, sign: int = 1) -> None:
        self._asked[host] += sign * self._wanted[guest]
        self._given[host] += sign * min(self._wanted[guest], self._core[host])
