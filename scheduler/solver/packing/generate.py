"""Patterns generated as they pay, until none does: then the linear program's value is a bound on what hosts cost.

Prices are whole numbers of small parts of a unit of cost, so the bound is exact whatever the program's rounding. It is
taken only where the dearest patterns were found exactly.
"""

from __future__ import annotations

import numpy as np

from scheduler.solver.evaluate import GOAL
from scheduler.solver.forms import Bools, Ints
from scheduler.solver.meter import Meter
from scheduler.solver.packing.host_classes import HostClasses
from scheduler.solver.packing.patterns import Relaxation, bound_of
from scheduler.solver.packing.pricing import (
    CUT,
    NODES,
    list_patterns,
    make_found,
    make_items,
    make_listed,
    make_space,
    search_patterns,
)
from scheduler.solver.search import Search

NEW_PATTERNS, EACH_GUEST = 200, 6
"""At most so many new patterns a round, and so many that each guest is in."""
FINEST = 30
RANGE = 1 << 50
"""Prices are in parts of a unit of cost, 2^-30 where all of them together stay within this."""
CLOSE = 1e-7
"""In dearest hosts: a pattern that is worth no more than this over its host does not pay."""
NODES_AT_FIRST, TIMES, FEW_NEW = 64, 4, 20
"""Nodes of a guest's search, and how many times more when no more than a few new patterns are found with those."""
MOST_NODES = 1 << 16
MOST_LISTED = 2000
"""Patterns of a class that are listed at most."""
NODE_WORK = 1e-6
"""What a node counts as of a work limit: about the seconds it takes."""


