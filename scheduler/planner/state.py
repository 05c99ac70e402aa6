"""What a half-carried-out plan looks like: use of every host, and the rules' counts, move by move.

A guest under way is counted on both hosts in every resource. For memory, huge pages and local disk that is what the
contract demands; for the others it is the worse of the two ends, whichever it runs on at that moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cluster.guest import Guest
from cluster.limits import DEMANDS, Resource, limit
from cluster.problem import ApartInCells, AtLeastCells, Form, HostMask, Problem, TogetherInCell, WithinCellsOf
from cluster.rules import Enforcement


@dataclass(frozen=True, slots=True)
class Move:
    """One migration in an order. `parking`: its guest moves on later in the plan; `makes_room_for` says for whom."""

    guest: str
    source: str
    target: str
    parking: bool = False
    makes_room_for: str = ""


class HostUse:
    """Use of each host and resource, and the most it may ever be: its limit, or its use at the start if over.

    Only limited resources are kept.
    """

    def __init__(self, problem: Problem) -> None:
        self._demands = {guest.id: _demands(guest) for guest in problem.snapshot.guests}
        self.used: dict[str, dict[Resource, int]] = {}
        self.most: dict[str, dict[Resource, int]] = {}
        for host in problem.snapshot.hosts:
            limited = {r: most for r in Resource if (most := limit(host, r, problem.limits)) is not None}
            self.used[host.id] = dict.fromkeys(limited, 0)
            for guest in problem.snapshot.guests_by_host[host.id]:
                self._add(host.id, guest.id, 1)
            self.most[host.id] = {r: max(most, self.used[host.id][r]) for r, most in limited.items()}

    def demand(self, guest: str) -> Mapping[Resource, int]:
        """Return what a guest takes, resources it does not take left out."""
        return self._demands[guest]

    def fits(self, guest: str, host: str) -> bool:
        """Tell whether the host can take the guest as well, right now."""
        used, most = self.used[host], self.most[host]
        return all(r not in most or used[r] + amount <= most[r] for r, amount in self._demands[guest].items())

    def apply(self, move: Move) -> None:
        """Carry a move out."""
        self._add(move.source, move.guest, -1)
        self._add(move.target, move.guest, 1)

    def _add(self, host: str, guest: str, sign: int) -> None:
        used = self.used[host]
        for resource, amount in self._demands[guest].items():
            if resource in used:
                used[resource] += sign * amount


def _demands(guest: Guest) -> dict[Resource, int]:
    return {resource: amount for resource, of in DEMANDS.items() if (amount := of(guest)) > 0}


OrderedForm = ApartInCells | AtLeastCells | HostMask
"""Forms that must not get worse at any moment; affinity and near are waived while their group moves."""


class RuleCounts:
    """Counts of the forms that bind at every moment, kept at or under their start while guests move."""

    def __init__(self, problem: Problem) -> None:
        self._where = {guest.id: guest.host for guest in problem.snapshot.guests}
        self._forms: dict[str, list[tuple[OrderedForm, int]]] = {}
        for form in ordered_forms(problem.forms):
            start = count_broken(form, self._where, None)
            for guest in form.guests:
                self._forms.setdefault(guest, []).append((form, start))

    def allows(self, guest: str, target: str) -> bool:
        """Tell whether no form gets worse than at the start while the guest is under way and after it arrived."""
        for form, start in self._forms.get(guest, ()):
            if count_broken(form, self._where, (guest, target)) > start:
                return False
            after = {**{g: self._where[g] for g in form.guests}, guest: target}
            if count_broken(form, after, None) > start:
                return False
        return True

    def tied_to(self, guest: str) -> frozenset[str]:
        """Return the other guests whose moves can change what is allowed to this one."""
        return frozenset(one for form, _ in self._forms.get(guest, ()) for one in form.guests) - {guest}

    def apply(self, move: Move) -> None:
        """Carry a move out."""
        self._where[move.guest] = move.target


def ordered_forms(forms: Iterable[Form]) -> list[OrderedForm]:
    """Return the forms that bind at every moment, soft ones left out."""
    return [
        form
        for form in forms
        if isinstance(form, ApartInCells | AtLeastCells | HostMask) and form.enforcement is not Enforcement.SOFT
    ]


def count_broken(
    form: ApartInCells | AtLeastCells | HostMask | TogetherInCell | WithinCellsOf,
    where: Mapping[str, str],
    under_way: tuple[str, str] | None,
) -> int:
    """Count what is broken of a form; `under_way` is (guest, target) of a guest that counts on both hosts.

    For `AtLeastCells` a guest under way still holds the cell it leaves and does not yet hold the one it goes to.
    """
    moving, target = under_way if under_way else ("", "")
    if isinstance(form, HostMask):
        return sum(
            where[guest] not in form.hosts or (guest == moving and target not in form.hosts) for guest in form.guests
        )
    cell_of = form.cell_of_host
    if isinstance(form, AtLeastCells):
        cells = {cell_of[where[guest]] for guest in form.guests}
        return max(0, form.at_least - len(cells)) if form.guests else 0
    if isinstance(form, WithinCellsOf):
        return sum(
            all(cell_of[where[other]] != cell_of[where[guest]] for other in form.to if other != guest)
            for guest in form.guests
        )
    counts: dict[str, int] = {}
    for guest in form.guests:
        for cell in {cell_of[where[guest]]} | ({cell_of[target]} if guest == moving else set()):
            counts[cell] = counts.get(cell, 0) + 1
    together = sum(n * (n - 1) // 2 for n in counts.values())
    if isinstance(form, ApartInCells):
        return together
    return len(form.guests) * (len(form.guests) - 1) // 2 - together
