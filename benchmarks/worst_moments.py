"""The worst moments of a plan, found exactly and apart from planner and checker: an oracle for both.

A step is waiting, under way or finished. "Started" needs all that it waits for to be finished, "finished" needs
"started": two nodes a step, and a moment of the plan is a closed set of this graph. What a host then holds at most is a
closure of greatest weight: an arrival weighs its demand from its start on, a departure gives it back when finished. One
minimum cut finds it (Picard 1976); nothing is reduced or implied beforehand. CPU is counted at both ends as well: a
guest may reach its target at any moment of its migration, so the worst is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from math import floor

from ortools.graph.python.max_flow import SimpleMaxFlow

from cluster.guest import Guest
from cluster.host import Host
from cluster.limits import Limits
from cluster.plan import Migrate, Sleep, Step, Wake
from cluster.rules import Affinity, AntiAffinity, Enforcement, Forbid, Near, Pin, Rule, Spread
from cluster.snapshot import Snapshot

MOST_STEPS_OF_A_RULE = 14
"""Steps of one rule whose moments are enumerated; a rule with more raises `TooManyError`."""

Places = Mapping[str, frozenset[str]]
"""Hosts each guest counts on."""


class TooManyError(Exception):
    """A rule has more steps than can be enumerated."""


def unsafe(snapshot: Snapshot, limits: Limits, steps: Sequence[Step]) -> list[str]:
    """Return what some moment of the steps breaks, a sentence each; empty: safe at every moment."""
    return [
        *impossible_moves(snapshot, steps),
        *overfilled(snapshot, limits, steps),
        *worse_rules(snapshot, steps),
        *wrong_power(snapshot, steps),
    ]


# -- moves ---------------------------------------------------------------------------------------------------------


def befores(steps: Sequence[Step]) -> dict[str, set[str]]:
    """Return all steps that must be finished before each step, however far back."""
    direct = {step.id: set(step.after) for step in steps}
    found: dict[str, set[str]] = {}
    for one in direct:
        todo, seen = list(direct[one]), set[str]()
        while todo:
            if (step := todo.pop()) not in seen:
                seen.add(step)
                todo += direct[step]
        found[one] = seen
    return found


def impossible_moves(snapshot: Snapshot, steps: Sequence[Step]) -> Iterator[str]:
    """Yield each migration that may start while its guest is not at its source, or is under way already."""
    before = befores(steps)
    moves: dict[str, list[Migrate]] = {}
    for step in steps:
        if step.id in before[step.id]:
            yield f"{step.id} waits for itself"
            return
        if isinstance(step, Migrate):
            moves.setdefault(step.guest, []).append(step)
    for guest, own in moves.items():
        own.sort(key=lambda step: sum(other.id in before[step.id] for other in own))
        place = snapshot.guest_by_id[guest].host
        for number, step in enumerate(own):
            if any(other.id not in before[step.id] for other in own[:number]) or step.source != place:
                yield f"{step.id} may start while {guest} is not at {step.source}"
            place = step.target


# -- room ----------------------------------------------------------------------------------------------------------

DEMANDS: Mapping[str, Callable[[Guest], float]] = {
    "cpu": lambda one: one.usage.cpu_millicores or 0,
    "memory": lambda one: one.memory_mib + one.overhead_mib,
    "vcpus": lambda one: one.vcpus,
    "network": lambda one: one.usage.net_mbit_s or 0,
    "disk": lambda one: one.usage.disk_mib_s or 0,
    "huge pages": lambda one: one.hugepages_mib,
    "local disk": lambda one: one.local_disk_mib,
}


def demand(guest: Guest, what: str) -> int:
    """Return a guest's demand, rounded up to whole units."""
    return -floor(-DEMANDS[what](guest))


