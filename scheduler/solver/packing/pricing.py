"""Pricing, compiled: the sets of guests that fit one host and are worth most at given prices, in whole numbers.

By depth first search there is a best set for each guest that could come first in it. The search is cut off where even
parts of guests could not be worth enough; so it is exact, unless it takes too long.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scheduler.solver.forms import Bools, Ints
from scheduler.solver.kernels.compiled import compiled, entry, example

Floats = NDArray[np.float64]

SLICE_NODES = 10_000
"""Nodes after which the search comes back."""
MOST_LIST_NODES = 200_000
"""Nodes with one guest first after which listing is given up."""
ROUNDING = 1e-9
"""What a sum of shares may be off by."""
MARGIN = 1e-3
"""What a sum of whole prices and a part of one may be off by."""
DEPTH, BEST, NODES, CUT = range(4)


class Items(NamedTuple):
    """The guests: `demand` int64[m, resources], `room` int64[classes, resources], `allowed` bool[classes, m],
    `price` int64[m].
    """

    demand: Ints
    room: Ints
    allowed: Bools
    price: Ints


class Found(NamedTuple):
    """The best set with each guest as its first: `pattern` int64[m, most + 1] (ends with -1), `worth` int64[m]."""

    pattern: Ints
    worth: Ints


class Listed(NamedTuple):
    """Sets listed: `pattern` int64[most kept, most + 1] (ends with -1), `many` int64[1] how many."""

    pattern: Ints
    many: Ints


class Space(NamedTuple):
    """A depth first search under way: at each depth the guests that still fit and how far they have been tried.

    `told` int64[4]: depth, the best worth, nodes, and guests with which the search was cut off. `best` int64[most + 1]
    ends with -1. `share` float[m] is by guest, what it takes of the room in the mean; `left` float[depths] what is left
    of that.
    """

    candidate: Ints
    many: Ints
    at: Ints
    free: Ints
    left: Floats
    worth: Ints
    chosen: Ints
    share: Floats
    best: Ints
    told: Ints


def make_items(demand: Ints, room: Ints, allowed: Bools) -> Items:
    """Return guests without prices."""
    return Items(
        np.ascontiguousarray(demand, dtype=np.int64),
        np.ascontiguousarray(room, dtype=np.int64),
        np.ascontiguousarray(allowed, dtype=np.bool_),
        np.zeros(len(demand), dtype=np.int64),
    )


def most_together(items: Items) -> int:
    """Return a bound on how many guests fit one host together, at least 1."""
    most = 1
    for c in range(len(items.room)):
        sizes = np.sort(items.demand[items.allowed[c]], axis=0)
        fit = (np.cumsum(sizes, axis=0) <= items.room[c]).sum(axis=0)
        most = max(most, int(fit.min(initial=len(sizes))))
    return most


def make_found(items: Items) -> Found:
    """Return room for what is found."""
    guests = len(items.demand)
    pattern = np.full((guests, most_together(items) + 1), -1, dtype=np.int64)
    return Found(pattern, np.zeros(guests, dtype=np.int64))


def make_listed(items: Items, most: int) -> Listed:
    """Return room for so many sets."""
    return Listed(np.full((most, most_together(items) + 1), -1, dtype=np.int64), np.zeros(1, dtype=np.int64))


def make_space(items: Items) -> Space:
    """Return room for a depth first search."""
    guests, resources = items.demand.shape
    depths = most_together(items) + 1
    return Space(
        candidate=np.zeros((depths, guests), dtype=np.int64),
        many=np.zeros(depths, dtype=np.int64),
        at=np.zeros(depths, dtype=np.int64),
        free=np.zeros((depths, resources), dtype=np.int64),
        left=np.zeros(depths, dtype=np.float64),
        worth=np.zeros(depths, dtype=np.int64),
        chosen=np.zeros(depths, dtype=np.int64),
        share=np.zeros(guests, dtype=np.float64),
        best=np.full(depths, -1, dtype=np.int64),
        told=np.full(4, -1, dtype=np.int64),
    )


def _example() -> Items:
    return make_items(np.ones((1, 1), dtype=np.int64), np.ones((1, 1), dtype=np.int64), np.ones((1, 1), dtype=np.bool_))


example(Items, lambda _: _example())
example(Found, lambda _: make_found(_example()))
example(Listed, lambda _: make_listed(_example(), 1))
example(Space, lambda _: make_space(_example()))


@compiled
def _fits(items: Items, g: int, free: Ints) -> bool:
    over = 0
    for r in range(free.shape[0]):
        if items.demand[g, r] > free[r]:
            over += 1
    return over == 0


@compiled
def _could_be_better(items: Items, space: Space, depth: int) -> bool:
    """Tell whether what is left at a depth, guests in parts, could make the set worth more than the best."""
    left, worth = space.left[depth], 0.0 + space.worth[depth]
    for i in range(space.at[depth], space.many[depth]):
        g = space.candidate[depth, i]
        share = space.share[g]
        if share <= left:
            left -= share
            worth += items.price[g]
        else:
            worth += items.price[g] * left / share
            break
    # Worths are whole: less than one more is none.
    return bool(worth + MARGIN >= space.told[BEST] + 1)


@compiled
def _go_on(items: Items, space: Space, top: int, most_nodes: int) -> int:
    """Search on below depth `top` for so many nodes at most; return how many it took."""
    last = space.candidate.shape[0] - 1
    nodes = 0
    while space.told[DEPTH] >= top:
        depth = space.told[DEPTH]
        at = space.at[depth]
        if at >= space.many[depth] or depth >= last or not _could_be_better(items, space, depth):
            space.told[DEPTH] -= 1
            continue
        if nodes >= most_nodes:
            break
        nodes += 1
        _step(items, space, depth, at)
    return nodes


@compiled
def _step(items: Items, space: Space, depth: int, at: int) -> None:
    """Take the candidate at a depth into the set, and go one deeper with those after it that still fit."""
    g = space.candidate[depth, at]
    space.at[depth] = at + 1
    space.chosen[depth] = g
    below = depth + 1
    for r in range(items.room.shape[1]):
        space.free[below, r] = space.free[depth, r] - items.demand[g, r]
    many = 0
    for i in range(at + 1, space.many[depth]):
        other = space.candidate[depth, i]
        if _fits(items, other, space.free[below]):
            space.candidate[below, many] = other
            many += 1
    space.many[below] = many
    space.at[below] = 0
    space.worth[below] = space.worth[depth] + items.price[g]
    space.left[below] = max(0.0, space.left[depth] - space.share[g])
    if space.worth[below] > space.told[BEST]:
        space.told[BEST] = space.worth[below]
        for i in range(below):
            space.best[i] = space.chosen[i]
        space.best[below] = -1
    space.told[DEPTH] = below


@compiled
def _open_top(items: Items, guests: Ints, c: int, space: Space) -> None:
    """Begin with an empty host of a class and all of the guests."""
    for r in range(items.room.shape[1]):
        space.free[0, r] = items.room[c, r]
    for i in range(guests.shape[0]):
        space.candidate[0, i] = guests[i]
    space.many[0], space.worth[0] = guests.shape[0], 0
    space.left[0] = 1.0 + ROUNDING


@entry
def search_patterns(
    items: Items, guests: Ints, c: int, space: Space, found: Found, least: int, most_nodes: int, first: int
) -> int:
    """Search for the best set worth more than `least` among those in which each of `guests` is the first.

    `guests` int64[n], from number `first` on, are those allowed on hosts of class `c`, by falling price over
    `space.share`, which is filled in for them. Returns the next after a slice. `found.worth` of a guest is 0 where
    there is no such set. At most `most_nodes` for each guest: `space.told[NODES]` is how many were taken,
    `space.told[CUT]` how many guests were not done with; both are 0 at `first` 0.
    """
    if first == 0:
        space.told[NODES], space.told[CUT] = 0, 0
    _open_top(items, guests, c, space)
    slice_nodes = 0
    for k in range(first, guests.shape[0]):
        if slice_nodes > SLICE_NODES:
            return k
        seed = guests[k]
        found.worth[seed] = 0
        space.at[0], space.told[BEST], space.best[0] = k, least, -1
        if not _could_be_better(items, space, 0):
            # Nor could be those after it.
            for i in range(k, guests.shape[0]):
                found.worth[guests[i]] = 0
            break
        if not _fits(items, seed, space.free[0]):
            continue
        _step(items, space, 0, k)
        nodes = _go_on(items, space, 1, most_nodes)
        slice_nodes += nodes + 1
        space.told[NODES] += nodes + 1
        if space.told[DEPTH] >= 1:
            space.told[CUT] += 1
        if space.best[0] >= 0:
            found.worth[seed] = space.told[BEST]
            for i in range(found.pattern.shape[1]):
                found.pattern[seed, i] = space.best[i]
    return int(guests.shape[0])


@entry
def list_patterns(items: Items, guests: Ints, c: int, space: Space, listed: Listed, least: int, first: int) -> int:
    """List every set worth more than `least` that no guest after its last one fits into; return the next first guest.

    Guests are as in `search_patterns`. Comes back after a slice, and with `listed` full, then without the sets of the
    guest returned; `space.told[NODES]` is how many nodes the slice took.
    """
    _open_top(items, guests, c, space)
    space.told[NODES] = 0
    for k in range(first, guests.shape[0]):
        kept = listed.many[0]
        if space.told[NODES] > SLICE_NODES:
            return k
        space.at[0], space.told[BEST] = k, least
        if not _could_be_better(items, space, 0):
            break
        if not _fits(items, guests[k], space.free[0]):
            continue
        _step(items, space, 0, k)
        while space.told[DEPTH] >= 1:
            depth = space.told[DEPTH]
            space.told[BEST] = least
            if listed.many[0] == listed.pattern.shape[0] or space.told[NODES] > MOST_LIST_NODES:
                listed.many[0] = kept
                return k
            if space.many[depth] == 0 and space.worth[depth] > least:
                for i in range(depth):
                    listed.pattern[listed.many[0], i] = space.chosen[i]
                listed.pattern[listed.many[0], depth] = -1
                listed.many[0] += 1
            at = space.at[depth]
            if at >= space.many[depth] or not _could_be_better(items, space, depth):
                space.told[DEPTH] -= 1
                continue
            space.told[NODES] += 1
            _step(items, space, depth, at)
    return int(guests.shape[0])
