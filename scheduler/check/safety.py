"""Whether a plan is safe at every moment: over every set of finished steps closed under `after`, and any under way.

Room: the worst closed set of a host and resource is a closure of greatest weight over its arrivals (which take room
when they start, once all they wait for is done) and the departures they wait for (which give room back), found exactly
by a minimum cut (Picard 1976). Pin and forbid: likewise, with the hosts that a guest may not be on as one host of which
each guest takes one. Other rules: a sufficient test, else every state of a rule's own steps is enumerated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from cluster.limits import Limits
from cluster.plan import Migrate, Step
from cluster.rules import Affinity, AntiAffinity, Enforcement, Forbid, Near, Pin, Rule, Spread
from cluster.snapshot import Snapshot
from scheduler.check.load import RESOURCES, demand_of, most_of, use_of
from scheduler.check.rules import broken, members, settled

MOST_STATES = 50_000
"""States of one rule's steps that are looked at; a rule with more is reported, not passed."""


def ancestors_of(steps: Sequence[Step]) -> dict[str, frozenset[str]]:
    """Return the steps that each step waits for, directly or not. Steps must come in an order that `after` allows."""
    found: dict[str, frozenset[str]] = {}
    for step in steps:
        found[step.id] = frozenset(step.after).union(*(found[earlier] for earlier in step.after))
    return found


def unsafe_room(
    snapshot: Snapshot, limits: Limits, steps: Sequence[Step], resources: Sequence[str] = RESOURCES
) -> Iterator[str]:
    """Yield a sentence for each host and resource that some moment of the plan overfills."""
    ancestors = ancestors_of(steps)
    arriving: dict[str, list[Migrate]] = {}
    leaving: dict[str, dict[str, Migrate]] = {}
    for step in steps:
        if isinstance(step, Migrate):
            arriving.setdefault(step.target, []).append(step)
            leaving.setdefault(step.source, {})[step.id] = step
    guests = snapshot.guest_by_id
    for host in snapshot.hosts:
        arrivals, departures = arriving.get(host.id, []), leaving.get(host.id, {})
        if not arrivals:
            continue
        for resource in resources:
            most = most_of(host, resource, limits)
            if most is None:
                continue
            start = use_of(snapshot.guests_by_host[host.id], resource)
            takes = {move.id: demand_of(guests[move.guest], resource) for move in arrivals}
            if start + sum(takes.values()) <= max(most, start):
                continue
            gives = {one: demand_of(guests[move.guest], resource) for one, move in departures.items()}
            needs = {one: [earlier for earlier in ancestors[one] if earlier in gives] for one in takes}
            worst = start + greatest_closure(takes, gives, needs)
            if worst > max(most, start):
                yield f"host {host.id} may be overfilled in {resource}: {worst} at worst, {most} allowed"


def greatest_closure(takes: Mapping[str, int], gives: Mapping[str, int], needs: Mapping[str, Sequence[str]]) -> int:
    """Return the most that chosen arrivals take less what the departures they need give back (0: choose none).

    Greatest closure = sum of `takes` - maximum flow from source over arrivals and departures to sink.
    """
    room_left = dict(gives)
    flow_between: dict[str, dict[str, int]] = {departure: {} for departure in gives}
    unsent = dict(takes)
    for arrival in sorted(takes):
        while unsent[arrival] > 0 and (path := _augmenting_path(arrival, needs, room_left, flow_between)):
            amount = min(unsent[arrival], room_left[path[-1]])
            for departure, back in zip(path[1::2], path[2::2], strict=False):
                amount = min(amount, flow_between[departure][back])
            for giver, departure in zip(path[::2], path[1::2], strict=True):
                flow_between[departure][giver] = flow_between[departure].get(giver, 0) + amount
            for departure, back in zip(path[1::2], path[2::2], strict=False):
                flow_between[departure][back] -= amount
            room_left[path[-1]] -= amount
            unsent[arrival] -= amount
    return sum(unsent.values())


def _augmenting_path(
    arrival: str,
    needs: Mapping[str, Sequence[str]],
    room_left: Mapping[str, int],
    flow_between: Mapping[str, Mapping[str, int]],
) -> list[str]:
    """Breadth first from an arrival to a departure with room left: arrival, departure, arrival, departure, ..."""
    came_from: dict[str, str] = {}
    queue, seen = deque([arrival]), {arrival}
    while queue:
        giver = queue.popleft()
        for departure in sorted(needs[giver]):
            if departure in came_from:
                continue
            came_from[departure] = giver
            if room_left[departure] > 0:
                path = [departure]
                while path[-1] != arrival:
                    path.append(came_from[path[-1]])
                return path[::-1]
            for back, flow in sorted(flow_between[departure].items()):
                if flow > 0 and back not in seen:
                    seen.add(back)
                    came_from[back] = departure
                    queue.append(back)
    return []


