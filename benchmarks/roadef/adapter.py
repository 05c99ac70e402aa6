"""A machine reassignment problem as the engine's general array form; a placement comes back as it is.

What the challenge calls a process is a guest and a machine a host. Conflict is apart by host, spread at least so many
locations, dependency within the neighborhoods of another group; safety capacity is a soft limit, balance a spare
ratio; the three prices of moving are those per guest, of the most crowded group, and per pair of hosts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypedDict

import numpy as np

from benchmarks.integers import IntArray
from benchmarks.roadef.instance import Reassignment
from cluster.rules import Enforcement
from scheduler.solver.forms import Apart, ArrayForm, AtLeast, Index, Within
from scheduler.solver.goal import Crowd, GoalArrays, PairPrice
from scheduler.solver.instance import Instance, make_instance
from scheduler.solver.terms import HostTerm, SoftLimit, SpareRatio


def to_instance(problem: Reassignment) -> Instance:
    """Return the problem in the engine's form; its goal is the challenge's cost to the unit."""
    machines, processes = len(problem.capacity), len(problem.initial)
    terms: list[HostTerm] = [SoftLimit(limit=problem.safety, weight=problem.load_weight)]
    for one in problem.balances:
        columns = (one.first, one.second)
        terms.append(SpareRatio(columns, problem.capacity[:, columns], one.target, one.weight))
    goal = GoalArrays(
        terms=tuple(terms),
        price=problem.process_move_weight * problem.process_move_cost,
        left=np.zeros(machines, dtype=np.bool_),
        left_weight=np.zeros(processes, dtype=np.int64),
        pair_price=PairPrice(
            zone=np.arange(machines, dtype=np.int64), price=problem.machine_move_weight * problem.machine_move_cost
        ),
        crowd=Crowd(group=problem.service, weight=problem.service_move_weight),
        hosts=np.arange(machines, dtype=np.intp),
    )
    return make_instance(
        demand=problem.requirement,
        capacity=problem.capacity,
        home=problem.initial.astype(np.intp),
        goal=goal,
        transient=problem.transient,
        forms=tuple(_forms(problem)),
    )


def to_placement(place: Index) -> IntArray:
    """Return the machine of each process."""
    return place.astype(np.int64)


def _forms(problem: Reassignment) -> Iterator[ArrayForm]:
    """Conflict, spread and dependency of every service that has them."""
    machines, services = len(problem.capacity), len(problem.spread_min)
    order = np.argsort(problem.service, kind="stable").astype(np.intp)
    begin = np.searchsorted(problem.service[order], np.arange(services + 1))
    members = [order[begin[service] : begin[service + 1]] for service in range(services)]
    machine = np.arange(machines, dtype=np.intp)
    locations, location = np.unique(problem.location, return_inverse=True)
    neighborhoods, neighborhood = np.unique(problem.neighborhood, return_inverse=True)
    location, neighborhood = location.astype(np.intp), neighborhood.astype(np.intp)
    for service, group in enumerate(members):
        if len(group) > 1:
            yield Apart(**_common(f"conflict-{service}", group, machine, machines))
        least = int(problem.spread_min[service])
        if least > 1:
            yield AtLeast(**_common(f"spread-{service}", group, location, len(locations)), at_least=least)
        for need in sorted(set(problem.dependencies[service]) - {service}):
            both = np.concatenate([group, members[need]])
            kinds = np.repeat(np.array([0, 1], dtype=np.intp), [len(group), len(members[need])])
            rise = np.argsort(both, kind="stable")
            common = _common(f"dependency-{service}-{need}", both[rise], neighborhood, len(neighborhoods), kinds[rise])
            common["selected"] = len(group)
            yield Within(**common)


class _Common(TypedDict):
    """What every form has."""

    rule: str
    enforcement: Enforcement
    weight: float
    members: Index
    selected: int
    cell: Index
    cells: int
    kinds: Index


def _common(rule: str, members: Index, cell: Index, cells: int, kinds: Index | None = None) -> _Common:
    return _Common(
        rule=rule,
        enforcement=Enforcement.HARD,
        weight=1.0,
        members=members,
        selected=len(members),
        cell=cell,
        cells=cells,
        kinds=np.zeros(len(members), dtype=np.intp) if kinds is None else kinds,
    )
