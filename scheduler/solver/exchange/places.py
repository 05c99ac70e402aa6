"""Exchanges of classes as a placement of guests, and a placement as exchanges."""

from __future__ import annotations

import numpy as np

from scheduler.solver.exchange.aggregate import Aggregate
from scheduler.solver.forms import Index, Ints


def place_of(whole: Aggregate, of: Ints, pattern: Ints, times: Ints) -> Index:
    """Return the placement in which exchanges, class `of` int[n] and `pattern` int64[n, 2 kinds], are made `times`.

    A guest that may stay on its host in another mode does; of the others, the first of a shape in the order of hosts
    and guests goes to the first host that wants one.
    """
    instance, kinds = whole.instance, len(whole.shape)
    guests = instance.movable
    kind = np.full((whole.shapes, instance.modes), -1, dtype=np.intp)
    kind[whole.shape, whole.mode] = np.arange(kinds)
    home = instance.home[guests]
    cell = instance.host_of(home) * kinds + kind[whole.shape_of[guests], home % instance.modes]
    order = np.argsort(cell, kind="stable")
    cell, guests = cell[order], guests[order]
    hosts_of = [np.flatnonzero(whole.class_of == one).tolist()[::-1] for one in range(len(whole.classes.host))]
    place = instance.home.copy()
    leaving: list[list[int]] = [[] for _ in range(whole.shapes)]
    wanted: list[list[int]] = [[] for _ in range(whole.shapes)]
    for one, row, often in zip(of.tolist(), pattern, times.tolist(), strict=True):
        for _ in range(often):
            host = hosts_of[one].pop()
            own: list[list[int]] = [[] for _ in range(whole.shapes)]
            for k in np.flatnonzero(row[:kinds]).tolist():
                first = int(np.searchsorted(cell, host * kinds + k))
                own[whole.shape[k]] += guests[first : first + int(row[k])].tolist()
            for k in np.flatnonzero(row[kinds:]).tolist():
                shape, seat = int(whole.shape[k]), host * instance.modes + int(whole.mode[k])
                for _ in range(int(row[kinds + k])):
                    if own[shape]:
                        place[own[shape].pop()] = seat
                    else:
                        wanted[shape].append(seat)
            for shape, some in enumerate(own):
                leaving[shape] += some
    for some, seats in zip(leaving, wanted, strict=True):
        place[some] = seats
    return place


def exchanges_of(whole: Aggregate, place: Index) -> tuple[Ints, Ints, Ints]:
    """Return what exchanges make a placement: class int64[n], pattern int64[n, 2 kinds], cost saved int64[n].

    Empty where it changes hosts that no exchange reaches.
    """
    instance, kinds = whole.instance, len(whole.shape)
    moved = np.flatnonzero(place != instance.home)
    ends = [instance.host_of(instance.home[moved]), instance.host_of(place[moved])]
    hosts = np.unique(np.concatenate(ends))
    kind = np.full((whole.shapes, instance.modes), -1, dtype=np.intp)
    kind[whole.shape, whole.mode] = np.arange(kinds)
    if (whole.shape_of[moved] < 0).any() or (whole.class_of[hosts] < 0).any():
        hosts, moved = hosts[:0], moved[:0]
        ends = [hosts, hosts]
    pattern = np.zeros((len(hosts), 2 * kinds), dtype=np.int64)
    for host, seats, offset in zip(ends, (instance.home[moved], place[moved]), (0, kinds), strict=True):
        row = np.searchsorted(hosts, host)
        np.add.at(pattern, (row, offset + kind[whole.shape_of[moved], seats % instance.modes]), 1)
    before, after = instance.use(instance.home)[hosts], instance.use(place)[hosts]
    saved = instance.goal.at(hosts, before) - instance.goal.at(hosts, after)
    return whole.class_of[hosts].astype(np.int64), pattern, saved
