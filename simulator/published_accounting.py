"""Energy and service levels counted the way the literature on consolidation does, so that figures can be compared.

Beloglazov and Buyya, "Optimal online deterministic algorithms and adaptive heuristics for energy and performance
efficient dynamic consolidation of virtual machines in cloud data centers" (2012), section 5, as CloudSim counts it:
load and allocation are looked at when something happens (a look at loads, a migration's begin or end) and held until
the next such moment; a host's energy between two is the mean of its power at both ends, and nothing where its load was
0 (switching is free, an empty host is off). A guest loses 10 % of its CPU while it moves and takes 10 % on its target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulator.loads import FloatArray
from simulator.whereabouts import Curves, IntArray, Whereabouts, ratio

if TYPE_CHECKING:
    from simulator.world import World

MOVING_LOSS_RATIO = 0.1
"""Of its CPU a guest loses so much while it moves, and so much of what it wants it takes on its target."""

_HAIR = 1e-6
"""Sums of the same figures in another order differ by less."""


@dataclass(frozen=True, slots=True)
class Published:
    """What came of a stretch of time. Ratios from 0 to 1.

    `slatah_ratio`: the share of active hosts' time in which they gave less than was asked. `pdm_ratio`: what guests
    were not given while they moved, of all they asked for. `unserved_ratio`: what they were not given at any time.
    `slav` = SLATAH x PDM, `esv` = kWh x SLAV.
    """

    kwh: float
    slatah_ratio: float
    pdm_ratio: float
    unserved_ratio: float
    active_host_s: float

    @property
    def slav(self) -> float:
        """SLATAH x PDM."""
        return self.slatah_ratio * self.pdm_ratio

    @property
    def esv(self) -> float:
        """Energy x SLAV, in kWh."""
        return self.kwh * self.slav


@dataclass(frozen=True, slots=True)
class _State:
    """A moment as it is held: loads of hosts, and by host and guest what was asked for and given, in millicores."""

    load_ratio: FloatArray
    is_active: np.ndarray[tuple[int], np.dtype[np.bool_]]
    is_short: np.ndarray[tuple[int], np.dtype[np.bool_]]
    asked: float
    short: float
    short_moving: float


class PublishedLedger:
    """A `simulator.world.Ledger` of the literature's figures.

    `core_millicores` is what one core of each host gives [host]: a guest has one virtual core, and gets no more than
    that. Where a host has less than is asked, all get the same share, in whole millicores (MIPS). Nothing is counted
    before `from_s` of the world's time.
    """

    def __init__(self, core_millicores: FloatArray | None = None, from_s: float = 0.0) -> None:
        self._core = core_millicores
        self._from_s = from_s
        self._where: Whereabouts | None = None
        self._curves = Curves([])
        self._at_s = 0.0
        self._joules = 0.0
        self._active_s = 0.0
        self._short_s = 0.0
        self._asked = 0.0
        self._short = 0.0
        self._short_moving = 0.0

    def advance(self, world: World) -> None:
        """Count up to the world's present what was held since the last moment."""
        if self._where is None:
            self._where = Whereabouts(world)
            self._curves = Curves([host.power.model.watts for host in world.hosts.values()])
            self._where.follow(world)
            self._at_s = world.now_s
        over_s = world.now_s - self._at_s
        if world.now_s <= self._from_s:
            self._at_s = world.now_s
        elif over_s > 0:
            # What has changed at the last moment has changed by now: the state since then is the one after it.
            load_start_s = world.load_time_s() - world.now_s
            self._where.follow(world)
            held = self._state(self._where, self._where.wanted(world, load_start_s + self._at_s))
            later = self._state(self._where, self._where.wanted(world, world.load_time_s()))
            self._count(held, later, over_s)
            self._at_s = world.now_s

    def coming(self, where: Whereabouts) -> tuple[IntArray, IntArray]:
        """Return the guests under way and the hosts they go to, as indices."""
        guests = np.flatnonzero(where.target_of >= 0)
        return guests, where.target_of[guests]

    def figures(self) -> Published:
        """Return what has been counted so far."""
        return Published(
            kwh=self._joules / 3.6e6,
            slatah_ratio=ratio(self._short_s, self._active_s),
            pdm_ratio=ratio(self._short_moving, self._asked),
            unserved_ratio=ratio(self._short, self._asked),
            active_host_s=self._active_s,
        )

    def _count(self, held: _State, later: _State, over_s: float) -> None:
        both = (self._curves.watts(held.load_ratio) + self._curves.watts(later.load_ratio)) / 2
        self._joules += float(both[held.load_ratio > 0].sum()) * over_s
        self._active_s += int(held.is_active.sum()) * over_s
        self._short_s += int((held.is_active & held.is_short).sum()) * over_s
        self._asked += held.asked * over_s
        self._short += held.short * over_s
        self._short_moving += held.short_moving * over_s

    def _state(self, where: Whereabouts, asked: FloatArray) -> _State:
        runs, moving = where.host_of >= 0, where.target_of >= 0
        guests, target = self.coming(where)
        wanted, coming = asked, asked[guests]
        if self._core is not None:
            wanted = np.where(runs, np.minimum(asked, self._core[where.host_of]), 0.0)
            coming = np.minimum(coming, self._core[target])
        taken = np.bincount(target, MOVING_LOSS_RATIO * coming, minlength=len(where.hosts))
        need = where.per_host(wanted, where.host_of) + taken
        share = np.divide(where.capacity, need, out=np.ones_like(need), where=need > where.capacity)
        mine = np.where(runs, share[where.host_of], 0.0)
        given = np.where(moving, 1 - MOVING_LOSS_RATIO, 1.0) * wanted * mine
        given = np.where(mine < 1.0, np.floor(given), given)
        on_target = MOVING_LOSS_RATIO * coming * share[target]
        # What a moving guest loses is not free for others: its host counts as giving it all.
        spent = where.per_host(np.where(moving, given / (1 - MOVING_LOSS_RATIO), given), where.host_of)
        spent += np.bincount(target, on_target, minlength=len(where.hosts))
        demanded = where.per_host(asked, where.host_of)
        demanded += np.bincount(target, asked[guests], minlength=len(where.hosts))
        short = np.where(runs, asked - given, 0.0)
        return _State(
            load_ratio=np.minimum(1.0, spent / where.capacity),
            is_active=spent > 0,
            is_short=spent < demanded - _HAIR,
            asked=float(asked[runs].sum()),
            short=float(short.sum()),
            short_moving=float(short[moving].sum()),
        )
