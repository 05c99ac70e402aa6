"""Pricing, compiled: the sets of guests that fit one host and are worth most at given prices, in whole numbers.

By heuristic a set is grown from each guest, by price over the share of what is free that the guest takes, and improved
by exchanges; exactly by depth first search, cut off where even parts of guests could not be worth more.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scheduler.solver.forms import Bools, Ints
from scheduler.solver.kernels.compiled import compiled, entry, example
from scheduler.solver.kernels.dice import unit

Floats = NDArray[np.float64]

SLICE_LOOKS = 4_000_000
"""Looks at a guest after which the heuristic comes back, some milliseconds' worth."""
MOST_ROUNDS = 6
"""Rounds of exchanges that a set is improved by."""
ROUNDING = 1e-9
"""What a sum of shares may be off by."""
MARGIN = 1e-3
"""What a sum of whole prices and a part of one may be off by."""
DEPTH, BEST, NODES = range(3)


class Items(NamedTuple):
    """The guests: `demand` int64[m, resources], `room` int64[classes, resources], `allowed` bool[classes, m],
    `price` int64[m]; `open` bool[m] are those that count now.
    """

    demand: Ints
    room: Ints
    allowed: Bools
    price: Ints
    open: Bools


class Found(NamedTuple):
    """Sets grown: `pattern` int64[m, most + 1] (ends with -1) and `worth` int64[m] by the guest grown from.

    `told` int64[1] is the looks it took; the rest is scratch.
    """

    pattern: Ints
    worth: Ints
    told: Ints
    free: Ints
    candidate: Ints
    random: NDArray[np.uint64]


