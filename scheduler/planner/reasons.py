"""Why each step is in a plan, as one short sentence for a person."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.limits import Resource, demand, limit, room
from cluster.problem import (
    ApartInCells,
    AtLeastCells,
    ConsolidateGoal,
    DrainGoal,
    HostMask,
    Problem,
    TogetherInCell,
    WithinCellsOf,
)
from scheduler.planner.state import Move, count_broken

_SHOWN = {Resource.CPU: "CPU", Resource.MEMORY: "memory", Resource.NET: "network", Resource.DISK: "disk"}


def reason_of(move: Move, problem: Problem, final: Mapping[str, str]) -> str:
    """Say what a move is for: the first that holds of parking, drain, broken rule, overload, the policy's goal."""
    start = {guest.id: guest.host for guest in problem.snapshot.guests}
    goal = problem.goal
    if move.parking:
        waiting = problem.snapshot.guest_by_id[move.makes_room_for]
        return f"parked to make room for {waiting.title} on {final[waiting.id]}"
    if isinstance(goal, DrainGoal) and start[move.guest] in goal.drained:
        return f"drains {start[move.guest]}"
    if (rule := _mended_rule(move.guest, problem, start, final)) is not None:
        return f"{rule} broken on {start[move.guest]}"
    if (overload := _overload(move.guest, problem)) is not None:
        return overload
    if isinstance(goal, ConsolidateGoal) and start[move.guest] not in set(final.values()):
        return f"empties {start[move.guest]} so that it can sleep"
    return _ratios(move, problem)


def _mended_rule(guest: str, problem: Problem, start: Mapping[str, str], final: Mapping[str, str]) -> str | None:
    for form in problem.forms:
        if not isinstance(form, HostMask | ApartInCells | TogetherInCell | AtLeastCells | WithinCellsOf):
            continue
        concerned = form.guests + (form.to if isinstance(form, WithinCellsOf) else ())
        if guest in concerned and count_broken(form, final, None) < count_broken(form, start, None):
            stayed = {**final, guest: start[guest]}
            if count_broken(form, final, None) < count_broken(form, stayed, None):
                return form.rule
    return None


def _overload(guest: str, problem: Problem) -> str | None:
    snapshot = problem.snapshot
    host = snapshot.host_by_id[snapshot.guest_by_id[guest].host]
    for resource in Resource:
        most, whole = limit(host, resource, problem.limits), room(host, resource)
        used = sum(demand(one, resource) for one in snapshot.guests_by_host[host.id])
        if most is not None and used > most and demand(snapshot.guest_by_id[guest], resource):
            share = f" ({used / whole:.0%} of its room)" if whole else ""
            return f"{host.id} over its {_SHOWN.get(resource, resource.value)} limit{share}"
    return None


def _ratios(move: Move, problem: Problem) -> str:
    """Name the resource in which the two hosts differ most at the start."""
    ratios = {}
    for resource in (Resource.CPU, Resource.MEMORY):
        ends = []
        for one in (move.source, move.target):
            whole = room(problem.snapshot.host_by_id[one], resource)
            used = sum(demand(guest, resource) for guest in problem.snapshot.guests_by_host[one])
            ends.append(used / whole if whole else 0.0)
        ratios[resource] = (ends[0] - ends[1], ends)
    resource = max(ratios, key=lambda one: (ratios[one][0], one))
    high, low = ratios[resource][1]
    return f"{_SHOWN[resource]} {high:.0%} on {move.source}, {low:.0%} on {move.target}"
