"""Pricing, compiled: the best exchange of each class of hosts at given prices of shapes and moves.

A *label* is a room that a host can reach, with the best worth of getting there: first guests leave, so many of a kind
as are held, then others enter while there is room. Labels are never changed, a better one for the same room takes the
place of the older, so that the way back from any label stays true. All worths are integers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scheduler.solver.exchange.aggregate import Classes, Kinds
from scheduler.solver.forms import Ints
from scheduler.solver.kernels.compiled import compiled, entry, example
from scheduler.solver.kernels.cost import host_cost
from scheduler.solver.kernels.tables import Terms

MOST_LABELS = 1 << 18
CELL_BITS = 19
BUCKETS = 16
"""Exchanges of a class kept at once, of different gains."""
MOST_FOUND = 1 << 14
SLICE_LABELS = 1 << 16
"""Labels after which a call comes back, some milliseconds' worth."""
TOO_MANY = -1
ALIVE = 1 << 30
NEVER = -(1 << 62)
SPREAD = 0x9E3779B1


class Space(NamedTuple):
    """Where labels are kept: `cell` maps a key to a label, or is -1. Of each label: `room`
    int64[labels, dimensions], `at` its cell, `key`, `worth`, `parent`, `step` (a kind that leaves, or kinds + a kind
    that enters) and `many`, and the pass in which it `died`. The rest is scratch.
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
    use: Ints
    bucket_worth: Ints
    bucket_gain: Ints
    bucket_label: Ints


class Found(NamedTuple):
    """What pricing found: `told` int64[2] is how many and how many labels that took; `pattern` int64[n, 2 kinds] what
    leaves and enters, `gain` int64[n] what the host then costs less, `of` int64[n] the class.
    """

    told: Ints
    pattern: Ints
    gain: Ints
    of: Ints


class Prices(NamedTuple):
    """Worth of a guest of each kind that leaves, and that enters, int64[kinds]; `stay` int64[classes] is what an
    exchange of each must be worth to be told, `best` int64[classes] the answer: the most that one is worth.

    `scale` times a host's cost is what these are in. Exchanges differ when their gains do, in `unit`, or by `mix` times
    the rooms they lead to.
    """

    leaves: Ints
    enters: Ints
    stay: Ints
    best: Ints
    scale: int
    unit: int
    mix: int


def make_space(dimensions: int, resources: int, labels: int = MOST_LABELS) -> Space:
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
        use=_zeros(resources),
        bucket_worth=_zeros(BUCKETS),
        bucket_gain=_zeros(BUCKETS),
        bucket_label=_zeros(BUCKETS),
    )


def make_found(kinds: int, most: int = MOST_FOUND) -> Found:
    """Return room for what pricing finds."""
    return Found(_zeros(2), np.zeros((most, 2 * kinds), dtype=np.int64), _zeros(most), _zeros(most))


def _zeros(many: int) -> Ints:
    return np.zeros(many, dtype=np.int64)


_LIST, _TABLE = np.zeros(1, dtype=np.int64), np.zeros((1, 1), dtype=np.int64)
example(Classes, lambda _: Classes(_LIST, _LIST, _TABLE, _TABLE, _TABLE, _TABLE, np.zeros((1, 1), dtype=np.bool_)))
example(Kinds, lambda _: Kinds(_TABLE, _TABLE, _LIST, _LIST, np.zeros(1, dtype=np.bool_), _LIST))
example(Prices, lambda _: Prices(_LIST, _LIST, _LIST, _LIST, 1, 1, 0))
example(Space, lambda _: make_space(1, 1, 1))
example(Found, lambda _: make_found(1, 1))


@entry
def price_classes(
    terms: Terms, classes: Classes, kinds: Kinds, prices: Prices, space: Space, found: Found, first: int
) -> int:
    """Price classes from `first` on; return the next to do (after a slice, or with `found` full), or `TOO_MANY`."""
    found.told[0] = 0
    found.told[1] = 0
    for one in range(first, classes.host.shape[0]):
        if found.told[1] > SLICE_LABELS or found.told[0] + BUCKETS > found.gain.shape[0]:
            return one
        labels = _label(classes, kinds, prices, space, one)
        if labels < 0:
            return TOO_MANY
        _tell(terms, classes, kinds, prices, space, found, one, labels)
        for x in range(labels):
            space.cell[space.at[x]] = -1
        found.told[1] += labels
    return len(classes.host)


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
    space.died[labels] = ALIVE


@compiled
def _label(classes: Classes, kinds: Kinds, prices: Prices, space: Space, one: int) -> int:
    """Make all labels of a class; return how many, -1 when they are too many."""
    most = space.worth.shape[0]
    many_kinds, dimensions = kinds.leaves.shape
    key = 0
    for d in range(dimensions):
        space.room[0, d] = classes.room[one, d]
        key += classes.room[one, d] * kinds.stride[d]
    _put(space, _where(space, key), 0, key, 0, -1, -1, 0, 0)
    labels = 1
    now = 0
    for k in range(many_kinds):
        if classes.held[one, k] == 0:
            continue
        now += 1
        top = labels
        shift = 0
        for d in range(dimensions):
            shift += kinds.leaves[k, d] * kinds.stride[d]
        for x in range(top):
            # One that died in an earlier pass is nowhere better than what took its place.
            if space.died[x] < now:
                continue
            for many in range(1, classes.held[one, k] + 1):
                key = space.key[x] + many * shift
                worth = space.worth[x] + many * prices.leaves[k]
                at = _where(space, key)
                if space.cell[at] >= 0 and space.worth[space.cell[at]] >= worth:
                    continue
                if labels == most:
                    return -1
                for d in range(dimensions):
                    space.room[labels, d] = space.room[x, d] + many * kinds.leaves[k, d]
                _put(space, at, labels, key, worth, x, k, many, now)
                labels += 1
    for k in range(many_kinds):
        if not classes.takes[one, k]:
            continue
        now += 1
        top = labels
        shift = 0
        for d in range(dimensions):
            shift += kinds.enters[k, d] * kinds.stride[d]
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
                key = space.key[last] - shift
                worth = space.worth[last] + prices.enters[k]
                at = _where(space, key)
                if space.cell[at] >= 0 and space.worth[space.cell[at]] >= worth:
                    break
                if labels == most:
                    return -1
                for d in range(dimensions):
                    space.room[labels, d] = space.room[last, d] - kinds.enters[k, d]
                _put(space, at, labels, key, worth, last, many_kinds + k, 1, now)
                last = labels
                labels += 1
    return labels


@compiled
def _tell(
    terms: Terms,
    classes: Classes,
    kinds: Kinds,
    prices: Prices,
    space: Space,
    found: Found,
    one: int,
    labels: int,
) -> None:
    """Find the best label of a class, and tell the best ones of different gains that are worth it."""
    host = classes.host[one]
    for b in range(BUCKETS):
        space.bucket_label[b] = -1
    for r in range(space.use.shape[0]):
        space.use[r] = classes.use[one, r]
    base = host_cost(terms, host, space.use)
    best = NEVER
    for x in range(labels):
        if space.died[x] != ALIVE:
            continue
        for d in range(kinds.unit.shape[0]):
            if kinds.seen[d]:
                gone = (space.room[x, d] - classes.room[one, d]) * kinds.unit[d]
                space.use[kinds.column[d]] = classes.use[one, kinds.column[d]] - gone
        gain = base - host_cost(terms, host, space.use)
        worth = space.worth[x] + gain * prices.scale
        best = max(best, worth)
        b = (gain // prices.unit + prices.mix * (space.key[x] & 0xFFFFFF)) % BUCKETS
        if worth > prices.stay[one] and (space.bucket_label[b] < 0 or worth > space.bucket_worth[b]):
            space.bucket_worth[b] = worth
            space.bucket_gain[b] = gain
            space.bucket_label[b] = x
    prices.best[one] = best
    for b in range(BUCKETS):
        x = space.bucket_label[b]
        if x < 0:
            continue
        n = found.told[0]
        for k in range(found.pattern.shape[1]):
            found.pattern[n, k] = 0
        while space.parent[x] >= 0:
            found.pattern[n, space.step[x]] += space.many[x]
            x = space.parent[x]
        found.gain[n] = space.bucket_gain[b]
        found.of[n] = one
        found.told[0] += 1