class Space(NamedTuple):
    """A depth first search under way: at each depth the guests that still fit and how far they have been tried.

    `told` int64[3]: depth (-1 when done), the best worth, nodes. `best` int64[most + 1] ends with -1. `share` float[m]
    is by guest, what it takes of the room in the mean; `left` float[depths] what is left of that.
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
        np.ones(len(demand), dtype=np.bool_),
    )


def most_together(items: Items) -> int:
    """Return a bound on how many guests fit one host together, at least 1."""
    most = 1
    for c in range(len(items.room)):
        sizes = np.sort(items.demand[items.allowed[c]], axis=0)
        fit = (np.cumsum(sizes, axis=0) <= items.room[c]).sum(axis=0)
        most = max(most, int(fit.min(initial=len(sizes))))
    return most


def make_found(items: Items, seed: int) -> Found:
    """Return room for what the heuristic finds."""
    guests, resources = items.demand.shape
    return Found(
        pattern=np.full((guests, most_together(items) + 1), -1, dtype=np.int64),
        worth=np.zeros(guests, dtype=np.int64),
        told=np.zeros(1, dtype=np.int64),
        free=np.zeros(resources, dtype=np.int64),
        candidate=np.zeros(guests, dtype=np.int64),
        random=np.array([(2 * seed + 1) * 0x9E3779B97F4A7C15 & (1 << 64) - 1], dtype=np.uint64),
    )


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
        told=np.full(3, -1, dtype=np.int64),
    )


def _example() -> Items:
    return make_items(np.ones((1, 1), dtype=np.int64), np.ones((1, 1), dtype=np.int64), np.ones((1, 1), dtype=np.bool_))


example(Items, lambda _: _example())
example(Found, lambda _: make_found(_example(), 1))
example(Space, lambda _: make_space(_example()))


@compiled
def _fits(items: Items, g: int, free: Ints) -> bool:
    over = 0
    for r in range(free.shape[0]):
        if items.demand[g, r] > free[r]:
            over += 1
    return over == 0


@compiled
def _take(items: Items, g: int, free: Ints, sign: int) -> None:
    for r in range(free.shape[0]):
        free[r] -= sign * items.demand[g, r]


@compiled
def _keep_fitting(items: Items, found: Found, many: int, gone: int) -> int:
    """Keep the candidates that still fit, without the guest `gone`; return how many they are."""
    kept = 0
    for i in range(many):
        g = found.candidate[i]
        if g != gone and _fits(items, g, found.free):
            found.candidate[kept] = g
            kept += 1
    found.told[0] += many
    return kept


@compiled
def _best_candidate(items: Items, found: Found, many: int, noise: float) -> int:
    """Return the candidate of the highest price over its share of what is free, which up to `noise` is added to."""
    best, best_worth = -1, -1.0
    for i in range(many):
        g = found.candidate[i]
        share = 1e-12
        for r in range(found.free.shape[0]):
            share += items.demand[g, r] / max(1, found.free[r])
        worth = items.price[g] / share
        if noise > 0.0:
            worth *= 1.0 + noise * unit(found.random)
        if worth > best_worth:
            best, best_worth = g, worth
    found.told[0] += many
    return best


@compiled
def _has(pattern: Ints, length: int, g: int) -> bool:
    many = 0
    for i in range(length):
        if pattern[i] == g:
            many += 1
    return many > 0


@compiled
def _exchange(items: Items, guests: Ints, c: int, found: Found, pattern: Ints, length: int) -> int:
    """Exchange guests of a set, but for the first, for such as are worth more; return what that gains."""
    gained = 0
    for _ in range(MOST_ROUNDS):
        before = gained
        for at in range(1, length):
            out = pattern[at]
            _take(items, out, found.free, -1)
            best, gain = -1, 0
            for i in range(guests.shape[0]):
                g = guests[i]
                more = items.price[g] - items.price[out]
                if more <= gain or not items.allowed[c, g]:
                    continue
                if _fits(items, g, found.free) and not _has(pattern, length, g):
                    best, gain = g, more
            found.told[0] += guests.shape[0]
            if best >= 0:
                pattern[at] = best
                gained += gain
            _take(items, pattern[at], found.free, 1)
        if gained == before:
            break
    return gained


@entry
def grow_patterns(items: Items, guests: Ints, c: int, found: Found, noise: float, first: int) -> int:
    """Grow a set for a host of class `c` from each of `guests`, from number `first` on; return the next after a slice.

    `guests` int64[n] are those that count. A guest that may not be on such a host gets a worth of 0.
    """
    found.told[0] = 0
    most = found.pattern.shape[1] - 1
    for k in range(first, guests.shape[0]):
        if found.told[0] > SLICE_LOOKS:
            return k
        seed = guests[k]
        pattern = found.pattern[seed]
        pattern[0] = -1
        found.worth[seed] = 0
        for r in range(found.free.shape[0]):
            found.free[r] = items.room[c, r]
        if not items.allowed[c, seed] or not _fits(items, seed, found.free):
            continue
        _take(items, seed, found.free, 1)
        pattern[0] = seed
        length = 1
        worth = items.price[seed]
        many = 0
        for i in range(guests.shape[0]):
            if items.allowed[c, guests[i]]:
                found.candidate[many] = guests[i]
                many += 1
        many = _keep_fitting(items, found, many, seed)
        while many > 0 and length < most:
            g = _best_candidate(items, found, many, noise)
            pattern[length] = g
            length += 1
            worth += items.price[g]
            _take(items, g, found.free, 1)
            many = _keep_fitting(items, found, many, g)
        worth += _exchange(items, guests, c, found, pattern, length)
        for i in range(guests.shape[0]):
            g = guests[i]
            if length < most and items.allowed[c, g] and _fits(items, g, found.free) and not _has(pattern, length, g):
                pattern[length] = g
                length += 1
                worth += items.price[g]
                _take(items, g, found.free, 1)
        pattern[length] = -1
        found.worth[seed] = worth
    return int(guests.shape[0])


@entry
def begin_exact(items: Items, guests: Ints, c: int, space: Space, least: int) -> None:
    """Begin the search for a set worth more than `least` for a host of class `c`.

    `guests` int64[n] are those allowed there, by falling price over `space.share`, which is filled in for them.
    """
    for r in range(items.room.shape[1]):
        space.free[0, r] = items.room[c, r]
    many = 0
    for i in range(guests.shape[0]):
        if _fits(items, guests[i], space.free[0]):
            space.candidate[0, many] = guests[i]
            many += 1
    space.many[0], space.at[0], space.worth[0] = many, 0, 0
    space.left[0] = 1.0 + ROUNDING
    space.best[0] = -1
    space.told[DEPTH], space.told[BEST], space.told[NODES] = 0, least, 0


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


@entry
def go_on_exact(items: Items, space: Space, most_nodes: int) -> bool:
    """Go on with the search for so many nodes; tell whether it is done."""
    last = space.candidate.shape[0] - 1
    nodes = 0
    while space.told[DEPTH] >= 0:
        depth = space.told[DEPTH]
        at = space.at[depth]
        if at >= space.many[depth] or depth >= last or not _could_be_better(items, space, depth):
            space.told[DEPTH] -= 1
            continue
        if nodes >= most_nodes:
            break
        nodes += 1
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
    space.told[NODES] += nodes
    return bool(space.told[DEPTH] < 0)
