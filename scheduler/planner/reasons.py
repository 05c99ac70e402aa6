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

_Mendable = HostMask | ApartInCells | TogetherInCell | AtLeastCells | WithinCellsOf
_SHOWN = {Resource.CPU: "CPU", Resource.MEMORY: "memory", Resource.NET: "network", Resource.DISK: "disk"}


class Reasons:
    """Says of the moves of one plan, which ends at `final`, what each is for."""

    def __init__(self, problem: Problem, final: Mapping[str, str]) -> None:
        self._problem, self._final = problem, final
        self._start = {guest.id: guest.host for guest in problem.snapshot.guests}
        self._held = set(final.values())
        self._used: dict[str, dict[Resource, int]] = {}
        self._mended: dict[str, list[_Mendable]] = {}
        for form in problem.forms:
            if not isinstance(form, _Mendable):
                continue
            if count_broken(form, final, None) < count_broken(form, self._start, None):
                for guest in dict.fromkeys(form.guests + (form.to if isinstance(form, WithinCellsOf) else ())):
                    self._mended.setdefault(guest, []).append(form)

    def of(self, move: Move) -> str:
        """Return the first that holds of parking, drain, broken rule, overload, the policy's goal."""
        goal, source = self._problem.goal, self._start[move.guest]
        if move.parking:
            waiting = self._problem.snapshot.guest_by_id[move.makes_room_for]
            return f"parked to make room for {waiting.title} on {self._final[waiting.id]}"
        if isinstance(goal, DrainGoal) and source in goal.drained:
            return f"drains {source}"
        if (rule := self._mended_rule(move.guest)) is not None:
            return f"{rule} broken on {source}"
        if (overload := self._overload(move.guest)) is not None:
            return overload
        if isinstance(goal, ConsolidateGoal) and source not in self._held:
            return f"empties {source} so that it can sleep"
        return self._ratios(move)

    def _mended_rule(self, guest: str) -> str | None:
        for form in self._mended.get(guest, ()):
            others = form.guests + (form.to if isinstance(form, WithinCellsOf) else ())
            stayed = {**{one: self._final[one] for one in others}, guest: self._start[guest]}
            if count_broken(form, self._final, None) < count_broken(form, stayed, None):
                return form.rule
        return None

    def _used_of(self, host: str) -> Mapping[Resource, int]:
        """Return what the guests of a host take of it at the start."""
        if host not in self._used:
            guests = self._problem.snapshot.guests_by_host[host]
            self._used[host] = {resource: sum(demand(one, resource) for one in guests) for resource in Resource}
        return self._used[host]

    def _overload(self, guest: str) -> str | None:
        snapshot = self._problem.snapshot
        host = snapshot.host_by_id[snapshot.guest_by_id[guest].host]
        for resource, used in self._used_of(host.id).items():
            most, whole = limit(host, resource, self._problem.limits), room(host, resource)
            if most is not None and used > most and demand(snapshot.guest_by_id[guest], resource):
                share = f" ({used / whole:.0%} of its room)" if whole else ""
                return f"{host.id} over its {_SHOWN.get(resource, resource.value)} limit{share}"
        return None

    def _ratios(self, move: Move) -> str:
        """Name the resource in which the two hosts differ most at the start."""
        ratios = {}
        for resource in (Resource.CPU, Resource.MEMORY):
            ends = []
            for one in (move.source, move.target):
                whole = room(self._problem.snapshot.host_by_id[one], resource)
                ends.append(self._used_of(one)[resource] / whole if whole else 0.0)
            ratios[resource] = (ends[0] - ends[1], ends)
        resource = max(ratios, key=lambda one: (ratios[one][0], one))
        high, low = ratios[resource][1]
        return f"{_SHOWN[resource]} {high:.0%} on {move.source}, {low:.0%} on {move.target}"