def unsafe_rules(snapshot: Snapshot, steps: Sequence[Step]) -> Iterator[str]:
    """Yield a sentence for each rule that some moment of the plan makes worse than it was at the start.

    Affinity and near are waived while their group moves, soft rules always.
    """
    ancestors = ancestors_of(steps)
    start = {guest.id: guest.host for guest in snapshot.guests}
    steps_of: dict[str, list[tuple[int, Migrate]]] = {}
    for number, step in enumerate(steps):
        if isinstance(step, Migrate):
            steps_of.setdefault(step.guest, []).append((number, step))
    for rule in snapshot.rules:
        if rule.enforcement is Enforcement.SOFT or isinstance(rule, Affinity | Near):
            continue
        group = members(rule, snapshot)
        numbered = sorted((one for guest in group for one in steps_of.get(guest, ())), key=lambda one: one[0])
        moves = [move for _, move in numbered]
        if isinstance(rule, Pin | Forbid):
            if (more := _more_astray(rule, snapshot, moves, ancestors)) > 0:
                yield f"{rule.title} gets worse at some moment, by {more}"
            continue
        if _plainly_safe(rule, snapshot, moves, ancestors):
            continue
        before = broken(rule, snapshot, settled(start))
        for states, (done, under_way) in enumerate(_states(moves, ancestors)):
            if states >= MOST_STATES:
                yield f"{rule.title}: too many moments to look at (over {MOST_STATES})"
                break
            where = dict(settled(start))
            for move in done:
                where[move.guest] = frozenset((move.target,))
            if broken(rule, snapshot, where) > before:
                yield f"{rule.title} gets worse after {', '.join(move.id for move in done)}"
                break
            for move in under_way:
                where[move.guest] = frozenset((move.source, move.target))
            if broken(rule, snapshot, where) > before:
                yield f"{rule.title} gets worse while {', '.join(move.id for move in under_way)} are under way"
                break


def _more_astray(
    rule: Pin | Forbid, snapshot: Snapshot, moves: Sequence[Migrate], ancestors: Mapping[str, frozenset[str]]
) -> int:
    """Return how many guests more than at the start may be where the rule does not want them, at the worst moment."""
    named = set(snapshot.host_directory.select(rule.hosts))
    wrong = named if isinstance(rule, Forbid) else set(snapshot.host_by_id) - named
    takes = {move.id: 1 for move in moves if move.target in wrong and move.source not in wrong}
    gives = {move.id: 1 for move in moves if move.source in wrong and move.target not in wrong}
    return greatest_closure(takes, gives, {one: [two for two in ancestors[one] if two in gives] for one in takes})


def _plainly_safe(
    rule: Rule, snapshot: Snapshot, moves: Sequence[Migrate], ancestors: Mapping[str, frozenset[str]]
) -> bool:
    """Tell by a sufficient test that no moment makes a rule worse, which spares looking at every state."""
    hosts = snapshot.host_by_id
    if isinstance(rule, AntiAffinity):
        held: dict[str, int] = {}
        for guest in snapshot.guest_directory.select(rule.guests):
            cell = hosts[snapshot.guest_by_id[guest].host].domain(rule.domain)
            held[cell] = held.get(cell, 0) + 1
        cells = {
            move.id: (hosts[move.source].domain(rule.domain), hosts[move.target].domain(rule.domain)) for move in moves
        }
        for cell in {target for source, target in cells.values() if source != target}:
            takes = {one: 1 for one, (source, target) in cells.items() if target == cell != source}
            gives = {one: 1 for one, (source, target) in cells.items() if source == cell != target}
            needs = {one: [earlier for earlier in ancestors[one] if earlier in gives] for one in takes}
            if held.get(cell, 0) + greatest_closure(takes, gives, needs) > max(1, held.get(cell, 0)):
                return False
        return True
    if isinstance(rule, Spread):
        moving = {move.guest for move in moves}
        all_cells, held_for_good = set(), set()
        for guest in snapshot.guest_directory.select(rule.guests):
            cell = hosts[snapshot.guest_by_id[guest].host].domain(rule.domain)
            all_cells.add(cell)
            if guest not in moving:
                held_for_good.add(cell)
        return len(held_for_good) >= min(rule.at_least, len(all_cells))
    return not moves


def _states(
    moves: Sequence[Migrate], ancestors: Mapping[str, frozenset[str]]
) -> Iterator[tuple[list[Migrate], list[Migrate]]]:
    """Yield (finished, all that may then be under way) for every closed set of these moves.

    Counting more guests on two hosts never mends a rule other than spread, whose finished-only state is looked at, too.
    """
    ids = {move.id for move in moves}
    waits = {move.id: ancestors[move.id] & ids for move in moves}

    def extend(index: int, done: list[Migrate], done_ids: frozenset[str]) -> Iterator[list[Migrate]]:
        if index == len(moves):
            yield done
            return
        yield from extend(index + 1, done, done_ids)
        move = moves[index]
        if waits[move.id] <= done_ids:
            yield from extend(index + 1, [*done, move], done_ids | {move.id})

    for done in extend(0, [], frozenset()):
        done_ids = {move.id for move in done}
        under_way = [move for move in moves if move.id not in done_ids and waits[move.id] <= done_ids]
        yield done, under_way
