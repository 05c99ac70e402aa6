"""Which guests share what: forms and move caps by guest, and guests that nothing tells apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from scheduler.solver.evaluate import Counts, count
from scheduler.solver.forms import ArrayForm, Index, Ints, MoveCap
from scheduler.solver.instance import Instance

MOST_CHANGED = 0.25
"""With a larger share of the guests elsewhere, counting afresh is cheaper."""


class Links:
    """Looked up by guest, so that a change of few guests need not look at every rule."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._homes = instance.host_of(instance.home)
        self._forms = _by_guest(instance.forms, instance.guests)
        self._caps = _by_guest(instance.move_caps, instance.guests)
        self._at_home: dict[int, int] = {}

    def forms_of(self, guests: Index) -> list[int]:
        """Return the numbers of the forms that some guests are members of, in rising order."""
        return _of(self._forms, guests)

    def caps_of(self, guests: Index) -> list[int]:
        """Return the numbers of the move caps on some guests, in rising order."""
        return _of(self._caps, guests)

    def at_home(self, number: int) -> int:
        """Return what a form counts as broken at the start."""
        if number not in self._at_home:
            self._at_home[number] = self._instance.forms[number].broken(self._homes)
        return self._at_home[number]

    def alike(self, guests: Index) -> list[list[int]]:
        """Group guests that nothing tells apart: equal in all figures, home included, and part of no rule or group."""
        groups: dict[bytes, list[int]] = {}
        for guest in guests.tolist():
            groups.setdefault(self._figures[guest].tobytes(), []).append(guest)
        return list(groups.values())

    def in_order(self, place: Index) -> Index:
        """Return a placement worth the same in which, of guests that nothing tells apart, the first ones move.

        Which of them do should not hang on how the search came upon it.
        """
        guests = self._instance.movable
        if not len(guests):
            return place
        # A dictionary of rows takes a third of the time of sorting them, and this comes after the deadline.
        rows, numbers = self._figures[guests], dict[bytes, int]()
        whole, width = rows.tobytes(), rows.itemsize * rows.shape[1]
        each = (numbers.setdefault(whole[at : at + width], len(numbers)) for at in range(0, len(whole), width))
        group, seats = np.fromiter(each, np.int64, len(guests)), place[guests]
        if len(numbers) == len(guests):
            return place
        ordered = place.copy()
        ordered[guests[np.argsort(group, kind="stable")]] = seats[
            np.lexsort((seats, seats == self._instance.home[guests], group))
        ]
        return ordered

    @cached_property
    def _figures(self) -> Ints:
        """What tells guests apart, int64[guests, n]; those in rules or groups also by their own number."""
        instance = self._instance
        goal, every = instance.goal, np.arange(instance.guests)
        mask = np.full(instance.guests, -1, dtype=np.int64)
        mask[instance.movable] = instance.mask_of
        (_, forms), (_, caps) = self._forms, self._caps
        special = (np.diff(forms) > 0) | (np.diff(caps) > 0)
        if goal.crowd is not None:
            special |= goal.crowd.group >= 0
        own = np.where(special, every, -1)
        columns = (instance.home, mask, instance.mib, goal.price, goal.left_weight, own)
        seats = (instance.usable, instance.demand.reshape(instance.guests, -1))
        return np.ascontiguousarray(np.column_stack((*columns, *seats)), dtype=np.int64)

    def recount(self, counts: Counts, before: Index, after: Index) -> Counts:
        """Return the counts of the placement `after`, from those of the placement `before`."""
        instance = self._instance
        changed = np.flatnonzero(before != after)
        if not len(changed):
            return counts
        if len(changed) > MOST_CHANGED * instance.guests:
            return count(instance, after)
        counts = Counts(counts.use.copy(), counts.costs.copy(), counts.overload.copy(), counts.broken.copy())
        modes, old, new = instance.modes, before[changed], after[changed]
        np.subtract.at(counts.use, old // modes, instance.demand[changed, old % modes])
        np.add.at(counts.use, new // modes, instance.demand[changed, new % modes])
        touched = np.union1d(old // modes, new // modes).astype(np.intp)
        counts.costs[touched] = instance.goal.at(touched, counts.use[touched])
        counts.overload[touched] = instance.overload(touched, counts.use[touched])
        hosts = instance.host_of(after)
        for number in self.forms_of(changed):
            counts.broken[number] = instance.forms[number].broken(hosts)
        return counts


def _by_guest(groups: Sequence[ArrayForm | MoveCap], guests: int) -> tuple[Index, Index]:
    """Numbers of groups sorted by member, and where each guest's begin, int[guests + 1]."""
    members = [group.members for group in groups]
    every = np.concatenate([np.zeros(0, dtype=np.intp), *members])
    numbers = np.repeat(np.arange(len(members)), [len(one) for one in members])
    begin = np.searchsorted(np.sort(every), np.arange(guests + 1))
    return numbers[np.argsort(every, kind="stable")], begin.astype(np.intp)


def _of(by_guest: tuple[Index, Index], guests: Iterable[int]) -> list[int]:
    numbers, begin = by_guest
    found: set[int] = set()
    for guest in guests:
        found.update(numbers[begin[guest] : begin[guest + 1]].tolist())
    return sorted(found)
