"""Hosts sorted into classes that are alike to every guest, for packing by patterns of one host."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scheduler.solver.bounds.analytic import analytic
from scheduler.solver.bounds.reach import Reach
from scheduler.solver.forms import Bools, Index, Ints
from scheduler.solver.instance import Instance
from scheduler.solver.kernels.tables import Tables

MOST_GUESTS, MOST_CLASSES = 2000, 8
"""With more, the linear program takes longer than it is worth."""


@dataclass(frozen=True, eq=False)
class HostClasses:
    """Classes of hosts, and the movable guests as they see them.

    `hosts` lists the hosts of each class, `of` int[hosts] is each host's class or -1. `demand` int64[m, resources] goes
    by position in `movable`, over the resources that can run out; `room` int64[classes, resources] is what guests that
    never move leave; `allowed` bool[classes, m]. `cost` int64[classes] is what a host saves asleep, 0 where it stays
    on anyway. `floor` is the goal's bound with every host that may sleep asleep.
    """

    instance: Instance
    hosts: tuple[Ints, ...]
    of: Ints
    demand: Ints
    room: Ints
    allowed: Bools
    cost: Ints
    floor: int

    @property
    def guests(self) -> int:
        """Number of movable guests."""
        return len(self.demand)

    @property
    def grain(self) -> int:
        """What divides every cost; at least 1."""
        return max(1, int(np.gcd.reduce(self.cost)))

    def cost_of(self, place: Index) -> int:
        """Return what the hosts of a placement that could sleep without its guests cost."""
        of = self.of[np.unique(self.instance.host_of(place)[self.instance.movable])]
        return int(self.cost[of[of >= 0]].sum())


def host_classes(instance: Instance, tables: Tables) -> HostClasses | None:
    """Return the classes of an instance for placements that leave no guest; `None` where patterns do not apply.

    They do where guests have one mode and no forms, and are not too many, nor hosts too different.
    """
    sleep = instance.goal.sleep
    if sleep is None or instance.modes > 1 or len(tables.groups.type) or not 0 < len(instance.movable) <= MOST_GUESTS:
        return None
    reach = Reach(instance, True)
    columns = tables.columns
    saving = np.where(sleep.may, np.maximum(0, sleep.idle_cost - sleep.asleep_cost), 0)
    saving[instance.host_of(instance.home[reach.stuck])] = 0
    room = (reach.cap - reach.fixed)[:, columns]
    hosts = np.flatnonzero(reach.open)
    keys: dict[tuple[int, bytes, bytes, int], list[int]] = {}
    # Where guests may stay that could not come, a host is a class of its own.
    stay = ~instance.masks[instance.mask_of, reach.homes]
    alone = set(reach.homes[stay].tolist())
    for host in hosts.tolist():
        key = int(saving[host]), room[host].tobytes(), instance.masks[:, host].tobytes(), host if host in alone else -1
        keys.setdefault(key, []).append(host)
    if not 0 < len(keys) <= MOST_CLASSES:
        return None
    first = np.array([members[0] for members in keys.values()], dtype=np.intp)
    of = np.full(instance.hosts, -1, dtype=np.int64)
    for number, members in enumerate(keys.values()):
        of[members] = number
    allowed = instance.masks[instance.mask_of][:, first].T | (reach.homes[None, :] == first[:, None])
    awake = replace(instance, goal=replace(instance.goal, sleep=None))
    return HostClasses(
        instance=instance,
        hosts=tuple(np.array(members, dtype=np.int64) for members in keys.values()),
        of=of,
        demand=np.ascontiguousarray(reach.at_home[:, columns]),
        room=np.ascontiguousarray(room[first]),
        allowed=np.ascontiguousarray(allowed),
        cost=saving[first].astype(np.int64),
        floor=analytic(awake, none_left=True).goal + sleep.constant - int(saving.sum()),
    )


def places_of(classes: HostClasses, used: list[tuple[int, Index]]) -> Index | None:
    """Return the placement of patterns (class and guests), each guest where it is first; `None` without host for one.

    Of the hosts of a class each pattern gets the one from which most of its memory comes. Guests of no pattern stay
    where they are at the start.
    """
    instance = classes.instance
    place = instance.home.copy()
    free = [list(hosts.tolist()) for hosts in classes.hosts]
    homes = instance.host_of(instance.home)
    done = np.zeros(classes.guests, dtype=np.bool_)
    for of, positions in used:
        guests = instance.movable[positions[~done[positions]]]
        if not len(guests):
            continue
        if not free[of]:
            return None
        done[positions] = True
        stays = np.zeros(instance.hosts, dtype=np.int64)
        np.add.at(stays, homes[guests], instance.mib[guests] + 1)
        host = max(free[of], key=lambda one: (int(stays[one]), -one))
        free[of].remove(host)
        place[guests] = host * instance.modes
    return place
