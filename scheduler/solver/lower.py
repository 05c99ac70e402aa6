"""How a `Problem` becomes arrays: sorted ids become indices, so that the order of hosts and guests has no influence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cluster.guest import Guest
from cluster.limits import DEMANDS, Resource, limit, room
from cluster.problem import ConsolidateGoal, DrainGoal, Problem, RepairGoal
from scheduler.solver.forms import ArrayForm, Bools, Cells, Index, Ints, Masked, MoveCap, lower
from scheduler.solver.instance import UNLIMITED, Instance, make_instance
from scheduler.solver.lower_goal import cpu_column, lower_goal
from scheduler.solver.terms import PPM

RESOURCES = tuple(Resource)
CPU, MEMORY, VCPUS = (RESOURCES.index(one) for one in (Resource.CPU, Resource.MEMORY, Resource.VCPUS))


@dataclass(frozen=True, eq=False)
class Case:
    """A problem with its array form, and the ids that the indices stand for."""

    problem: Problem
    instance: Instance
    host_ids: tuple[str, ...]
    guest_ids: tuple[str, ...]
    host_index: Mapping[str, int]
    guest_index: Mapping[str, int]

    def place_of(self, placement: Mapping[str, str]) -> Index:
        """Return a placement by ids as seats; guests not named stay where they started."""
        place = self.instance.home.copy()
        for guest, host in placement.items():
            place[self.guest_index[guest]] = self.host_index[host]
        return place

    def placement_of(self, place: Index) -> dict[str, str]:
        """Return seats as ids of hosts by guest."""
        hosts = self.instance.host_of(place).tolist()
        return {guest: self.host_ids[host] for guest, host in zip(self.guest_ids, hosts, strict=True)}


def lower_problem(problem: Problem) -> Case:
    """Return the array form of a problem."""
    snapshot = problem.snapshot
    hosts = sorted(snapshot.hosts, key=lambda host: host.id)
    guests = sorted(snapshot.guests, key=lambda guest: guest.id)
    host_index = {host.id: i for i, host in enumerate(hosts)}
    guest_index = {guest.id: i for i, guest in enumerate(guests)}
    shape = (len(hosts), len(RESOURCES))
    demands = np.column_stack([np.fromiter(map(DEMANDS[one], guests), np.int64, len(guests)) for one in RESOURCES])
    rooms = np.array([[_known(room(host, one)) for one in RESOURCES] for host in hosts], dtype=np.int64).reshape(shape)
    limits = np.array(
        [[_known(limit(host, one, problem.limits)) for one in RESOURCES] for host in hosts], dtype=np.int64
    ).reshape(shape)
    scale = np.full(len(RESOURCES), PPM, dtype=np.int64)
    scale[VCPUS] *= 1000
    overload_room = rooms.copy()
    overload_room[:, VCPUS] = rooms[:, CPU]
    if isinstance(problem.goal, ConsolidateGoal) and problem.goal.planned_millicores is not None:
        # Planned use is a resource of its own: what runs now keeps to the limits, what is planned to head-room.
        demands = np.column_stack([demands, planned_demand(problem.goal.planned_millicores, guests)])
        relief = limits[:, CPU] * round(problem.goal.relief_ratio * PPM) // PPM
        rooms, limits = np.column_stack([rooms, rooms[:, CPU]]), np.column_stack([limits, relief])
        scale, overload_room = np.append(scale, PPM), np.column_stack([overload_room, rooms[:, CPU]])
    home = np.array([host_index[guest.host] for guest in guests], dtype=np.intp)
    use = np.zeros_like(rooms)
    np.add.at(use, home, demands)
    plannable = np.array([snapshot.why_unplannable(host) is None for host in hosts], dtype=np.bool_)
    targets = set(problem.targets)
    target = np.array([host.id in targets for host in hosts], dtype=np.bool_)

    host_ids, cells = tuple(host_index), Cells()
    lowered = [lower(form, guest_index, host_ids, cells) for form in problem.forms]
    forms = tuple(form for form in lowered if isinstance(form, ArrayForm))
    if isinstance(problem.goal, RepairGoal):
        # Repair has no goal that soft rules could be part of.
        forms = tuple(form for form in forms if form.binding)
    movable, mask_of, masks = _movable(
        problem, guest_index, host_index, home, target, forms, plannable & (use > limits).any(axis=1)
    )
    mib = np.array([guest.memory_mib for guest in guests], dtype=np.int64)
    goal = lower_goal(problem, host_index, forms, home, demands, rooms, limits, use, mib)
    headroom = np.maximum(limits, use)
    if goal.sleep is not None:
        kept = [cpu_column(limits), MEMORY]
        headroom[:, kept] = np.minimum(headroom[:, kept], goal.sleep.offer[:, :2])
    instance = make_instance(
        demand=demands,
        capacity=rooms,
        home=home,
        goal=goal,
        limit=limits,
        headroom=headroom,
        overload_scale=scale,
        overload_room=overload_room,
        plannable=plannable,
        target=target,
        movable=movable,
        mask_of=mask_of,
        masks=masks,
        mib=mib,
        forms=forms,
        move_caps=tuple(form for form in lowered if isinstance(form, MoveCap)),
        max_moves=problem.max_moves,
    )
    return Case(problem, instance, tuple(host_index), tuple(guest_index), host_index, guest_index)


def planned_demand(planned: Mapping[str, int], guests: Sequence[Guest]) -> Ints:
    """Return what each guest is planned to use of CPU, millicores int64[guests]; its use where nothing is planned."""
    figures = (planned.get(guest.id, guest.usage.cpu_millicores or 0) for guest in guests)
    return np.fromiter(figures, np.int64, len(guests))


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
) -> tuple[Index, Index, Bools]:
    """Movable guests that can go anywhere, each one's mask, and the masks of hosts, bool[masks, hosts].

    A guest on a cordoned host that is not drained may move only for repair: when it is in a broken rule or its host is
    overloaded. A guest within the hosts of a binding mask never leaves them.
    """
    leaving = set(problem.goal.drained) if isinstance(problem.goal, DrainGoal) else set()
    broken = np.zeros(len(home), dtype=np.bool_)
    kept_in: dict[int, list[int]] = {}
    for number, form in enumerate(forms):
        if not form.binding:
            continue
        if form.broken(home) > 0:
            broken[form.members] = True
        if isinstance(form, Masked):
            for guest in form.members[form.cell[home[form.members]] == 1].tolist():
                kept_in.setdefault(guest, []).append(number)
    rows: dict[frozenset[str], Bools] = {}
    kinds: dict[tuple[int, tuple[int, ...]], int] = {}
    masks: list[Bools] = []
    targets: list[int] = []
    movable: list[int] = []
    mask_of: list[int] = []
    # Lists, because single elements of arrays are slow to get at.
    starts, takes, may_repair = home.tolist(), target.tolist(), (broken | overloaded[home]).tolist()
    for guest_id in sorted(problem.movable):
        guest = guest_index[guest_id]
        start = starts[guest]
        source = problem.snapshot.guest_by_id[guest_id].host
        if not takes[start] and source not in leaving and not may_repair[guest]:
            continue
        hosts = problem.allowed[guest_id]
        if hosts not in rows:
            row = np.zeros(len(target), dtype=np.bool_)
            row[[host_index[host] for host in hosts if host in host_index]] = True
            rows[hosts] = row & target
        kind = (id(rows[hosts]), tuple(kept_in.get(guest, ())))
        if kind not in kinds:
            mask = rows[hosts].copy()
            for form_number in kind[1]:
                mask &= forms[form_number].cell == 1
            kinds[kind] = len(masks)
            masks.append(mask)
            targets.append(int(mask.sum()))
        number = kinds[kind]
        if targets[number] > 1 or (targets[number] == 1 and not masks[number][start]):
            movable.append(guest)
            mask_of.append(number)
    every = np.array(masks, dtype=np.bool_).reshape(len(masks), len(target))
    return np.array(movable, dtype=np.intp), np.array(mask_of, dtype=np.intp), every
