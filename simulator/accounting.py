"""What a stretch of time came to: energy, CPU that guests were not given, overload by host and guest, late wakes.

Unlike `published_accounting`, which counts the literature's way, this follows loads closely (a look in the middle of
every `step_s`), counts hosts that are on and empty, asleep, going down or coming up as drawing what they do, and takes
overload for what it is at any time, not only at moments of decision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cluster.host import PowerState
from simulator.loads import FloatArray
from simulator.published_accounting import MOVING_LOSS_RATIO
from simulator.whereabouts import Curves, Whereabouts, ratio

if TYPE_CHECKING:
    from simulator.world import World


@dataclass(frozen=True, slots=True)
class Account:
    """What was counted. Times in seconds by id, only of those with any; ratios from 0 to 1.

    `host_overload_s`: guests wanted more than the host's CPU. `guest_overload_s`: so did those on a guest's host.
    `unserved_ratio` is what guests wanted and were not given, losses while moving included (`moving_ratio`), of all
    they wanted. A wake is late when some host is overloaded before the host that was being woken is on.
    """

    kwh: float
    unserved_ratio: float
    moving_ratio: float
    host_overload_s: Mapping[str, float]
    guest_overload_s: Mapping[str, float]
    host_on_s: float
    wakes: int
    late_wakes: int

    @property
    def overload_ratio(self) -> float:
        """Share of the time of hosts that were on in which they were overloaded."""
        return ratio(sum(self.host_overload_s.values()), self.host_on_s)


class AccountLedger:
    """A `simulator.world.Ledger`. `core_millicores` [host] bounds a guest of one virtual core; `None`: nothing does.

    Nothing is counted before `from_s` of the world's time.
    """

    def __init__(self, step_s: float = 60.0, core_millicores: FloatArray | None = None, from_s: float = 0.0) -> None:
        if step_s <= 0:
            raise ValueError(f"a step of {step_s:g} s passes no time")
        self._step_s = step_s
        self._core = core_millicores
        self._from_s = from_s
        self._where: Whereabouts | None = None
        self._curves = Curves([])
        self._at_s = 0.0
        self._joules = self._wanted = self._short = self._short_moving = self._on_s = 0.0
        self._host_over_s: FloatArray = np.zeros(0)
        self._guest_over_s: FloatArray = np.zeros(0)
        self._waking: dict[str, bool] = {}
        self._wakes = self._late = 0

    def advance(self, world: World) -> None:
        """Count up to the world's present, with everything where it has been since the last call."""
        if self._where is None:
            self._where = Whereabouts(world)
            self._curves = Curves([host.power.model.watts for host in world.hosts.values()])
            self._host_over_s = np.zeros(len(self._where.hosts))
            self._guest_over_s = np.zeros(len(self._where.guests))
            self._at_s = world.now_s
        over_s = world.now_s - self._at_s
        if over_s <= 0 or world.now_s <= self._from_s:
            self._at_s = world.now_s
            return
        self._where.follow(world)
        self._follow_wakes(world)
        base_s = world.load_time_s() - world.now_s + self._at_s
        steps = math.ceil(over_s / self._step_s)
        for number in range(steps):
            middle_s = base_s + (number + 0.5) * over_s / steps
            self._count(world, self._where, self._where.wanted(world, middle_s), over_s / steps)
        self._at_s = world.now_s

    def figures(self) -> Account:
        """Return what has been counted so far."""
        hosts = self._where.hosts if self._where else ()
        guests = self._where.guests if self._where else ()
        return Account(
            kwh=self._joules / 3.6e6,
            unserved_ratio=ratio(self._short, self._wanted),
            moving_ratio=ratio(self._short_moving, self._wanted),
            host_overload_s=_only(hosts, self._host_over_s),
            guest_overload_s=_only(guests, self._guest_over_s),
            host_on_s=self._on_s,
            wakes=self._wakes,
            late_wakes=self._late,
        )

    def _count(self, world: World, where: Whereabouts, asked: FloatArray, over_s: float) -> None:
        runs, moving = where.host_of >= 0, where.target_of >= 0
        wanted = asked if self._core is None else np.where(runs, np.minimum(asked, self._core[where.host_of]), 0.0)
        need = where.per_host(wanted, where.host_of)
        is_over = need > where.capacity * (1 + 1e-9)
        share = np.divide(where.capacity, need, out=np.ones_like(need), where=need > where.capacity)
        mine = np.where(runs, share[where.host_of], 0.0)
        given = np.where(moving, 1 - MOVING_LOSS_RATIO, 1.0) * wanted * mine
        short = np.where(runs, asked - given, 0.0)
        self._wanted += float(asked[runs].sum()) * over_s
        self._short += float(short.sum()) * over_s
        self._short_moving += float((MOVING_LOSS_RATIO * wanted * mine)[moving & runs].sum()) * over_s
        self._host_over_s[is_over] += over_s
        self._guest_over_s[runs & is_over[where.host_of]] += over_s
        load_ratio = np.minimum(1.0, need / where.capacity)
        drawn = self._curves.watts(load_ratio)
        on = len(where.hosts)
        for number, host in enumerate(world.hosts.values()):
            if host.power.state is not PowerState.ON or host.power.changing_to is not None:
                drawn[number] = host.power.watts(float(load_ratio[number]))
                on -= not host.power.is_on
        self._joules += float(drawn.sum()) * over_s
        self._on_s += on * over_s
        if self._waking and is_over.any():
            self._waking = dict.fromkeys(self._waking, True)

    def _follow_wakes(self, world: World) -> None:
        """Count wakes that began, and, of those over, the late ones."""
        now = {host for host in world.changing if world.hosts[host].power.changing_to is PowerState.ON}
        for host in [host for host in self._waking if host not in now]:
            self._late += self._waking.pop(host)
        for host in now - self._waking.keys():
            self._wakes += 1
            self._waking[host] = False


def _only(ids: tuple[str, ...], seconds: FloatArray) -> dict[str, float]:
    return {one: float(seconds[number]) for number, one in enumerate(ids) if seconds[number] > 0}
