"""Which hosts make up each cell: hosts that rules tie stay together, and every cell has its like share of load.

Cells of like load matter, because a cell can only be made as even as its own mean lets it be.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from random import Random

import numpy as np
from numpy.typing import NDArray

from scheduler.solver.forms import Apart, ArrayForm, Bools, Index, Masked
from scheduler.solver.instance import UNLIMITED, Instance

Shares = NDArray[np.float64]

MOST_TIED = 0.25
"""Share of a cell's hosts that may be tied to each other: larger lumps could not be dealt evenly."""


def deal(instance: Instance, place: Index, cells: int, dice: Random) -> Index:
    """Return the cell of every host, int[hosts]; -1 for the host outside, which is part of every cell.

    Cells differ by at most a lump of tied hosts in size. Another `dice` deals the hosts in another way.
    """
    cell_of = np.full(instance.hosts, -1, dtype=np.intp)
    lumps = _lumps(instance, place, max(1, int(MOST_TIED * instance.hosts / cells)))
    dice.shuffle(lumps)
    load = _load(instance, place)
    of_lump = np.array([load[lump].sum(axis=0) for lump in lumps]).reshape(len(lumps), load.shape[1])
    sizes = np.array([len(lump) for lump in lumps])
    # What weighs most goes first; the last, light ones even out what is left.
    order = np.lexsort((-np.abs(of_lump).sum(axis=1), -sizes))
    quota = -(-int(sizes.sum()) // cells)
    held, dealt = np.zeros((cells, load.shape[1])), np.zeros(cells, dtype=np.int64)
    for number in order.tolist():
        open_to = np.flatnonzero(dealt + sizes[number] <= quota)
        if not len(open_to):
            open_to = np.flatnonzero(dealt == dealt.min())
        change = of_lump[number] * (2 * held[open_to] + of_lump[number])
        cell = int(open_to[np.lexsort((dealt[open_to], change.sum(axis=1)))[0]])
        cell_of[lumps[number]] = cell
        held[cell] += of_lump[number]
        dealt[cell] += sizes[number]
    return cell_of


def ties(instance: Instance) -> Iterable[ArrayForm]:
    """Return the forms that a border between cells would cut: those that are more than a sum over hosts."""
    for form in instance.forms:
        if len(form.members) < 2 or isinstance(form, Masked):
            continue
        if isinstance(form, Apart) and form.cells == instance.hosts:
            continue
        yield form


def _load(instance: Instance, place: Index) -> Shares:
    """What each host has beyond its share of every limited resource and of the guests, float[hosts, n]."""
    use = instance.use(place)
    limited = np.flatnonzero(((instance.limit < UNLIMITED) & (instance.limit > 0)).any(axis=0) & (use.sum(axis=0) > 0))
    room = np.where(instance.limit < UNLIMITED, np.maximum(0, instance.limit), 0)[:, limited].astype(np.float64)
    used = use[:, limited].astype(np.float64)
    guests = np.bincount(instance.host_of(place), minlength=instance.hosts).astype(np.float64)
    columns = [_shares(used[:, i]) - _shares(room[:, i]) for i in range(len(limited))]
    # Like numbers of guests keep tasks of like length; less important than load.
    return np.column_stack([*columns, 0.1 * (_shares(guests) - 1 / max(1, instance.hosts))])


def _shares(figures: Shares) -> Shares:
    whole = figures.sum()
    return figures / whole if whole > 0 else figures


def _lumps(instance: Instance, place: Index, most: int) -> list[Index]:
    """Hosts in lumps of at most `most` that rules tie: racks that rules speak of, then hosts of a rule's guests."""
    joined = _Joined(instance.hosts, most)
    outside = np.arange(instance.hosts) == instance.outside
    hosts = instance.host_of(place)
    seen: set[int] = set()
    tying = list(ties(instance))
    for form in tying:
        if id(form.cell) not in seen:
            seen.add(id(form.cell))
            _join_racks(joined, form, outside)
    for form in sorted(tying, key=lambda one: len(one.members)):
        if len(form.members) <= 2 * most:
            at = np.unique(hosts[form.members])
            joined.join(at[~outside[at]].tolist())
    return joined.lumps(outside)


def _join_racks(joined: _Joined, form: ArrayForm, outside: Bools) -> None:
    if form.cells >= len(form.cell):
        return
    order = np.argsort(form.cell, kind="stable")
    for rack in np.split(order, np.flatnonzero(np.diff(form.cell[order])) + 1):
        if len(rack) <= joined.most:
            joined.join(rack[~outside[rack]].tolist())


class _Joined:
    """Hosts joined into lumps (union-find), none larger than `most`."""

    def __init__(self, hosts: int, most: int) -> None:
        self.most = most
        self._parent = list(range(hosts))
        self._size = [1] * hosts

    def join(self, hosts: list[int]) -> None:
        """Join what may be joined, neighbours in the list with each other."""
        for one, other in pairwise(hosts):
            a, b = self._root(one), self._root(other)
            if a != b and self._size[a] + self._size[b] <= self.most:
                a, b = min(a, b), max(a, b)
                self._parent[b] = a
                self._size[a] += self._size[b]

    def lumps(self, left_out: Bools) -> list[Index]:
        """Return the lumps, by their first host."""
        found: dict[int, list[int]] = {}
        for host in np.flatnonzero(~left_out).tolist():
            found.setdefault(self._root(host), []).append(host)
        return [np.array(lump, dtype=np.intp) for lump in found.values()]

    def _root(self, host: int) -> int:
        while self._parent[host] != host:
            self._parent[host] = self._parent[self._parent[host]]
            host = self._parent[host]
        return host
