"""Why each step is in a plan, as one short sentence for a person."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.limits import DEMANDS, Resource, demand, limit, room
from cluster.plan import EVACUATE
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
        self._overloads: dict[str, list[tuple[Resource, str]]] = {}
        self._loads: dict[str, dict[Resource, float]] = {}
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
            verb = "evacuates failing" if self._problem.policy == EVACUATE else "drains"
            return f"{verb} {source}"
        if (rule := self._mended_rule(move.guest)) is not None:
            return f"{rule} broken on {source}"
        if (overload := self._overload(move.guest)) is not None:
            return overload
        if isinstance(goal, ConsolidateGoal) and source not in self._held:
            return f"empties {source} so that it can sleep"
        return self._ratios(move)

    def mends(self, move: Move) -> bool:
        """Whether the move is there for a broken rule or an overload, not for the policy's goal alone."""
        return self._mended_rule(move.guest) is not None or self._overload(move.guest) is not None

    def _mended_rule(self, guest: str) -> str | None:
        for form in self._mended.get(guest, ()):
            others = form.guests + (form.to if isinstance(form, WithinCellsOf) else ())
            stayed = {**{one: self._final[one] for one in others}, guest: self._start[guest]}
            if count_broken(form, self._final, None) < count_broken(form, stayed, None):
                return form.rule
        return None

    def _overload(self, guest: str) -> str | None:
        host = self._start[guest]
        if host not in self._overloads:
            self._overloads[host] = self._overloads_of(host)
        one = self._problem.snapshot.guest_by_id[guest]
        return next((text for resource, text in self._overloads[host] if demand(one, resource)), None)

    def _overloads_of(self, host_id: str) -> list[tuple[Resource, str]]:
        """Return each resource of which a host is over its limit at the start, with a sentence."""
        host, guests = self._problem.snapshot.host_by_id[host_id], self._problem.snapshot.guests_by_host[host_id]
        found = []
        for resource in Resource:
            most, whole = limit(host, resource, self._problem.limits), room(host, resource)
            used = sum(map(DEMANDS[resource], guests))
            if most is not None and used > most:
                share = f" ({used / whole:.0%} of its room)" if whole else ""
                found.append((resource, f"{host_id} over its {_SHOWN.get(resource, resource.value)} limit{share}"))
        return found

    def _load(self, host_id: str) -> Mapping[Resource, float]:
        """Return what of a host's CPU and memory is taken at the start, as ratios of its room."""
        if host_id not in self._loads:
            host, guests = self._problem.snapshot.host_by_id[host_id], self._problem.snapshot.guests_by_host[host_id]
            self._loads[host_id] = {
                resource: sum(map(DEMANDS[resource], guests)) / whole if (whole := room(host, resource)) else 0.0
                for resource in (Resource.CPU, Resource.MEMORY)
            }
        return self._loads[host_id]

    def _ratios(self, move: Move) -> str:
        """Name the resource in which the two hosts differ most at the start."""
        high, low = self._load(move.source), self._load(move.target)
        resource = max(high, key=lambda one: (high[one] - low[one], one))
        return f"{_SHOWN[resource]} {high[resource]:.0%} on {move.source}, {low[resource]:.0%} on {move.target}"
