"""Tiny problems and instances, and their answers by trying every placement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations, product
from math import prod

import numpy as np
from hypothesis import strategies as st

from cluster.config.settings import ConsolidateSettings
from cluster.problem import Problem
from cluster.snapshot import Snapshot
from policies.registry import make_problem
from scheduler.solver.evaluate import Value, evaluate, occupied, why_not_valid
from scheduler.solver.forms import Bools, Index
from scheduler.solver.instance import Instance
from scheduler.solver.meter import Budget
from tests.strategies import snapshots

MOST_PLACEMENTS = 800
ENOUGH = Budget(work_limit=20.0)
"""Work that proves any of these tiny problems."""


@dataclass(frozen=True)
class Possible:
    """A valid placement with its sleeping hosts and its value."""

    place: Index
    asleep: Bools | None
    value: Value


def every_valid(instance: Instance) -> Iterator[Possible]:
    """All valid placements of an instance, with every choice of sleeping hosts."""
    for chosen in product(*_choices(instance)):
        place = instance.home.copy()
        place[instance.movable] = chosen
        if why_not_valid(instance, place) is not None:
            continue
        for asleep in _sleepers(instance, place):
            if why_not_valid(instance, place, asleep) is None:
                yield Possible(place, asleep, evaluate(instance, place, asleep))


def _choices(instance: Instance) -> list[list[int]]:
    """The seats of every movable guest that its own demand fits into."""
    choices = []
    for position, guest in enumerate(instance.movable.tolist()):
        seats = []
        for host in np.flatnonzero(instance.may_use(position)).tolist():
            fits = (instance.demand[guest] <= instance.cap[host]).all(axis=1) & instance.usable[guest]
            seats += [host * instance.modes + mode for mode in np.flatnonzero(fits).tolist()]
        choices.append(seats)
    return choices


def _sleepers(instance: Instance, place: Index) -> Iterator[Bools | None]:
    if instance.goal.sleep is None:
        yield None
        return
    empty = np.flatnonzero(~occupied(instance, place)).tolist()
    for many in range(len(empty) + 1):
        for some in combinations(empty, many):
            asleep = np.zeros(instance.hosts, dtype=np.bool_)
            asleep[list(some)] = True
            yield asleep


def is_tiny(instance: Instance) -> bool:
    """Whether there are few enough placements to try them all."""
    return prod(len(seats) for seats in _choices(instance)) <= MOST_PLACEMENTS


@st.composite
def problems(draw: st.DrawFn, policy: str, *, level: int | None = None, capped: bool = True) -> Problem:
    """A problem of a policy over at most 4 hosts and 5 guests."""
    snapshot = draw(snapshots(max_hosts=4, max_guests=5, min_hosts=2, max_rules=3))
    return problem_of(
        policy,
        snapshot,
        level=draw(st.integers(1, 5)) if level is None else level,
        max_moves=draw(st.none() | st.integers(0, 3)) if capped else None,
        reserve_hosts=draw(st.integers(0, 1)),
    )


def problem_of(policy: str, snapshot: Snapshot, *, level: int, max_moves: int | None, reserve_hosts: int) -> Problem:
    """The problem of a policy; a drain is of the first host."""
    return make_problem(
        policy,
        snapshot,
        level=level,
        max_moves=max_moves,
        drained=(min(host.id for host in snapshot.hosts),) if policy == "drain" else (),
        consolidate=ConsolidateSettings(headroom_ratio=0.1, reserve_hosts=reserve_hosts),
    )


def moved_to(snapshot: Snapshot, placement: dict[str, str]) -> Snapshot:
    """The snapshot after the moves of a placement."""
    guests = tuple(replace(guest, host=placement[guest.id]) for guest in snapshot.guests)
    return replace(snapshot, guests=guests)
