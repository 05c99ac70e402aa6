"""The checker's own view of what sleeping hosts leave: hosts planned too full, and hosts lost that no room is left for.

Every guest of a lost host is given a seat by trying, the most demanding first, going back where one finds none; within
limits, compatible, within pins and prohibitions, and apart where a rule says so. What no other host at all can run is
not reckoned with, nor what never moves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from math import floor

from cluster.guest import Guest
from cluster.host import Host
from cluster.limits import Limits
from cluster.migration.compatibility import why_cannot_run
from cluster.plan import Sleep
from cluster.rules import AntiAffinity, Enforcement, Forbid, Pin
from cluster.snapshot import Snapshot
from scheduler.check.case import Case
from scheduler.check.load import RESOURCES, demand_of, guests_on, most_of, room_of, use_of

UNLIMITED = 1 << 50
CPU, MEMORY = RESOURCES.index("cpu"), RESOURCES.index("memory")
MOST_TRIED = 5000
"""Seats tried for the guests of one set of lost hosts; what is not found by then counts as not there."""


def crowding(case: Case, placement: Mapping[str, str]) -> Fraction:
    """Return by how much hosts are planned to be used beyond what calls for relief, as a ratio of their room."""
    settings, total = case.consolidate, Fraction(0)
    if case.planned is None or settings is None:
        return total
    on = guests_on(case.snapshot, placement)
    for host in case.snapshot.hosts:
        whole, most = room_of(host, "cpu"), most_of(host, "cpu", case.limits)
        if case.snapshot.why_unplannable(host) is not None or not whole or most is None:
            continue
        relief = floor(most * (1 - Fraction(str(settings.wake_headroom_ratio))))
        total += Fraction(max(0, case.planned_of(on[host.id], "cpu") - relief)) / whole
    return total


def unheld_losses(case: Case) -> Iterator[str]:
    """Check, for a plan that puts hosts to sleep, that each loss to be reckoned with is held by those awake then."""
    asleep = {step.host for step in case.plan.steps if isinstance(step, Sleep)}
    if case.consolidate is None or not asleep:
        return
    seats = Seats(case.snapshot, case.limits, case.planned)
    many, domain = case.consolidate.host_losses, case.consolidate.lost_domain
    if (why := seats.why_not_held(case.final, asleep, many, domain)) is not None:
        yield why


def why_loss_not_held(snapshot: Snapshot, limits: Limits, host: str, many: int, domain: str) -> str | None:
    """Say which loss could not be held any more once a host sleeps, at present use; `None`: all can."""
    if many <= 0 and not domain:
        return None
    placement = {guest.id: guest.host for guest in snapshot.guests}
    return Seats(snapshot, limits).why_not_held(placement, {host}, many, domain)


class Seats:
    """Who could take in whom in a snapshot. `planned`: CPU by guest, at least their use."""

    def __init__(self, snapshot: Snapshot, limits: Limits, planned: Mapping[str, int] | None = None) -> None:
        self._snapshot, plans = snapshot, planned or {}
        self._demand = {guest.id: _demand(guest, plans.get(guest.id, 0)) for guest in snapshot.guests}
        self._most = {host.id: _most(host, limits) for host in snapshot.hosts}
        self._banned: dict[str, set[str]] = {}
        self._apart: list[tuple[str, frozenset[str]]] = []
        for rule in snapshot.rules:
            if rule.enforcement is Enforcement.SOFT:
                continue
            if isinstance(rule, Pin | Forbid):
                named = set(snapshot.host_directory.select(rule.hosts))
                everyone = {host.id for host in snapshot.hosts}
                for guest in snapshot.guest_directory.select(rule.guests):
                    self._banned.setdefault(guest, set()).update(everyone - named if isinstance(rule, Pin) else named)
            elif isinstance(rule, AntiAffinity):
                self._apart.append((rule.domain, frozenset(snapshot.guest_directory.select(rule.guests))))

    def why_not_held(self, placement: Mapping[str, str], asleep: Collection[str], many: int, domain: str) -> str | None:
        """Say which loss the hosts that are on, without those put to `asleep`, do not hold; `None`: all are held.

        Of several hosts lost at once the fullest are tried.
        """
        snapshot = self._snapshot
        on = [one for one in snapshot.hosts if snapshot.why_unplannable(one) is None and one.id not in asleep]
        held = guests_on(snapshot, placement)
        free = {one.id: self._free(one, held[one.id]) for one in on}
        full = sorted((one for one in on if held[one.id]), key=lambda one: (-use_of(held[one.id], "memory"), one.id))
        if domain:
            cells = sorted({one.domain(domain) for one in full})
            losses = [[one for one in full if one.domain(domain) == cell] for cell in cells]
        elif many > 1:
            losses = [full[:many]]
        else:
            losses = [[one] for one in full] if many else []
        for lost in losses:
            if (guest := self._without_seat(lost, on, held, free)) is not None:
                names = ", ".join(one.id for one in lost)
                return f"without {names} the hosts that are on have no room for {guest.title}"
        return None

    def _without_seat(
        self, lost: list[Host], on: list[Host], held: Mapping[str, list[Guest]], free: Mapping[str, list[int]]
    ) -> Guest | None:
        gone = {one.id for one in lost}
        targets = [one for one in on if one.id not in gone and self._snapshot.why_no_target(one) is None]
        guests = [guest for one in lost for guest in held[one.id] if guest.movable and self._has_another(guest)]
        largest = [max((self._most[one.id][place] for one in targets), default=0) for place in (CPU, MEMORY)]
        failed: Guest | None = None
        for places in ((CPU, MEMORY), (MEMORY,), (CPU,)):
            size = {guest.id: self._size(guest, largest, places) for guest in guests}
            guests.sort(key=lambda guest: (-size[guest.id], guest.id))
            seated = {guest.id: one.id for one in on if one.id not in gone for guest in held[one.id]}
            failed = self._seat(guests, targets, {one.id: list(free[one.id]) for one in targets}, seated)
            if failed is None:
                return None
        return failed

    def _seat(
        self, guests: list[Guest], targets: list[Host], free: Mapping[str, list[int]], seated: dict[str, str]
    ) -> Guest | None:
        """Seat the guests in their order, going back as often as is allowed; return one that found no seat."""
        tried = deepest = 0

        def rest(guest: Guest, host: Host) -> float:
            left, most, takes = free[host.id], self._most[host.id], self._demand[guest.id]
            return min((left[place] - takes[place]) / (most[place] or 1) for place in (CPU, MEMORY))

        def seat(index: int) -> bool:
            nonlocal tried, deepest
            if index == len(guests):
                return True
            guest, deepest = guests[index], max(deepest, index)
            fitting = [one for one in targets if self._fits(guest, one, free[one.id], seated)]
            for one in sorted(fitting, key=lambda host: (rest(guest, host), host.id)):
                tried += 1
                if tried > MOST_TRIED:
                    return False
                self._take(guest, free[one.id], -1)
                seated[guest.id] = one.id
                if seat(index + 1):
                    return True
                self._take(guest, free[one.id], 1)
                del seated[guest.id]
            return False

        return None if seat(0) else guests[deepest]

    def _free(self, host: Host, guests: list[Guest]) -> list[int]:
        """Return what is left of each resource of a host with these guests."""
        free = list(self._most[host.id])
        for guest in guests:
            self._take(guest, free, -1)
        return free

    def _take(self, guest: Guest, free: list[int], sign: int) -> None:
        for place, amount in enumerate(self._demand[guest.id]):
            free[place] += sign * amount

    def _fits(self, guest: Guest, host: Host, free: Sequence[int], seated: Mapping[str, str]) -> bool:
        if any(amount > left for amount, left in zip(self._demand[guest.id], free, strict=True)):
            return False
        if host.id in self._banned.get(guest.id, ()) or why_cannot_run(guest, host) is not None:
            return False
        for domain, members in self._apart:
            if guest.id in members:
                cell = host.domain(domain)
                others = (seated[one] for one in members if one != guest.id and one in seated)
                if any(self._snapshot.host_by_id[one].domain(domain) == cell for one in others):
                    return False
        return True

    def _has_another(self, guest: Guest) -> bool:
        """Tell whether more than one host, awake or not, could run a guest."""
        banned = self._banned.get(guest.id, set())
        able = (host for host in self._snapshot.hosts if host.id not in banned)
        return sum(why_cannot_run(guest, host) is None for host in able) > 1

    def _size(self, guest: Guest, largest: Sequence[int], places: Sequence[int]) -> Fraction:
        takes = self._demand[guest.id]
        return max(
            Fraction(takes[place], max(1, most))
            for place, most in zip((CPU, MEMORY), largest, strict=True)
            if place in places
        )


def _demand(guest: Guest, planned_millicores: int) -> tuple[int, ...]:
    """Return what a guest takes of each resource, in the order of `RESOURCES`; of CPU what is planned, if more."""
    takes = [demand_of(guest, resource) for resource in RESOURCES]
    takes[CPU] = max(takes[CPU], planned_millicores)
    return tuple(takes)


def _most(host: Host, limits: Limits) -> tuple[int, ...]:
    found = (most_of(host, resource, limits) for resource in RESOURCES)
    return tuple(UNLIMITED if most is None else most for most in found)