def rooms(host: Host, limits: Limits) -> dict[str, int]:
    """Return what plans may put on a host, of what is limited there."""
    cores, memory = host.cpu_millicores - host.reserved.cpu_millicores, host.memory_mib - host.reserved.memory_mib
    found: dict[str, float | None] = {
        "cpu": max(0, cores) * limits.cpu,
        "memory": max(0, memory) * limits.memory,
        "vcpus": max(0, cores) * limits.vcpus_per_core / 1000,
        "network": None if host.net_mbit_s is None else host.net_mbit_s * limits.network,
        "disk": None if host.disk_mib_s is None else host.disk_mib_s * limits.disk,
        "huge pages": host.hugepages_mib,
        "local disk": host.local_disk_mib,
    }
    # A millionth keeps 0.1 + 0.2 from losing a unit.
    return {what: floor(room + 1e-6) for what, room in found.items() if room is not None}


def overfilled(snapshot: Snapshot, limits: Limits, steps: Sequence[Step]) -> Iterator[str]:
    """Yield each host and resource that some moment fills beyond its room, or beyond what it held at the start."""
    for host in snapshot.hosts:
        for what, room in rooms(host, limits).items():
            start = sum(demand(one, what) for one in snapshot.guests if one.host == host.id)
            worst = start + greatest_added(snapshot, steps, host.id, what)
            if worst > max(room, start):
                yield f"{what} of {host.id}: {worst} at worst, {room} allowed, {start} at the start"


def greatest_added(snapshot: Snapshot, steps: Sequence[Step], host: str, what: str) -> int:
    """Return the most that a moment adds to what a host holds at the start."""
    node = {step.id: 2 * number for number, step in enumerate(steps)}
    source, sink = 2 * len(steps), 2 * len(steps) + 1
    arriving: list[tuple[int, int]] = []
    leaving: list[tuple[int, int]] = []
    for step in steps:
        if isinstance(step, Migrate) and (amount := demand(snapshot.guest_by_id[step.guest], what)):
            if step.target == host:
                arriving.append((node[step.id], amount))
            if step.source == host:
                leaving.append((node[step.id] + 1, amount))
    if not arriving:
        return 0
    whole = sum(amount for _, amount in arriving)
    flow = SimpleMaxFlow()
    for step in steps:
        flow.add_arc_with_capacity(node[step.id] + 1, node[step.id], whole)
        for earlier in step.after:
            flow.add_arc_with_capacity(node[step.id], node[earlier] + 1, whole)
    for started, amount in arriving:
        flow.add_arc_with_capacity(source, started, amount)
    for finished, amount in leaving:
        flow.add_arc_with_capacity(finished, sink, amount)
    if not leaving:
        return whole
    if flow.solve(source, sink) != flow.OPTIMAL:
        raise AssertionError("a cut exists for every closure")
    return whole - int(flow.optimal_flow())


# -- rules ---------------------------------------------------------------------------------------------------------


def worse_rules(snapshot: Snapshot, steps: Sequence[Step]) -> Iterator[str]:
    """Yield each rule that some moment makes worse than it was at the start.

    Affinity and near may be worse while their group moves, not when all is done. Soft rules bind nobody.
    """
    before = befores(steps)
    moves = [step for step in steps if isinstance(step, Migrate)]
    moves.sort(key=lambda step: len(before[step.id]))
    start = {one.id: frozenset((one.host,)) for one in snapshot.guests}
    for rule in snapshot.rules:
        if rule.enforcement is Enforcement.SOFT or not isinstance(
            rule, AntiAffinity | Spread | Pin | Forbid | Affinity | Near
        ):
            continue
        limit = count_broken(rule, snapshot, start)
        if isinstance(rule, Affinity | Near):
            if count_broken(rule, snapshot, _after(start, moves)) > limit:
                yield f"{rule.name} is worse at the end"
            continue
        chosen = {one.id for one in snapshot.guests if rule.guests.matches(one)}
        own = [move for move in moves if move.guest in chosen]
        for finished, under_way in _moments(own, before):
            settled = _after(start, finished)
            both = {**settled, **{move.guest: settled[move.guest] | {move.target} for move in under_way}}
            # A guest under way counts on both hosts, which helps a spread: it is looked at without, too.
            if max(count_broken(rule, snapshot, settled), count_broken(rule, snapshot, both)) > limit:
                yield f"{rule.name} is worse with {_ids(finished)} finished and {_ids(under_way)} under way"
                break


