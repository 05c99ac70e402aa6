"""The primitive forms over arrays: what each counts as broken, and what a shift of one guest changes.

Guests and hosts are indices; a cell is an index too. Placements are given as the host of every guest. A form over cells
keeps, per type of member, how many members each cell holds; every count of broken things is a function of these counts
alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cluster.problem import ApartInCells, AtLeastCells, Form, HostMask, MoveLimit, TogetherInCell, WithinCellsOf
from cluster.rules import Enforcement

Ints = NDArray[np.int64]
Index = NDArray[np.intp]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, kw_only=True)
class ArrayForm(ABC):
    """A form over indices.

    `members` are distinct guests in rising order, `kinds` their types (all 0 unless a form says otherwise), `selected`
    how many guests the rule selects, `cell[h]` is the cell of host h. `at_least` is for `AtLeast` alone.
    """

    rule: str
    enforcement: Enforcement
    weight: float
    members: Index
    selected: int
    cell: Index
    cells: int
    kinds: Index
    at_least: int = 0

    @property
    def binding(self) -> bool:
        """Whether it must not get worse (all but soft ones)."""
        return self.enforcement is not Enforcement.SOFT

    def counts(self, hosts: Index) -> Ints:
        """Members per type and cell, int64[types, cells]."""
        held = np.zeros((3, self.cells), dtype=np.int64)
        np.add.at(held, (self.kinds, self.cell[hosts[self.members]]), 1)
        return held

    @abstractmethod
    def cell_cost(self, held: Ints) -> Ints:
        """What each cell adds, int64[cells], for counts int64[3, cells]."""

    def total(self, summed: Ints | int) -> Ints:
        """Broken things from the sum of `cell_cost` over the cells."""
        return np.asarray(summed, dtype=np.int64)

    def broken(self, hosts: Index) -> int:
        """Number of broken things in a placement."""
        return int(self.total(int(self.cell_cost(self.counts(hosts)).sum())))

    def deltas(self, hosts: Index) -> Ints:
        """Change of `broken` when one member goes to a host, int64[hosts, members]."""
        held, kinds = self.counts(hosts), self.kinds
        cost = self.cell_cost(held)
        here = self.cell[hosts[self.members]]
        leave = np.zeros(len(self.members), dtype=np.int64)
        change = np.zeros((len(self.cell), len(self.members)), dtype=np.int64)
        for kind in np.unique(kinds):
            ours = np.flatnonzero(kinds == kind)
            held[kind] -= 1
            leave[ours] = (self.cell_cost(held) - cost)[here[ours]]
            held[kind] += 2
            change[:, ours] = (self.cell_cost(held) - cost)[self.cell][:, None]
            held[kind] -= 1
        change += leave
        change[self.cell[:, None] == here[None, :]] = 0
        before = int(cost.sum())
        return self.total(change + before) - self.total(before)


@dataclass(frozen=True, eq=False, kw_only=True)
class Masked(ArrayForm):
    """`HostMask`: the cells are 1 for the hosts of the mask and 0 for the others; a guest in cell 0 is broken."""

    def cell_cost(self, held: Ints) -> Ints:
        return np.asarray(np.where(np.arange(self.cells) == 0, held[0], 0), dtype=np.int64)


@dataclass(frozen=True, eq=False, kw_only=True)
class Apart(ArrayForm):
    """`ApartInCells`: pairs in the same cell."""

    def cell_cost(self, held: Ints) -> Ints:
        return np.asarray(held[0] * (held[0] - 1) // 2, dtype=np.int64)


@dataclass(frozen=True, eq=False, kw_only=True)
class Together(ArrayForm):
    """`TogetherInCell`: pairs in different cells."""

    def cell_cost(self, held: Ints) -> Ints:
        return np.asarray(-(held[0] * (held[0] - 1)) // 2, dtype=np.int64)

    def total(self, summed: Ints | int) -> Ints:
        size = len(self.members)
        return np.asarray(summed, dtype=np.int64) + size * (size - 1) // 2


@dataclass(frozen=True, eq=False, kw_only=True)
class AtLeast(ArrayForm):
    """`AtLeastCells`: cells missing to `at_least`; holds when it selects no guest."""

    def cell_cost(self, held: Ints) -> Ints:
        return np.asarray(held[0] > 0, dtype=np.int64)

    def total(self, summed: Ints | int) -> Ints:
        wanted = self.at_least if len(self.members) else 0
        return np.asarray(np.maximum(0, wanted - summed), dtype=np.int64)


@dataclass(frozen=True, eq=False, kw_only=True)
class Within(ArrayForm):
    """`WithinCellsOf`: dependants without a provider other than themselves in their cell.

    Types: 0 dependant only, 1 provider only, 2 both.
    """

    def cell_cost(self, held: Ints) -> Ints:
        providers = held[1] + held[2]
        alone = np.where((providers == 1) & (held[2] == 1), 1, 0)
        return np.asarray(np.where(providers <= 0, held[0], alone), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class MoveCap:
    """At most `at_most` moved among `members`."""

    rule: str
    members: Index
    at_most: int


Cells = dict[int, tuple[Index, int]]
"""Cells of hosts and how many there are, by the `id` of the mapping that forms were given."""


def lower(
    form: Form, guest_index: Mapping[str, int], host_ids: Sequence[str], known: Cells | None = None
) -> ArrayForm | MoveCap:
    """Return a form over the indices of an instance.

    Forms that share a mapping of hosts to cells share an array, `known` being kept from one to the next.
    """
    members = _indices(form.guests, guest_index)
    if isinstance(form, MoveLimit):
        return MoveCap(form.rule, members, form.at_most)
    if isinstance(form, HostMask):
        cell = np.array([int(host in form.hosts) for host in host_ids], dtype=np.intp)
        cells = 2
    else:
        known = {} if known is None else known
        if id(form.cell_of_host) not in known:
            names = {name: i for i, name in enumerate(sorted({form.cell_of_host[host] for host in host_ids}))}
            numbers = np.array([names[form.cell_of_host[host]] for host in host_ids], dtype=np.intp)
            known[id(form.cell_of_host)] = numbers, len(names)
        cell, cells = known[id(form.cell_of_host)]
    kind = np.zeros(len(members), dtype=np.intp)
    everyone = members
    if isinstance(form, WithinCellsOf):
        providers = _indices(form.to, guest_index)
        everyone = np.union1d(members, providers).astype(np.intp)
        depends, provides = np.isin(everyone, members), np.isin(everyone, providers)
        kind = np.where(depends & provides, 2, np.where(provides, 1, 0)).astype(np.intp)
    return _ARRAY_FORMS[type(form)](
        rule=form.rule,
        enforcement=form.enforcement,
        weight=form.weight,
        members=everyone,
        selected=len(members),
        cell=cell,
        cells=cells,
        kinds=kind,
        at_least=form.at_least if isinstance(form, AtLeastCells) else 0,
    )


_ARRAY_FORMS: dict[type[Form], type[ArrayForm]] = {
    HostMask: Masked,
    ApartInCells: Apart,
    TogetherInCell: Together,
    AtLeastCells: AtLeast,
    WithinCellsOf: Within,
}


def _indices(ids: Sequence[str], index: Mapping[str, int]) -> Index:
    return np.array(sorted({index[one] for one in ids if one in index}), dtype=np.intp)
