"""From a safe sequence of moves to a safe partial order, so that independent moves can run together.

Room is handed on as tokens: a host's free room at the start and what each departure frees are tokens, each used by one
arrival, which then waits for the departures whose tokens it uses. In every set of finished moves closed under these
edges, with any that may start under way, arrivals hold only room that is really free: the sum argument behind partial
order schedules (Policella et al., ICAPS 2004). Rules whose count is not a sum are kept by a chain through their group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from cluster.limits import Resource
from cluster.problem import ApartInCells, AtLeastCells, HostMask, Problem
from scheduler.planner.state import HostUse, Move, OrderedForm, ordered_forms


def order_edges(problem: Problem, moves: Sequence[Move]) -> list[tuple[int, ...]]:
    """Return, for each move, the indices of the moves it must wait for, implied ones left out. All are earlier."""
    after: list[set[int]] = [set() for _ in moves]
    _room_edges(problem, moves, after)
    by_guest: dict[str, list[int]] = {}
    for index, move in enumerate(moves):
        by_guest.setdefault(move.guest, []).append(index)
    for form in ordered_forms(problem.forms):
        _rule_edges(problem, form, moves, by_guest, after)
    for steps in by_guest.values():
        for earlier, later in pairwise(steps):
            after[later].add(earlier)
    return _reduced(after)


def _room_edges(problem: Problem, moves: Sequence[Move], after: list[set[int]]) -> None:
    use = HostUse(problem)
    tokens: dict[tuple[str, Resource], list[tuple[int, int]]] = {
        (host, resource): [(-1, most - use.used[host][resource])]
        for host, by_resource in use.most.items()
        for resource, most in by_resource.items()
    }
    for index, move in enumerate(moves):
        for resource, amount in use.demand(move.guest).items():
            if (move.target, resource) in tokens:
                after[index] |= _take(tokens[move.target, resource], amount)
            if (move.source, resource) in tokens:
                tokens[move.source, resource].append((index, amount))


def _take(tokens: list[tuple[int, int]], amount: int) -> set[int]:
    """Use up `amount`, room that is free from the start first, then what was freed earliest; return whose it was."""
    waits_for: set[int] = set()
    while amount > 0:
        if not tokens:
            raise AssertionError("the sequence of moves was not feasible")
        index, left = tokens[0]
        used = min(left, amount)
        amount -= used
        if used and index >= 0:
            waits_for.add(index)
        if used == left:
            tokens.pop(0)
        else:
            tokens[0] = (index, left - used)
    return waits_for


def _rule_edges(
    problem: Problem,
    form: OrderedForm,
    moves: Sequence[Move],
    by_guest: Mapping[str, Sequence[int]],
    after: list[set[int]],
) -> None:
    steps = sorted(index for guest in set(form.guests) for index in by_guest.get(guest, ()))
    if len(steps) < 2:
        return
    where = {guest: problem.snapshot.guest_by_id[guest].host for guest in form.guests}
    if isinstance(form, HostMask):
        if all(moves[index].target in form.hosts for index in steps):
            return
    elif isinstance(form, AtLeastCells):
        stays = {form.cell_of_host[host] for guest, host in where.items() if guest not in by_guest}
        start = {form.cell_of_host[host] for host in where.values()}
        if len(stays) >= min(form.at_least, len(start)):
            return
    elif _cell_edges(form, where, moves, steps, after):
        return
    for earlier, later in pairwise(steps):
        after[later].add(earlier)


def _cell_edges(
    form: ApartInCells, where: Mapping[str, str], moves: Sequence[Move], steps: Sequence[int], after: list[set[int]]
) -> bool:
    """Hand on places in cells, each for one guest or as many as at the start. False: the sequence needs more."""
    places: dict[str, list[tuple[int, int]]] = {form.cell_of_host[host]: [] for host in where.values()}
    edges: list[tuple[int, int]] = []
    for index in steps:
        source, target = (form.cell_of_host[host] for host in (moves[index].source, moves[index].target))
        if source == target:
            continue
        # A cell that held none at the start has one place.
        places.setdefault(target, [(-1, 1)])
        if not places[target]:
            return False
        edges.extend((index, earlier) for earlier in _take(places[target], 1))
        places[source].append((index, 1))
    for later, earlier in edges:
        after[later].add(earlier)
    return True


def _reduced(after: Sequence[set[int]]) -> list[tuple[int, ...]]:
    """Leave out edges that other edges imply."""
    ancestors: list[int] = []
    reduced: list[tuple[int, ...]] = []
    for waits_for in after:
        implied = 0
        for index in waits_for:
            implied |= ancestors[index]
        reduced.append(tuple(index for index in sorted(waits_for) if not implied >> index & 1))
        ancestors.append(implied | sum(1 << index for index in waits_for))
    return reduced
