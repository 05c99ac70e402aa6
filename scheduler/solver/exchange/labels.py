"""Labels, compiled: the rooms that a host can reach, each with the best worth of getting there.

First guests leave, so many of a kind as are held, then others enter while there is room. Labels are never changed: a
better one for the same room takes the place of the older, so that the way back from any label stays true. Once all have
left that will, room that no cost looks at and that cannot run out before another does is cut down to what could still
be used of it: labels that differ in no more than that are one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scheduler.solver.exchange.aggregate import Classes, Kinds
from scheduler.solver.forms import Ints
from scheduler.solver.kernels.compiled import compiled, example

MOST_LABELS = 1 << 18
CELL_BITS = 19
ALIVE = 1 << 30
SPREAD = 0x9E3779B1
TOO_MANY = -1


class Space(NamedTuple):
    """Where labels are kept: `cell` maps a key to a label, or is -1. Of each label: `room`
    int64[labels, dimensions], `at` its cell, `key`, `worth`, `parent`, `step` (a kind that leaves, or kinds + a kind
    that enters) and `many`, how many are `gone`, and the pass in which it `died`.
    """

    cell: Ints
    room: Ints
    at: Ints
    key: Ints
    worth: Ints
    parent: Ints
    step: Ints
    many: Ints
    died: Ints
    gone: Ints


class Prices(NamedTuple):
    """Worth of a guest of each kind that leaves, and that enters, int64[kinds]; `stay` int64[classes] is what an
    exchange of each must be worth to be told, `best` int64[classes] the answer: the most that one is worth.

    `scale` times a host's cost is what these are in. Exchanges differ when their gains do, in `unit`, or by `mix` times
    the rooms they lead to. At most `at_once` guests leave a host, and it has at most `labels`; with 0 for both all are
    made, or the class has `TOO_MANY`.
    """

    leaves: Ints
    enters: Ints
    stay: Ints
    best: Ints
    scale: int
    unit: int
    mix: int
    at_once: int
    labels: int


def make_space(dimensions: int, labels: int = MOST_LABELS) -> Space:
    """Return empty space for labels."""
    return Space(
        cell=np.full(1 << CELL_BITS, -1, dtype=np.int64),
        room=np.zeros((labels, dimensions), dtype=np.int64),
        at=_zeros(labels),
        key=_zeros(labels),
        worth=_zeros(labels),
        parent=_zeros(labels),
        step=_zeros(labels),
        many=_zeros(labels),
        died=_zeros(labels),
        gone=_zeros(labels),
    )


def _zeros(many: int) -> Ints:
    return np.zeros(many, dtype=np.int64)


@compiled
def _where(space: Space, key: int) -> int:
    """Return the cell of a key: its own, or the empty one where it would go."""
    mask = space.cell.shape[0] - 1
    at: int = (key ^ ((key >> CELL_BITS) * SPREAD)) & mask
    while space.cell[at] >= 0 and space.key[space.cell[at]] != key:
        at = (at + 1) & mask
    return at


@compiled
def _put(space: Space, at: int, labels: int, key: int, worth: int, parent: int, step: int, many: int, now: int) -> None:
    """Write a label, all but its room, in the place of the one in its cell."""
    if space.cell[at] >= 0:
        space.died[space.cell[at]] = now
    space.cell[at] = labels
    space.at[labels] = at
    space.key[labels] = key
    space.worth[labels] = worth
    space.parent[labels] = parent
    space.step[labels] = step
    space.many[labels] = many
    space.gone[labels] = many + (space.gone[parent] if parent >= 0 else 0)
    space.died[labels] = ALIVE


@compiled
def make_labels(classes: Classes, kinds: Kinds, prices: Prices, space: Space, one: int) -> int:
    """Make all labels of a class; return how many, or `TOO_MANY`."""
    key = 0
    for d in range(kinds.column.shape[0]):
        space.room[0, d] = classes.room[one, d]
        key += classes.room[one, d] * kinds.stride[d]
    _put(space, _where(space, key), 0, key, 0, -1, -1, 0, 0)
    labels = _leave(classes, kinds, prices, space, one)
    if labels == TOO_MANY:
        return TOO_MANY
    _loosen(classes, kinds, space, one, labels)
    return _enter(classes, kinds, prices, space, one, labels)


@compiled
def _leave(classes: Classes, kinds: Kinds, prices: Prices, space: Space, one: int) -> int:
    """Make the labels that guests leaving lead to."""
    most = space.worth.shape[0] if prices.labels == 0 else prices.labels
    dimensions = kinds.column.shape[0]
    labels = 1
    for k in range(kinds.leaves.shape[0]):
        top = labels
        shift = 0
        for d in range(dimensions):
            shift += kinds.leaves[k, d] * kinds.stride[d]
        for x in range(top):
            # One that died in an earlier pass is nowhere better than what took its place.
            if space.died[x] <= k:
                continue
            all_of = classes.held[one, k]
            if prices.at_once > 0:
                all_of = min(all_of, prices.at_once - space.gone[x])
            for many in range(1, all_of + 1):
                key = space.key[x] + many * shift
                worth = space.worth[x] + many * prices.leaves[k]
                at = _where(space, key)
                if space.cell[at] >= 0 and space.worth[space.cell[at]] >= worth:
                    continue
                if labels == most:
                    return labels if prices.labels > 0 else TOO_MANY
                for d in range(dimensions):
                    space.room[labels, d] = space.room[x, d] + many * kinds.leaves[k, d]
                _put(space, at, labels, key, worth, x, k, many, k + 1)
                labels += 1
    return labels


@compiled
def _cut(classes: Classes, kinds: Kinds, space: Space, one: int, label: int) -> int:
    """Cut room that nothing looks at down to what can still be used of it; return the key."""
    key = 0
    for d in range(kinds.column.shape[0]):
        other = kinds.within[d]
        if other >= 0:
            use = space.room[label, other] * kinds.ratio[d, 0] // kinds.ratio[d, 1] + classes.spare[one, d]
            space.room[label, d] = min(space.room[label, d], use)
        key += space.room[label, d] * kinds.stride[d]
    return key


@compiled
def _loosen(classes: Classes, kinds: Kinds, space: Space, one: int, labels: int) -> None:
    """Cut the room of all labels that are left, and keep the best of those that are then the same."""
    cuts = False
    for d in range(kinds.column.shape[0]):
        if kinds.within[d] >= 0:
            cuts = True
    if not cuts:
        return
    for x in range(labels):
        space.cell[space.at[x]] = -1
    now = kinds.leaves.shape[0] + 1
    for x in range(labels):
        if space.died[x] != ALIVE:
            continue
        space.key[x] = _cut(classes, kinds, space, one, x)
        at = _where(space, space.key[x])
        old = space.cell[at]
        if old >= 0 and space.worth[old] >= space.worth[x]:
            space.died[x] = now
            continue
        if old >= 0:
            space.died[old] = now
        space.cell[at] = x
        space.at[x] = at


@compiled
def _enter(classes: Classes, kinds: Kinds, prices: Prices, space: Space, one: int, labels: int) -> int:
    """Make the labels that guests entering lead to from those there are; return how many there are then."""
    most = space.worth.shape[0] if prices.labels == 0 else prices.labels
    many_kinds, dimensions = kinds.enters.shape
    for k in range(many_kinds):
        if not classes.takes[one, k]:
            continue
        now = many_kinds + 2 + k
        top = labels
        for x in range(top):
            if space.died[x] < now:
                continue
            last = x
            while True:
                fits = True
                for d in range(dimensions):
                    if space.room[last, d] - kinds.enters[k, d] < classes.spare[one, d]:
                        fits = False
                if not fits:
                    break
                if labels == most:
                    return labels if prices.labels > 0 else TOO_MANY
                for d in range(dimensions):
                    space.room[labels, d] = space.room[last, d] - kinds.enters[k, d]
                key = _cut(classes, kinds, space, one, labels)
                worth = space.worth[last] + prices.enters[k]
                at = _where(space, key)
                if space.cell[at] >= 0 and space.worth[space.cell[at]] >= worth:
                    break
                _put(space, at, labels, key, worth, last, many_kinds + k, 1, now)
                last = labels
                labels += 1
    return labels


_LIST, _TABLE = np.zeros(1, dtype=np.int64), np.zeros((1, 1), dtype=np.int64)
_FLAGS = np.zeros((1, 1), dtype=np.bool_)
example(Classes, lambda _: Classes(_LIST, _LIST, _TABLE, _TABLE, _TABLE, _TABLE, _FLAGS))
example(Kinds, lambda _: Kinds(_TABLE, _TABLE, _LIST, _LIST, _FLAGS[0], _LIST, _LIST, _TABLE))
example(Prices, lambda _: Prices(_LIST, _LIST, _LIST, _LIST, 1, 1, 0, 0, 0))
example(Space, lambda _: make_space(1, 1))
