"""Pricing, compiled: the best exchange of each class of hosts at given prices of shapes and moves, in whole numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scheduler.solver.exchange.aggregate import Classes, Kinds
from scheduler.solver.exchange.labels import ALIVE, TOO_MANY, Prices, Space, make_labels
from scheduler.solver.forms import Ints
from scheduler.solver.kernels.compiled import compiled, entry, example
from scheduler.solver.kernels.cost import host_cost
from scheduler.solver.kernels.tables import Terms

BUCKETS = 16
"""Exchanges of a class kept at once, of different gains."""
MOST_FOUND = 1 << 14
SLICE_LABELS = 1 << 15
"""Labels after which a call comes back, some milliseconds' worth."""
NEVER = -(1 << 62)


class Found(NamedTuple):
    """What pricing found: `told` int64[2] is how many and how many labels that took; `pattern` int64[n, 2 kinds] what
    leaves and enters, `gain` int64[n] what the host then costs less, `of` int64[n] the class. The rest is
    scratch: the use of a host, and the best of each bucket.
    """

    told: Ints
    pattern: Ints
    gain: Ints
    of: Ints
    use: Ints
    bucket_worth: Ints
    bucket_gain: Ints
    bucket_label: Ints


def make_found(kinds: int, resources: int, most: int = MOST_FOUND) -> Found:
    """Return room for what pricing finds."""
    amounts = (most, most, resources, BUCKETS, BUCKETS, BUCKETS)
    gain, of, use, *buckets = (np.zeros(many, dtype=np.int64) for many in amounts)
    pattern = np.zeros((most, 2 * kinds), dtype=np.int64)
    return Found(np.zeros(2, dtype=np.int64), pattern, gain, of, use, *buckets)


example(Found, lambda _: make_found(1, 1, 1))


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
        labels = make_labels(classes, kinds, prices, space, one)
        if labels == TOO_MANY:
            return TOO_MANY
        _tell(terms, classes, kinds, prices, space, found, one, labels)
        for x in range(labels):
            space.cell[space.at[x]] = -1
        found.told[1] += labels
    return len(classes.host)


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
        found.bucket_label[b] = -1
    for r in range(found.use.shape[0]):
        found.use[r] = classes.use[one, r]
    base = host_cost(terms, host, found.use)
    best = NEVER
    for x in range(labels):
        if space.died[x] != ALIVE:
            continue
        for d in range(kinds.unit.shape[0]):
            if kinds.seen[d]:
                gone = (space.room[x, d] - classes.room[one, d]) * kinds.unit[d]
                found.use[kinds.column[d]] = classes.use[one, kinds.column[d]] - gone
        gain = base - host_cost(terms, host, found.use)
        worth = space.worth[x] + gain * prices.scale
        best = max(best, worth)
        b = (gain // prices.unit + prices.mix * (space.key[x] & 0xFFFFFF)) % BUCKETS
        if worth > prices.stay[one] and (found.bucket_label[b] < 0 or worth > found.bucket_worth[b]):
            found.bucket_worth[b] = worth
            found.bucket_gain[b] = gain
            found.bucket_label[b] = x
    prices.best[one] = best
    for b in range(BUCKETS):
        x = found.bucket_label[b]
        if x < 0:
            continue
        n = found.told[0]
        for k in range(found.pattern.shape[1]):
            found.pattern[n, k] = 0
        while space.parent[x] >= 0:
            found.pattern[n, space.step[x]] += space.many[x]
            x = space.parent[x]
        found.gain[n] = found.bucket_gain[b]
        found.of[n] = one
        found.told[0] += 1