class Generation:
    """The linear program of an instance and the pricing that feeds it.

    `value` is the linear program's cost of hosts, in the goal's unit, infinite before it is solved.
    `settled` tells that no more patterns were found that pay, `proven` that there are none; `bound` is the best proven
    bound on the cost of hosts so far, in the goal's unit.
    """

    def __init__(self, search: Search, classes: HostClasses, meter: Meter) -> None:
        self.classes = classes
        self.relaxation = Relaxation(classes, meter)
        self.settled = self.proven = False
        self.value, self.bound = float("inf"), 0
        self._search, self._meter = search, meter
        self._items = make_items(classes.demand, classes.room, classes.allowed)
        self._found = make_found(self._items)
        self._space = make_space(self._items)
        self._nodes, self._cut = NODES_AT_FIRST, False
        self._worths: list[int] = []
        most = max(1, int(classes.cost.max()) * classes.guests)
        self._scale = 1 << max(0, min(FINEST, (RANGE // most).bit_length() - 1))

    @property
    def reach(self) -> int | None:
        """The least that whole hosts cost if it is no less than the linear program does; `None` before it is solved.

        Never below the bound.
        """
        if self.value == np.inf:
            return None
        grain = self.classes.grain
        return max(self.bound, int(np.ceil((self.value - CLOSE * self.relaxation.unit) / grain)) * grain)

    def run(self, until: float, rounds: int, most_nodes: int = MOST_NODES) -> int:
        """Generate until nothing pays, for so many rounds, or until no more than `until` is left; return the rounds.

        With a guest first, patterns are searched for with at most `most_nodes`, few until few are found.
        """
        self.settled = False
        done = 0
        while done < rounds and not self._over(until):
            if not self.relaxation.solve():
                return done
            done += 1
            self.value = self.relaxation.value * self.relaxation.unit
            fresh = self.search(until)
            if self.proven:
                self.settled = True
                return done
            if fresh < FEW_NEW and self._nodes < most_nodes and self._cut:
                self._nodes *= TIMES
            elif not fresh:
                self.settled = not self._over(until)
                return done
        return done

    def search(self, until: float, still: Bools | None = None) -> int:
        """Add patterns that are worth more than their hosts; return how many.

        `still` bool[m] are the guests that count. Where all do and no search is cut off, a bound is proven, and told
        to the search.
        """
        items, found, space = self._items, self._found, self._space
        items.price[:] = np.floor(self.relaxation.price * (self.relaxation.unit * self._scale))
        if still is not None:
            items.price[~still] = 0
        fresh = 0
        self._cut, self._worths = False, []
        for of in range(len(self.classes.hosts)):
            guests, least = self._by_worth(of), self._least(of)
            first = before = 0
            while first < len(guests):
                first = search_patterns(items, guests, of, space, found, least, self._nodes, first)
                self._meter.work(NODE_WORK * (int(space.told[NODES]) - before))
                before = int(space.told[NODES])
                if self._over(until):
                    return fresh
            self._cut |= len(guests) > 0 and bool(space.told[CUT])
            self._worths.append(max(least, int(found.worth[guests].max(initial=0))))
            fresh += self._add(of, guests, least)
        if still is None and not self._cut:
            self.bound = max(self.bound, bound_of(self.classes, items.price, self._scale, self._worths))
            self.tell()
            self.proven = not fresh or (self.reach is not None and self.bound >= self.reach)
        return fresh

    def list_all(self, most: int, until: float) -> bool:
        """Add every pattern that can be part of a choice that costs no more than `most`; tell whether all are known.

        Asks for nothing to be fixed in the linear program, which is solved to its end first. Where the hosts of a
        choice cost `most` and guests pay their prices, no host can cost more beyond its guests' prices than `most` is
        over all prices, and what other hosts may get back.
        """
        while self.relaxation.solve() and self.search(until):
            self.value = self.relaxation.value * self.relaxation.unit
        if self._cut or self._over(until):
            return False
        self.value = self.relaxation.value * self.relaxation.unit
        items, classes, space = self._items, self.classes, self._space
        costs = [self._scale * cost for cost in classes.cost.tolist()]
        over = max(0, *(worth - cost for worth, cost in zip(self._worths, costs, strict=True)))
        slack = most * self._scale - sum(items.price.tolist()) + classes.guests * over
        listed = make_listed(items, MOST_LISTED)
        for of, cost in enumerate(costs):
            guests = self._by_worth(of, True)
            first, listed.many[0] = 0, 0
            while first < len(guests):
                then = list_patterns(items, guests, of, space, listed, cost - slack - 1, first)
                self._meter.work(NODE_WORK * int(space.told[NODES]))
                if then == first or self._over(until):
                    return False
                first = then
            for pattern in listed.pattern[: int(listed.many[0])]:
                self.relaxation.add(of, pattern[: int(np.argmax(pattern < 0))])
        return True

    def prove_more_than(self, most: int) -> None:
        """Take it as proven that hosts cost more than `most`."""
        self.bound = max(self.bound, most + self.classes.grain)
        self.tell()

    def _add(self, of: int, guests: Ints, least: int) -> int:
        """Add the patterns found from `guests` that are worth more than `least`, the best first; return how many."""
        found, relaxation = self._found, self.relaxation
        used = np.zeros(self.classes.guests, dtype=np.int64)
        new = 0
        for guest in guests[np.argsort(-found.worth[guests], kind="stable")].tolist():
            if found.worth[guest] <= least or new >= NEW_PATTERNS:
                break
            pattern = found.pattern[guest]
            pattern = pattern[: int(np.argmax(pattern < 0))]
            if used[pattern].max() < EACH_GUEST and relaxation.add(of, pattern):
                new += 1
                used[pattern] += 1
        return new

    def _least(self, of: int) -> int:
        """What a pattern of a class must be worth more than to be of use."""
        relaxation = self.relaxation
        return int((relaxation.price_of_host(of) + CLOSE) * relaxation.unit * self._scale)

    def tell(self) -> None:
        """Raise the search's bound to what is proven."""
        if not self._search.value.left:
            self._search.raise_bound(GOAL, self.classes.floor + self.bound)

    def _over(self, until: float) -> bool:
        return self._meter.over() or self._meter.left <= until

    def _by_worth(self, of: int, free: bool = False) -> Ints:
        """Guests that a class may hold by falling price over size, int64[n]; their sizes are put down in the space.

        With `free` also those whose price is 0.
        """
        items = self._items
        room = np.maximum(1, items.room[of])
        self._space.share[:] = (items.demand / room).mean(axis=1) if items.demand.shape[1] else 0.0
        guests = np.flatnonzero(items.allowed[of] & (free | (items.price > 0)))
        worth = items.price[guests] / np.maximum(1e-12, self._space.share[guests])
        return guests[np.argsort(-worth, kind="stable")].astype(np.int64)
