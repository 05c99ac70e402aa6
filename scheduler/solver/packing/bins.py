"""What packing works on: a compiled state of an instance, which hosts are worth closing, and the sizes of guests."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from scheduler.solver.forms import Bools, Index, Ints
from scheduler.solver.instance import Instance
from scheduler.solver.kernels.repack import Floats, make_repack
from scheduler.solver.kernels.state import make_state, move_all
from scheduler.solver.kernels.tables import make_tables
from scheduler.solver.meter import Meter

STEP_WORK = 2e-7
"""What one proposal counts as of a work limit: about the seconds it takes."""


class Bins:
    """An instance whose goal has sleeping hosts, with a compiled state.

    `weight` float[hosts, resources] is 1 / what a host may receive; `sizes` float[guests, resources] each guest's
    share of the mean host that may close, in its first usable mode.
    """

    def __init__(self, instance: Instance, place: Index, seed: int) -> None:
        self.instance = instance
        self.tables = make_tables(instance)
        self.state = make_state(self.tables, place, seed, max(4096, 4 * int(np.bincount(place).max(initial=0))))
        columns = np.zeros(instance.cap.shape[1], dtype=np.bool_)
        columns[self.tables.columns] = True
        room = np.maximum(1, np.minimum(instance.headroom, instance.cap))
        self.weight: Floats = np.where(columns, 1.0 / room, 0.0)
        self.repack = make_repack(self.tables, self.weight, np.zeros(instance.guests))

    @cached_property
    def may_close(self) -> Bools:
        """Hosts that may sleep, save something by it, and hold no guest that cannot move, bool[hosts]."""
        sleep, tables = self.instance.goal.sleep, self.tables
        if sleep is None:
            return np.zeros(self.instance.hosts, dtype=np.bool_)
        held = np.zeros(self.instance.hosts, dtype=np.bool_)
        held[self.instance.host_of(self.instance.home)[tables.mask_of < 0]] = True
        may: Bools = sleep.may & (sleep.idle_cost > sleep.asleep_cost) & ~held
        return may

    @cached_property
    def sizes(self) -> Floats:
        """Relative sizes, float[guests, resources]."""
        mode = np.argmax(self.instance.usable, axis=1)
        hosts = self.may_close if self.may_close.any() else self.instance.target
        demand = self.instance.demand[np.arange(self.instance.guests), mode]
        sizes: Floats = demand * self.weight[hosts].mean(axis=0) if hosts.any() else demand * 0.0
        return sizes

    @cached_property
    def hosts_in_order(self) -> Ints:
        """Hosts that guests may be put on: those that stay on anyway, then by saving per room, least first."""
        sleep = self.instance.goal.sleep
        hosts = np.flatnonzero(self.instance.target & (np.arange(self.instance.hosts) != self.instance.outside))
        if sleep is None:
            return hosts.astype(np.int64)
        saving = np.where(self.may_close, sleep.idle_cost - sleep.asleep_cost, 0)
        per_room = saving * self.weight.sum(axis=1)
        return hosts[np.lexsort((hosts, per_room[hosts]))].astype(np.int64)

    @property
    def occupied(self) -> Bools:
        """Hosts with guests, the outside not among them."""
        held: Bools = self.state.count > 0
        if self.instance.outside >= 0:
            held[self.instance.outside] = False
        return held

    def unit(self) -> float:
        """The mean relative size of a guest in one resource."""
        columns = self.tables.columns
        movable = self.instance.movable
        if not len(columns) or not len(movable):
            return 1.0
        return max(1e-9, float(self.sizes[np.ix_(movable, columns)].mean()))

    def go_to(self, place: Index) -> None:
        """Put every guest where a placement has it."""
        move_all(self.tables, self.state, np.ascontiguousarray(place, dtype=np.int64))

    def count_work(self, meter: Meter, proposals: int) -> None:
        """Count proposals as work."""
        meter.work(STEP_WORK * proposals)
