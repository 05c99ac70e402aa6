"""Whether the hosts that are awake can take in what runs on any that are lost, guest by guest. Pure.

Guests of the lost hosts are put on the others as they are, the largest first, where they fit most closely: within
limits, compatible, within pins and prohibitions, and apart where a rule says so. What no other host at all can run is
not reckoned with: no host awake would help it.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping
from itertools import combinations

import numpy as np
import numpy.typing as npt

from cluster.guest import Guest
from cluster.host import Host
from cluster.limits import DEMANDS, Limits, Resource, limit
from cluster.migration.compatibility import why_cannot_run
from cluster.problem import ApartInCells, Form, HostMask
from cluster.rules import Enforcement
from cluster.snapshot import Snapshot

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

UNLIMITED = 1 << 50
MOST_SETS = 200
"""Sets of hosts tried where more than one is reckoned to be lost, the fullest and others drawn by lot."""
RESOURCES = (*Resource,)
CPU = RESOURCES.index(Resource.CPU)


class Losses:
    """A cluster's guests and hosts as arrays, to ask of many placements. `planned`: CPU by guest; else their use."""

    def __init__(
        self,
        snapshot: Snapshot,
        limits: Limits,
        forms: Iterable[Form],
        planned: Mapping[str, int] | None = None,
        losses: int = 1,
        domain: str = "",
    ) -> None:
        self._snapshot, self._losses, self._domain = snapshot, losses, domain
        self._hosts = sorted(snapshot.hosts, key=lambda host: host.id)
        self._index = {host.id: i for i, host in enumerate(self._hosts)}
        self._guests = sorted(snapshot.guests, key=lambda guest: guest.id)
        figures = [np.fromiter(map(DEMANDS[one], self._guests), np.int64, len(self._guests)) for one in RESOURCES]
        if planned is not None:
            figures[CPU] = np.maximum(
                figures[CPU], np.array([planned.get(guest.id, 0) for guest in self._guests], dtype=np.int64)
            )
        self._demand: Ints = np.column_stack(figures).reshape(len(self._guests), len(RESOURCES))
        known = [[limit(host, one, limits) for one in RESOURCES] for host in self._hosts]
        self._limit: Ints = np.array([[UNLIMITED if one is None else one for one in row] for row in known], np.int64)
        self._can = _can_run(self._guests, self._hosts)
        self._apart: dict[int, list[tuple[Ints, Ints]]] = {}
        self._hold_rules(forms)
        self._alone = {guest.id: self._can[i].sum() <= 1 for i, guest in enumerate(self._guests)}
        scale = np.median(self._limit, axis=0) if len(self._hosts) else np.ones(len(RESOURCES))
        self._share = (self._demand / np.maximum(1.0, scale)).max(axis=1, initial=0.0)

    def why_not_held(self, placement: Mapping[str, str], awake: Collection[str]) -> str | None:
        """Say which loss the other hosts that are awake would not hold; `None`: all could be lost."""
        if self._losses <= 0 and not self._domain:
            return None
        place = np.array([self._index[placement.get(guest.id, guest.host)] for guest in self._guests], dtype=np.intp)
        use = np.zeros_like(self._limit)
        np.add.at(use, place, self._demand)
        takes = np.array(
            [host.id in awake and self._snapshot.why_no_target(host) is None for host in self._hosts], dtype=np.bool_
        )
        on = np.array([host.id in awake for host in self._hosts], dtype=np.bool_)
        for lost in self._sets(on, use):
            if (why := self._why_not_without(lost, place, use, takes)) is not None:
                return why
        return None

    def _sets(self, on: Bools, use: Ints) -> list[tuple[int, ...]]:
        """Return the sets of hosts that may be lost together, the fullest first."""
        hosts = np.flatnonzero(on & (use > 0).any(axis=1))
        if self._domain:
            cells: dict[str, list[int]] = {}
            for i in hosts.tolist():
                cells.setdefault(self._hosts[i].domain(self._domain), []).append(i)
            return [tuple(cells[name]) for name in sorted(cells)]
        fullest = hosts[np.argsort(-use[hosts][:, list(RESOURCES).index(Resource.MEMORY)], kind="stable")].tolist()
        many = min(self._losses, len(fullest))
        if many <= 1:
            return [(one,) for one in fullest]
        few = list(combinations(fullest, many)) if len(fullest) <= 12 else []
        if few and len(few) <= MOST_SETS:
            return few
        drawn = random.Random(len(fullest))
        sampled = [tuple(sorted(drawn.sample(fullest, many))) for _ in range(MOST_SETS)]
        return [tuple(fullest[:many]), *sampled]

    def _why_not_without(
        self, lost: tuple[int, ...], place: npt.NDArray[np.intp], use: Ints, takes: Bools
    ) -> str | None:
        others = takes.copy()
        others[list(lost)] = False
        gone = np.flatnonzero(np.isin(place, lost))
        names = ", ".join(self._hosts[i].id for i in lost)
        failed: Guest | None = None
        for order in self._orders(gone):
            failed = self._first_without_seat(order, place, use, others)
            if failed is None:
                return None
        title = "" if failed is None else failed.title
        return f"without {names} the hosts that are awake have no room for {title}"

    def _orders(self, gone: npt.NDArray[np.intp]) -> list[list[int]]:
        keys = (self._share, self._demand[:, RESOURCES.index(Resource.MEMORY)], self._demand[:, CPU])
        return [gone[np.argsort(-key[gone], kind="stable")].tolist() for key in keys]

    def _first_without_seat(
        self, order: list[int], place: npt.NDArray[np.intp], use: Ints, others: Bools
    ) -> Guest | None:
        free, where = self._limit - use, place.copy()
        where[order] = -1
        whole = np.maximum(1, self._limit)
        for g in order:
            guest = self._guests[g]
            if self._alone[guest.id] or not guest.movable:
                continue
            fits = others & self._can[g] & (free >= self._demand[g]).all(axis=1)
            for members, cell in self._apart.get(g, ()):
                taken = where[members]
                fits &= ~np.isin(cell, cell[taken[taken >= 0]])
            seats = np.flatnonzero(fits)
            if not len(seats):
                return guest
            left = ((free[seats] - self._demand[g]) / whole[seats])[:, [CPU, RESOURCES.index(Resource.MEMORY)]]
            seat = int(seats[np.argmin(left.min(axis=1))])
            free[seat] -= self._demand[g]
            where[g] = seat
        return None

    def _hold_rules(self, forms: Iterable[Form]) -> None:
        row = {guest.id: i for i, guest in enumerate(self._guests)}
        for form in forms:
            if form.enforcement is Enforcement.SOFT:
                continue
            if isinstance(form, HostMask):
                allowed = np.array([host.id in form.hosts for host in self._hosts], dtype=np.bool_)
                for one in form.guests:
                    self._can[row[one]] &= allowed
            elif isinstance(form, ApartInCells):
                names: dict[str, int] = {}
                numbers = [names.setdefault(form.cell_of_host[host.id], len(names)) for host in self._hosts]
                cell, members = np.array(numbers, dtype=np.int64), np.array([row[one] for one in form.guests])
                for one in members.tolist():
                    self._apart.setdefault(one, []).append((members[members != one], cell))


def _can_run(guests: list[Guest], hosts: list[Host]) -> Bools:
    """Which hosts can run each guest, bool[guests, hosts]; worked out once per kind of guest."""
    rows: dict[tuple[object, ...], Bools] = {}
    found = np.ones((len(guests), len(hosts)), dtype=np.bool_)
    for i, guest in enumerate(guests):
        kind = (
            *(guest.cpu_model, guest.machine, guest.storage, guest.networks, guest.needs),
            guest.migration.must_encrypt,
        )
        if kind not in rows:
            rows[kind] = np.array([why_cannot_run(guest, host) is None for host in hosts], dtype=np.bool_)
        found[i] = rows[kind]
    return found