def _moments(
    moves: Sequence[Migrate], before: Mapping[str, set[str]]
) -> Iterator[tuple[tuple[Migrate, ...], tuple[Migrate, ...]]]:
    """Yield every set of these moves that may be finished, each with all the others that may then be under way."""
    if len(moves) > MOST_STEPS_OF_A_RULE:
        raise TooManyError(f"{len(moves)} steps of one rule")
    ids = {move.id for move in moves}
    needs = {move.id: before[move.id] & ids for move in moves}
    for many in range(len(moves) + 1):
        for finished in combinations(moves, many):
            done = {move.id for move in finished}
            if all(needs[one] <= done for one in done):
                yield finished, tuple(move for move in moves if move.id not in done and needs[move.id] <= done)


def _after(start: Places, finished: Sequence[Migrate]) -> Places:
    """Return the places once these moves, in an order that `after` allows, are finished."""
    return {**start, **{move.guest: frozenset((move.target,)) for move in finished}}


def _ids(moves: Sequence[Migrate]) -> str:
    return " ".join(move.id for move in moves) or "nothing"


def count_broken(rule: Rule, snapshot: Snapshot, places: Places) -> int:
    """Count what is broken of a rule: pairs for affinities, missing cells for a spread, guests for the others."""
    chosen = [one for one in snapshot.guests if rule.guests.matches(one)]
    cell = {one.id: one.domain(getattr(rule, "domain", "host")) for one in snapshot.hosts}
    cells = {one.id: {cell[host] for host in places[one.id]} for one in snapshot.guests}
    match rule:
        case AntiAffinity():
            return sum(1 for a, b in combinations(chosen, 2) if cells[a.id] & cells[b.id])
        case Affinity():
            return sum(1 for a, b in combinations(chosen, 2) if not cells[a.id] & cells[b.id])
        case Spread():
            return max(0, rule.at_least - len(set().union(*(cells[one.id] for one in chosen)))) if chosen else 0
        case Pin() | Forbid():
            named = {one.id for one in snapshot.hosts if rule.hosts.matches(one)}
            good = named if isinstance(rule, Pin) else {one.id for one in snapshot.hosts} - named
            return sum(1 for one in chosen if not places[one.id] <= good)
        case Near():
            near = [one for one in snapshot.guests if rule.to.matches(one)]
            return sum(
                1 for one in chosen if not any(cells[one.id] & cells[other.id] for other in near if other is not one)
            )
    return 0


# -- power ---------------------------------------------------------------------------------------------------------


def wrong_power(snapshot: Snapshot, steps: Sequence[Step]) -> Iterator[str]:
    """Yield each host that may sleep with a guest on it or on its way, or take one before it is awake."""
    before = befores(steps)
    moves = [step for step in steps if isinstance(step, Migrate)]
    for step in steps:
        if isinstance(step, Sleep):
            touching = [move for move in moves if step.host in (move.source, move.target)]
            if any(move.id not in before[step.id] for move in touching):
                yield f"{step.id} may put {step.host} to sleep while a migration from or to it is not finished"
            start = [one.id for one in snapshot.guests if one.host == step.host]
            balance = len(start) + sum((move.target == step.host) - (move.source == step.host) for move in touching)
            if balance:
                yield f"{step.id} puts {step.host} to sleep with {balance} guests on it"
        elif isinstance(step, Wake):
            for move in moves:
                if move.target == step.host and step.id not in before[move.id]:
                    yield f"{move.id} may start before {step.host} is awake"
