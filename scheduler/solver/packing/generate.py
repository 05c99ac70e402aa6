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
from scheduler.solver.packing.patterns import Floats, Relaxation, bound_of
from scheduler.solver.packing.pricing import (
    BEST,
    NODES,
    begin_exact,
    go_on_exact,
    grow_patterns,
    make_found,
    make_items,
    make_space,
)
from scheduler.solver.search import Search

SMOOTH = 0.5
"""How much of the prices are those of the round before: they settle sooner."""
NOISE = 0.3
NEW_PATTERNS, EACH_GUEST = 80, 6
"""At most so many new patterns a round, and so many that each guest is in."""
FINEST = 30
RANGE = 1 << 50
"""Prices are in parts of a unit of cost, 2^-30 where all of them together stay within this."""
CLOSE = 1e-6
SLICE_NODES = 20_000
MOST_NODES = 100_000
LOOK_WORK, NODE_WORK = 3e-9, 1e-6
"""What a look at a guest and a node count as of a work limit: about the seconds they take."""


class Generation:
    """The linear program of an instance and the pricing that feeds it.

    `settled` tells that no more patterns were found that pay, `proven` that there are none; `bound` is the best proven
    bound on the cost of hosts so far, in the goal's unit.
    """

    def __init__(self, search: Search, classes: HostClasses, meter: Meter) -> None:
        self.classes = classes
        self.relaxation = Relaxation(classes, meter)
        self.settled = self.proven = False
        self.bound = 0
        self._search, self._meter = search, meter
        self._items = make_items(classes.demand, classes.room, classes.allowed)
        self._found = make_found(self._items, meter.budget.seed)
        self._space = make_space(self._items)
        most = max(1, int(classes.cost.max()) * classes.guests)
        self._scale = 1 << max(0, min(FINEST, (RANGE // most).bit_length() - 1))

    @property
    def value(self) -> float:
        """The linear program's cost of hosts, in the goal's unit."""
        return self.relaxation.value * self.relaxation.unit

    @property
    def reach(self) -> int | None:
        """The least that whole hosts cost which cost no less than the linear program; `None` before it is solved."""
        grain = self.classes.grain
        value = self.value
        return None if value == np.inf else int(np.ceil((value - CLOSE * self.relaxation.unit) / grain)) * grain

    def run(self, until: float, rounds: int, exact: bool, most_nodes: int = MOST_NODES) -> int:
        """Generate until nothing pays, for so many rounds, or until no more than `until` is left; return the rounds.

        With `exact`, patterns are searched for exactly when the heuristic finds none, for at most so many nodes.
        """
        smooth: Floats | None = None
        self.settled = False
        done = 0
        while done < rounds and not self._over(until):
            if not self.relaxation.solve():
                return done
            done += 1
            price = self.relaxation.price
            mixed = price if smooth is None else SMOOTH * smooth + (1 - SMOOTH) * price
            smooth = mixed
            found = self.price(mixed) if mixed is not price else 0
            found = found or self.price(price) or self.price(price, NOISE)
            if found or self._over(until):
                continue
            self.settled = True
            if not exact or self._price_exactly(price, until, most_nodes) <= 0:
                return done
            self.settled = False
        return done

    def price(self, price: Floats, noise: float = 0.0, still: Bools | None = None) -> int:
        """Add patterns worth more than their hosts; return how many. `still` bool[m] are the guests that count."""
        items, found, relaxation = self._items, self._found, self.relaxation
        items.price[:] = self._whole(price)
        guests = self._priced(still)
        fresh = 0
        for of in range(len(self.classes.hosts)):
            first = 0
            while first < len(guests):
                first = grow_patterns(items, guests, of, found, noise, first)
                self._meter.work(LOOK_WORK * int(found.told[0]))
                if self._meter.over():
                    return fresh
            least = (relaxation.price_of_host(of) + CLOSE) * relaxation.unit * self._scale
            worth = found.worth[guests]
            used = np.zeros(self.classes.guests, dtype=np.int64)
            new = 0
            for guest in guests[np.argsort(-worth, kind="stable")].tolist():
                if found.worth[guest] <= least or new >= NEW_PATTERNS:
                    break
                pattern = found.pattern[guest]
                pattern = pattern[: int(np.argmax(pattern < 0))]
                if used[pattern].max() < EACH_GUEST and relaxation.add(of, pattern):
                    new += 1
                    used[pattern] += 1
            fresh += new
        return fresh

    def _price_exactly(self, price: Floats, until: float, most_nodes: int) -> int:
        """Add the best pattern of each class; return how many pay, -1 when not all of them are known to be best.

        What is proven by it is told to the search.
        """
        items, space, relaxation = self._items, self._space, self.relaxation
        items.price[:] = self._whole(price)
        fresh, worths, known = 0, [], True
        for of in range(len(self.classes.hosts)):
            guests = self._by_worth(of)
            least = int((relaxation.price_of_host(of) + CLOSE / 10) * relaxation.unit * self._scale)
            begin_exact(items, guests, of, space, least)
            done, before = False, 0
            while not done and space.told[NODES] < most_nodes and not self._over(until):
                done = go_on_exact(items, space, SLICE_NODES)
                self._meter.work(NODE_WORK * (int(space.told[NODES]) - before))
                before = int(space.told[NODES])
            known = known and done
            worths.append(int(space.told[BEST]))
            if space.best[0] >= 0:
                best = space.best[: int(np.argmax(space.best < 0))]
                fresh += relaxation.add(of, best.copy())
        if known:
            self.bound = max(self.bound, bound_of(self.classes, items.price, self._scale, worths))
            self.tell()
            self.proven = not fresh or (self.reach is not None and self.bound >= self.reach)
            if self.proven:
                return 0
        return fresh if fresh or known else -1

    def tell(self) -> None:
        """Raise the search's bound to what is proven."""
        if not self._search.value.left:
            self._search.raise_bound(GOAL, self.classes.floor + self.bound)

    def _over(self, until: float) -> bool:
        return self._meter.over() or self._meter.left <= until

    def _whole(self, price: Floats) -> Ints:
        whole: Ints = np.floor(price * (self.relaxation.unit * self._scale)).astype(np.int64)
        return whole

    def _priced(self, still: Bools | None) -> Ints:
        """Guests with a price, int64[n]."""
        counts = self._items.price > CLOSE / 10 * self.relaxation.unit * self._scale
        return np.flatnonzero(counts if still is None else counts & still).astype(np.int64)

    def _by_worth(self, of: int) -> Ints:
        """Guests that a class may hold by falling price over size, their sizes put down in the space; int64[n]."""
        items = self._items
        room = np.maximum(1, items.room[of])
        self._space.share[:] = (items.demand / room).mean(axis=1) if items.demand.shape[1] else 0.0
        guests = np.flatnonzero(items.allowed[of] & (items.price > 0))
        worth = items.price[guests] / np.maximum(1e-12, self._space.share[guests])
        return guests[np.argsort(-worth, kind="stable")].astype(np.int64)
