"""How many whole slots can be free at most: what is free altogether, less the pieces that few moves cannot clear."""

from __future__ import annotations

import numpy as np

from scheduler.solver.bounds.reach import Reach, at_most
from scheduler.solver.forms import Ints
from scheduler.solver.terms import FreeSlots

LARGE = 1 << 62


def most_slots(reach: Reach, terms: list[FreeSlots]) -> int:
    """Return a bound on the slots of terms of one size: by what is free altogether, and by so few moves."""
    columns = [term.column for term in terms]
    least = reach.least_sum(columns)
    every = np.arange(reach.instance.hosts)
    closed = every[~reach.open]
    most = sum(_slots(term, closed, reach.fixed[closed]) for term in terms)
    opened = every[reach.open]
    singly = room = 0
    for term in terms:
        fixed = reach.fixed[opened, term.column]
        left = term.capacity[opened] - fixed
        singly += int((np.maximum(0, left) // term.size).sum())
        # A host without slots may be filled up to its cap, whatever counts as its capacity here.
        room += int(np.maximum(left, reach.cap[opened, term.column] - fixed).sum())
    if len(set(columns)) < len(columns):
        # A guest counts once, however many terms count its resource: what is left is then no sum.
        return most + singly
    most += max(0, min(singly, (room - int(least.sum())) // terms[0].size))
    return min(most, _by_few_moves(reach, terms, least))


def _slots(term: FreeSlots, hosts: Ints, use: Ints) -> int:
    return int((np.maximum(0, term.capacity[hosts] - use[:, term.column]) // term.size).sum())


def _by_few_moves(reach: Reach, terms: list[FreeSlots], least: Ints) -> int:
    """Bound from the start, by pieces and by guests; the lesser holds.

    Free room that is no whole slot stays lost on every resource of a host that no move touches: with f free in all, of
    which p in pieces, there are (f - p) / size slots, and no move makes f larger than `least` says. A guest of demand d
    gives at most ceil(d / size) slots where it leaves, and takes floor(d / size) at least where it comes.
    """
    instance, size = reach.instance, terms[0].size
    use = instance.use(instance.home)
    free, pieces = [], []
    for term in terms:
        left = term.capacity - use[:, term.column]
        if (left < 0).any() or (term.capacity < reach.cap[:, term.column]).any():
            # Where hosts can be fuller than counts, leaving one may free nothing.
            return int(np.maximum(0, term.capacity).sum()) // size * len(terms)
        free.append(int(left.sum()))
        pieces.append(left % size)
    columns = [term.column for term in terms]
    home = reach.at_home[:, columns].sum(axis=1)
    touched = np.count_nonzero(reach.at_home[:, columns], axis=1)
    demand = instance.demand[instance.movable][:, :, columns]
    touched = touched + np.where(reach.usable, np.count_nonzero(demand, axis=2), 0).max(axis=1, initial=0)
    counted, mib = reach.counted, instance.mib[instance.movable]

    def by_moves(gain: Ints) -> int:
        return int(gain[~counted].sum()) + at_most(gain[counted], mib[counted], instance.max_moves, instance.max_mib)

    lost = np.sort(np.concatenate(pieces))
    lost = lost[: max(0, len(lost) - by_moves(touched))]
    by_pieces = (sum(free) + int((home - least).sum()) - int(lost.sum())) // size
    taken = np.where(reach.usable, (demand // size).sum(axis=2), LARGE).min(axis=1, initial=LARGE)
    gain = np.maximum(0, (-(-reach.at_home[:, columns] // size)).sum(axis=1) - taken)
    now = (sum(free) - int(np.concatenate(pieces).sum())) // size
    return min(by_pieces, now + by_moves(gain))
