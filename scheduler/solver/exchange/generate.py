"""Exchanges generated as they pay: the relaxation asks for what is worth more than what is known, until nothing is.

At any prices the best exchanges of all hosts, added up, are a bound on what can be gained. Prices are whole numbers of
small parts of a unit of cost, and so the bound is exact whatever the linear program's rounding.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scheduler.solver.exchange.aggregate import Aggregate
from scheduler.solver.exchange.labels import MOST_LABELS, TOO_MANY, Prices, make_space
from scheduler.solver.exchange.master import Columns, Duals, Relaxation
from scheduler.solver.exchange.pricing import make_found, price_classes
from scheduler.solver.forms import Index, Ints
from scheduler.solver.meter import Meter
from scheduler.solver.terms import FreeSlots

FINEST = 30
"""Parts of a unit of cost, as a power of two, where costs are small."""
RANGE = 1 << 50
"""Within it are all worths that are added up host by host."""
LABEL_WORK = 2e-6
COLUMN_WORK = 2e-5
"""What labels and columns count as of a work limit: some times the seconds they take."""
LABELS, LEAST_LABELS = 200_000, 20_000
"""Labels of all classes together for each second of the budget; where there are more, exchanges are made in part."""
AT_ONCE = 3
"""Guests that leave a host at once, then."""
CLOSE = 1e-6
VARIETY = 7
"""Makes of two exchanges that gain the same two sorts, mostly."""


class Generation:
    """The exchanges known, the relaxation's value and prices, and the best bound so far on the gain (`most`)."""

    def __init__(self, whole: Aggregate, meter: Meter) -> None:
        self.whole = whole
        self.columns = Columns(whole)
        self.value = 0.0
        self.duals: Duals = _guess(whole)
        self.exact, self.failed = True, False
        self._meter = meter
        self._relaxation = Relaxation(whole)
        self._space = make_space(len(whole.kinds.column))
        self._found = make_found(len(whole.shape), whole.classes.use.shape[1])
        self._most_labels = max(LEAST_LABELS, int(LABELS * meter.left))
        self._most: int | None = None
        instance = whole.instance
        self._moves = min(instance.max_moves, len(instance.movable))
        self._mib = min(instance.max_mib, int(instance.mib[instance.movable].sum()))
        self._costs = _most_cost(whole)
        self.scale = 1 << max(0, min(FINEST, (RANGE // max(1, self._costs)).bit_length() - 1))
        self.grain = _grain(whole)

    @property
    def most(self) -> int | None:
        """Bound on the gain, in units of cost; `None` while there is none."""
        return None if self._most is None else self._most // self.scale // self.grain * self.grain

    @property
    def reach(self) -> int:
        """The most gain that the exchanges known could add up to."""
        return int((self.value + CLOSE) // self.grain) * self.grain

    def add(self, of: Ints, pattern: Ints, saved: Ints) -> int:
        """Add exchanges; return how many are new."""
        before = len(self.columns)
        fresh = self.columns.add(of, pattern, saved)
        self._relaxation.add(self.columns, before)
        return fresh

    def used(self) -> Index:
        """Return the exchanges that the relaxation's last answer consists of."""
        return self._relaxation.used()

    def run(self, over: Callable[[], bool]) -> None:
        """Generate until nothing pays, the bound is as low as whole gains let it be, or the time is over."""
        while not over():
            fresh = self._price(self._prices(-CLOSE, 0), over)
            if fresh is None:
                return
            solved = self._relaxation.solve()
            self._meter.work(COLUMN_WORK * len(self.columns))
            if solved is None:
                self.failed = True
                return
            self.value, self.duals = solved
            if not fresh or (self.most is not None and self.most <= self.reach):
                return

    def widen(self, slack: float, over: Callable[[], bool]) -> None:
        """Add exchanges of all sorts that are worth no more than `slack` less than their class."""
        self._price(self._prices(slack + CLOSE, VARIETY), over, False)

    def _price(self, prices: Prices, over: Callable[[], bool], relaxed: bool = True) -> int | None:
        """Add what pricing finds, `relaxed` to the linear program too; return how many are new, `None` when stopped."""
        first = fresh = labels = 0
        while first < len(self.whole.classes.host):
            if over():
                return None
            arguments = (self.whole.classes, self.whole.kinds, prices, self._space, self._found, first)
            first = price_classes(self.whole.tables.terms, *arguments)
            found, made = self._found.told.tolist()
            labels += made
            self._meter.work(LABEL_WORK * made)
            if self.exact and (first == TOO_MANY or labels > self._most_labels):
                # Few guests of each host at once: exchanges still, but no bound.
                self.exact, self._most = False, None
                first, labels = 0, 0
                prices = self._in_part(prices)
                continue
            some = (self._found.of[:found], self._found.pattern[:found], self._found.gain[:found])
            fresh += self.add(*some) if relaxed else self.columns.add(*some)
        if self.exact:
            self._take_bound(prices)
        return fresh

    def _in_part(self, prices: Prices) -> Prices:
        labels = min(MOST_LABELS, max(64, self._most_labels // len(self.whole.classes.host)))
        return prices._replace(at_once=AT_ONCE, labels=labels)

    def _prices(self, slack: float, mix: int) -> Prices:
        whole, duals, scale = self.whole, self.duals, self.scale
        most = 2 * self._costs + 1
        shape = np.array([round(min(most, max(-most, one)) * scale) for one in duals.shape], dtype=np.int64)
        self._per_move = round(min(most, duals.move) * scale)
        self._per_mib = round(min(most / max(1, int(whole.mib.max())), duals.mib) * scale)
        leaves = -shape - whole.price * scale - self._per_move - whole.mib * self._per_mib
        stay = np.array([round((min(most, one) - slack) * scale) for one in duals.of_class], dtype=np.int64)
        best = np.zeros(len(stay), dtype=np.int64)
        prices = Prices(leaves[whole.shape], shape[whole.shape], stay, best, scale, self.grain, mix, 0, 0)
        return prices if self.exact else self._in_part(prices)

    def _take_bound(self, prices: Prices) -> None:
        hosts = sum(
            best * many for best, many in zip(prices.best.tolist(), self.whole.classes.many.tolist(), strict=True)
        )
        most = hosts + self._per_move * self._moves + self._per_mib * self._mib
        self._most = most if self._most is None else min(most, self._most)


def _grain(whole: Aggregate) -> int:
    """Return what every gain is a multiple of."""
    terms = whole.instance.goal.terms
    if not all(isinstance(term, FreeSlots) for term in terms):
        return 1
    worths = [term.worth for term in terms if isinstance(term, FreeSlots)]
    return max(1, int(np.gcd.reduce(np.array([*worths, *whole.price.tolist()], dtype=np.int64))))


def _most_cost(whole: Aggregate) -> int:
    """Return a bound on the sum of all hosts' |cost| and all prices."""
    instance = whole.instance
    total = instance.demand.max(axis=1).sum(axis=0)
    use = np.minimum(instance.cap, total)
    prices = int(np.abs(instance.goal.price).sum())
    return sum(term.most(use) for term in instance.goal.terms) + prices


def _guess(whole: Aggregate) -> Duals:
    """Return prices to begin with: of a shape what its leaving saves, on the average over where it is."""
    classes, kinds = whole.classes, whole.kinds
    before = whole.instance.goal.at(classes.host, classes.use)
    saved, many = np.zeros(whole.shapes), np.zeros(whole.shapes)
    for k, shape in enumerate(whole.shape.tolist()):
        some = np.flatnonzero(classes.held[:, k])
        use = classes.use[some].copy()
        for d in np.flatnonzero(kinds.seen).tolist():
            use[:, kinds.column[d]] -= kinds.enters[k, d] * kinds.unit[d]
        after = whole.instance.goal.at(classes.host[some], use)
        weight = classes.held[some, k] * classes.many[some]
        saved[shape] += float(((before[some] - after) * weight).sum())
        many[shape] += float(weight.sum())
    return Duals((saved / np.maximum(1, many)).tolist(), 0.0, 0.0, [0.0] * len(classes.host))
