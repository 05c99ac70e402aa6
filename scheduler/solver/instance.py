"""The array form of a problem: sorted ids become indices, everything a solver needs becomes integer arrays.

The order of hosts and guests in the snapshot has no influence: both are sorted by id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cluster.limits import Resource, demand, limit, room
from cluster.problem import DrainGoal, Problem, RepairGoal
from cluster.rules import Enforcement
from scheduler.solver.forms import ArrayForm, Bools, Index, Ints, Masked, MoveCap, lower
from scheduler.solver.goal import PPM, GoalArrays
from scheduler.solver.goals import goal_arrays

RESOURCES = tuple(Resource)
CPU, MEMORY, VCPUS = (RESOURCES.index(one) for one in (Resource.CPU, Resource.MEMORY, Resource.VCPUS))
UNLIMITED = 1 << 50
"""Room of a host that does not limit a resource; sums of demands stay far below it."""


@dataclass(frozen=True, eq=False)
class Instance:
    """A problem over indices.

    `demand` int64[guests, resources]; `room`, `limit`, `cap` int64[hosts, resources]: capacity less reserved, what
    plans keep to, and the most a final placement may hold (the limit, or what is there already where that is more);
    `headroom` is the cap of a host that receives a guest. `home` int[guests] is the start. `movable` are guest indices;
    `allowed` bool[hosts, movable]. `mib` int64[guests] is what a move of each counts as.
    """

    problem: Problem
    host_ids: tuple[str, ...]
    guest_ids: tuple[str, ...]
    guest_index: Mapping[str, int]
    host_index: Mapping[str, int]
    demand: Ints
    room: Ints
    limit: Ints
    cap: Ints
    headroom: Ints
    plannable: Bools
    target: Bools
    home: Index
    movable: Index
    allowed: Bools
    mib: Ints
    forms: tuple[ArrayForm, ...]
    move_caps: tuple[MoveCap, ...]
    max_moves: int
    goal: GoalArrays

    @property
    def binding(self) -> tuple[ArrayForm, ...]:
        """Forms that may not get worse."""
        return tuple(form for form in self.forms if form.binding)

    @property
    def soft(self) -> tuple[ArrayForm, ...]:
        """Forms that are part of the goal, in the order of `goal.soft_weights`."""
        return tuple(form for form in self.forms if not form.binding)

    def use(self, place: Index) -> Ints:
        """Use of every host, int64[hosts, resources]."""
        held = np.zeros_like(self.room)
        np.add.at(held, place, self.demand)
        return held

    def overload(self, hosts: Index, use: Ints) -> Ints:
        """Excess over the limits in millionths of the room (vCPUs: of a vCPU per core), rounded up, int64[n]."""
        excess = np.maximum(0, use - self.limit[hosts])
        parts = -((-excess * self._overload_scale()) // np.maximum(1, self._overload_room(hosts)))
        summed: Ints = np.where(self.plannable[hosts], parts.sum(axis=1), 0)
        return summed

    def _overload_scale(self) -> Ints:
        scale = np.full(len(RESOURCES), PPM, dtype=np.int64)
        scale[VCPUS] *= 1000
        return scale

    def _overload_room(self, hosts: Index) -> Ints:
        whole = self.room[hosts].copy()
        whole[:, VCPUS] = whole[:, CPU]
        return whole

    def overload_ratio(self, host: int, resource: int) -> tuple[int, int]:
        """Return (scale, room): the overload of one resource is ceil(excess x scale / room)."""
        whole = self._overload_room(np.array([host], dtype=np.intp))[0, resource]
        return int(self._overload_scale()[resource]), max(1, int(whole))

    def place_of(self, placement: Mapping[str, str]) -> Index:
        """Return a placement by ids as host indices per guest; guests not named stay where they started."""
        place = self.home.copy()
        for guest, host in placement.items():
            place[self.guest_index[guest]] = self.host_index[host]
        return place

    def placement_of(self, place: Index) -> dict[str, str]:
        """Return host indices per guest as ids."""
        return {guest: self.host_ids[host] for guest, host in zip(self.guest_ids, place.tolist(), strict=True)}


def build(problem: Problem) -> Instance:
    """Return the array form of a problem."""
    snapshot = problem.snapshot
    hosts = sorted(snapshot.hosts, key=lambda host: host.id)
    guests = sorted(snapshot.guests, key=lambda guest: guest.id)
    host_index = {host.id: i for i, host in enumerate(hosts)}
    guest_index = {guest.id: i for i, guest in enumerate(guests)}
    host_ids = tuple(host_index)
    shape = (len(hosts), len(RESOURCES))
    demands = np.array([[demand(guest, one) for one in RESOURCES] for guest in guests], dtype=np.int64)
    demands = demands.reshape(len(guests), len(RESOURCES))
    rooms = np.array([[_known(room(host, one)) for one in RESOURCES] for host in hosts], dtype=np.int64).reshape(shape)
    limits = np.array(
        [[_known(limit(host, one, problem.limits)) for one in RESOURCES] for host in hosts], dtype=np.int64
    ).reshape(shape)
    home = np.array([host_index[guest.host] for guest in guests], dtype=np.intp)
    use = np.zeros_like(rooms)
    np.add.at(use, home, demands)
    plannable = np.array([snapshot.why_unplannable(host) is None for host in hosts], dtype=np.bool_)
    target = np.array([host.id in set(problem.targets) for host in hosts], dtype=np.bool_)

    lowered = [lower(form, guest_index, host_ids) for form in problem.forms]
    forms = tuple(form for form in lowered if isinstance(form, ArrayForm))
    if isinstance(problem.goal, RepairGoal):
        # Repair has no goal that soft rules could be part of.
        forms = tuple(form for form in forms if form.binding)
    overloaded = plannable & (use > limits).any(axis=1)
    movable, allowed = _movable(problem, guest_index, host_index, home, target, forms, overloaded)
    mib = np.array([guest.memory_mib for guest in guests], dtype=np.int64)
    goal = goal_arrays(problem, host_index, forms, home, demands, rooms, limits, use, mib)
    headroom = np.maximum(limits, use)
    if goal.sleep is not None:
        headroom[:, [CPU, MEMORY]] = np.minimum(headroom[:, [CPU, MEMORY]], goal.sleep.offer)
    return Instance(
        problem=problem,
        host_ids=host_ids,
        guest_ids=tuple(guest_index),
        guest_index=guest_index,
        host_index=host_index,
        demand=demands,
        room=rooms,
        limit=limits,
        cap=np.maximum(limits, use),
        headroom=headroom,
        plannable=plannable,
        target=target,
        home=home,
        movable=movable,
        allowed=allowed,
        mib=mib,
        forms=forms,
        move_caps=tuple(form for form in lowered if isinstance(form, MoveCap)),
        max_moves=len(movable) if problem.max_moves is None else min(problem.max_moves, len(movable)),
        goal=goal,
    )


def _known(figure: int | None) -> int:
    return UNLIMITED if figure is None else figure


def _movable(
    problem: Problem,
    guest_index: Mapping[str, int],
    host_index: Mapping[str, int],
    home: Index,
    target: Bools,
    forms: tuple[ArrayForm, ...],
    overloaded: Bools,
) -> tuple[Index, Bools]:
    """Movable guests that can go anywhere, and where to, bool[hosts, movable].

    A guest on a cordoned host that is not drained may move only for repair: when it is in a broken rule or its host is
    overloaded. A guest within the hosts of a binding mask never leaves them.
    """
    leaving = set(problem.goal.drained) if isinstance(problem.goal, DrainGoal) else set()
    broken = np.zeros(len(home), dtype=np.bool_)
    for form in forms:
        if form.binding and form.broken(home) > 0:
            broken[form.members] = True
    rows: dict[frozenset[str], Bools] = {}
    movable: list[int] = []
    columns: list[Bools] = []
    for guest_id in sorted(problem.movable):
        guest = guest_index[guest_id]
        start = int(home[guest])
        source = problem.snapshot.guest_by_id[guest_id].host
        if not target[start] and source not in leaving and not (broken[guest] or overloaded[start]):
            continue
        hosts = problem.allowed[guest_id]
        if hosts not in rows:
            row = np.zeros(len(target), dtype=np.bool_)
            row[[host_index[host] for host in hosts if host in host_index]] = True
            rows[hosts] = row & target
        movable.append(guest)
        columns.append(rows[hosts])
    allowed = np.array(columns, dtype=np.bool_).reshape(len(movable), len(target)).T.copy()
    position = np.full(len(home), -1, dtype=np.intp)
    position[movable] = np.arange(len(movable))
    for form in forms:
        _keep_masks(form, home, position, allowed)
    allowed[home[movable], np.arange(len(movable))] = True
    useful = allowed.sum(axis=0) > 1
    return np.array(movable, dtype=np.intp)[useful], allowed[:, useful]


def _keep_masks(form: ArrayForm, home: Index, position: Index, allowed: Bools) -> None:
    if not isinstance(form, Masked) or form.enforcement is Enforcement.SOFT:
        return
    inside = form.members[form.cell[home[form.members]] == 1]
    columns = position[inside]
    columns = columns[columns >= 0]
    allowed[:, columns] &= (form.cell == 1)[:, None]
