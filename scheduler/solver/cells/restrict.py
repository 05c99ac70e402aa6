"""What of an instance's forms goes into each cell, and who is fixed so that no cell breaks what it cannot see.

- A form whose members are all on hosts of one cell goes into it as it is.
- A form that is a sum over hosts goes into each cell with the members there: masks, and what is to be apart in cells of
  its own (racks, say) that are all within one of ours. The parts sum to the whole: when none gets worse, it does not.
- Of a form that wants at least k cells of its own used, one member in each of them, k at most, is fixed:
  the others may go anywhere. Of any other form that crosses a border all members are fixed.

What a part may have broken is what it has at the cell's own start (strangers taken as at home); where that is more than
the whole allows, its members are fixed as well. Soft forms are treated alike, so that a cell sees all its moves change.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from scheduler.solver.forms import Apart, ArrayForm, AtLeast, Bools, Index, Masked
from scheduler.solver.instance import Instance

Homes: TypeAlias = Index
"""Hosts of all guests, strangers where they are."""


@dataclass(slots=True)
class Parted:
    """The forms of one cell: each with its members there (indices of the whole) and the weight of a soft one."""

    parts: list[tuple[ArrayForm, Index, Index]] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)

    @property
    def soft_weights(self) -> tuple[int, ...]:
        """The weights of the soft ones, in order."""
        return tuple(self.weights)

    def forms(self, instance: Instance, hosts: Index, local_guest: Index) -> tuple[ArrayForm, ...]:
        """Return them over the cell's indices; forms that share an array of cells keep sharing one."""
        shared: dict[int, tuple[Index, int]] = {}
        made = []
        for form, members, kinds in self.parts:
            if id(form.cell) not in shared:
                shared[id(form.cell)] = _cells_at(form, hosts)
            cell, cells = shared[id(form.cell)]
            made.append(replace(form, members=local_guest[members], kinds=kinds, cell=cell, cells=cells))
        return tuple(made)


def _cells_at(form: ArrayForm, hosts: Index) -> tuple[Index, int]:
    if isinstance(form, Masked):
        # Its two cells have a meaning.
        return form.cell[hosts], form.cells
    found, cell = np.unique(form.cell[hosts], return_inverse=True)
    return cell.astype(np.intp), len(found)


def part_forms(
    instance: Instance, place: Index, cell_of: Index, guest_cell: Index, native: Bools, cells: int
) -> tuple[Bools, list[Parted]]:
    """Return which guests are fixed, bool[guests], and the forms of every cell.

    `cell_of` int[hosts], `guest_cell` int[guests], `native` bool[guests]: whether a guest's home is in its cell.
    """
    fixed = np.zeros(instance.guests, dtype=np.bool_)
    parted = [Parted() for _ in range(cells)]
    weights = iter(instance.goal.soft_weights)
    hosts, start = instance.host_of(place), instance.host_of(instance.home)
    homes: Homes = np.where(native, start, hosts)
    closed: dict[int, bool] = {}
    for form in instance.forms:
        weight = 0 if form.binding else next(weights, 0)
        if not len(form.members) or not (form.binding or weight):
            continue
        of_members = guest_cell[form.members]
        inside = bool((of_members == of_members[0]).all())
        if not inside and not _is_sum(form, cell_of, closed):
            _fix(form, hosts, fixed)
            continue
        settled = bool(native[form.members].all()) or not form.binding
        allowed = form.broken(start) if inside and not settled else 0
        for number in np.unique(of_members).tolist():
            ours = of_members == number
            members, kinds = form.members[ours], form.kinds[ours]
            part = replace(form, members=members, kinds=kinds)
            if not settled and part.broken(homes) > (allowed if inside else part.broken(hosts)):
                fixed[members] = True
                continue
            parted[number].parts.append((form, members, kinds))
            if not form.binding:
                parted[number].weights.append(weight)
    return fixed, parted


def _is_sum(form: ArrayForm, cell_of: Index, closed: dict[int, bool]) -> bool:
    """Whether a form's broken things are the sum of those among its members in each cell."""
    if isinstance(form, Masked):
        return True
    if not isinstance(form, Apart):
        return False
    key = id(form.cell)
    if key not in closed:
        least = np.full(form.cells, len(cell_of), dtype=np.intp)
        most = np.full(form.cells, -1, dtype=np.intp)
        np.minimum.at(least, form.cell, cell_of)
        np.maximum.at(most, form.cell, cell_of)
        used = most >= 0
        # The host outside, in no cell of ours, is in all of them.
        closed[key] = bool((least[used] == most[used]).all()) and not (cell_of < 0).any()
    return closed[key]


def _fix(form: ArrayForm, hosts: Index, fixed: Bools) -> None:
    if not isinstance(form, AtLeast):
        fixed[form.members] = True
        return
    _, keepers = np.unique(form.cell[hosts[form.members]], return_index=True)
    fixed[form.members[keepers[: form.at_least]]] = True
