"""The best use of the moves there are: exchanges generated, a proven bound, and whole exchanges chosen.

Whole exchanges are chosen among those that could be part of an answer as good as wanted, at the relaxation's prices;
what is wanted starts at the bound and is lowered until an answer is found.
"""

from __future__ import annotations

import numpy as np

from scheduler.solver.evaluate import GOAL, LEFT, OVERLOAD, why_not_valid
from scheduler.solver.exchange.aggregate import Aggregate, aggregate
from scheduler.solver.exchange.places import exchanges_of, place_of
from scheduler.solver.forms import Index
from scheduler.solver.meter import Meter
from scheduler.solver.search import Search

SHARE = 0.6
"""The part of what is left of the budget that may be spent here, and of that the part for generating."""
GENERATING = 0.7
COLUMNS = (1_500, 4_000)
"""Exchanges that the integer program chooses among, fewer first: it is much quicker with those."""
TRY_S = 2.0


def exchange(search: Search, meter: Meter, share: float = SHARE) -> None:
    """Offer the best exchange of guests that is found, and raise the goal's bound, where the instance allows it.

    Does nothing where something is over its limit or left where it should not be, where guests have to do with each
    other by more than room (`aggregate.applicable`), or where shapes, hosts or rooms differ too much.
    """
    if search.start[OVERLOAD] or search.start[LEFT] or search.bounds[GOAL] >= search.value[GOAL]:
        return
    whole = aggregate(search.instance)
    if whole is not None and not meter.over():
        _Exchange(search, meter, whole, share).run()


class _Exchange:
    """One run over an aggregated instance."""

    def __init__(self, search: Search, meter: Meter, whole: Aggregate, share: float) -> None:
        from scheduler.solver.exchange.generate import Generation

        self._search, self._meter, self._whole = search, meter, whole
        self._until = meter.left * (1 - share)
        self._generating_until = meter.left * (1 - share * GENERATING)
        self._generation = Generation(whole, meter)

    def run(self) -> None:
        """Generate, tell the bound, choose."""
        generation, search = self._generation, self._search
        known = exchanges_of(self._whole, search.place)
        if len(known[0]):
            generation.add(*known)
        generation.run(lambda: self._over(self._generating_until))
        if generation.most is not None:
            search.raise_bound(GOAL, search.start.goal - generation.most)
        if not generation.failed:
            self._choose()

    def _over(self, until: float) -> bool:
        return self._meter.over() or self._meter.left <= until

    def _choose(self) -> None:
        generation, search = self._generation, self._search
        most, gained = generation.most, search.start.goal - search.value.goal
        if most is None:
            most = generation.reach
        for least in (most, most - generation.grain, most - 2 * generation.grain, gained + 1):
            if least <= gained:
                return
            slack = max(0.0, generation.value - least)
            generation.widen(slack, lambda: self._over(self._until))
            candidates = self._worth_it(slack)
            for some, then in zip(COLUMNS, (0, *COLUMNS), strict=False):
                if self._over(self._until):
                    return
                if then < len(candidates) and self._take(np.sort(candidates[:some]), least, most):
                    return
            most = least - 1

    def _take(self, chosen: Index, least: int, most: int) -> bool:
        """Choose whole exchanges for a gain from `least` to `most`, and offer them; tell whether there are."""
        from scheduler.solver.exchange.master import choose

        whole, columns, meter = self._whole, self._generation.columns, self._meter
        left = (meter.left - self._until) / 2
        if meter.budget.work_limit is None:
            times = choose(whole, columns, chosen, (least, most), min(TRY_S, left), 0.0)
        else:
            times = choose(whole, columns, chosen, (least, most), None, left)
            # The solver does not tell what it took.
            meter.work(left / 4)
        if times is None:
            return False
        used, times = chosen[times > 0], times[times > 0]
        place = place_of(whole, columns.of[used], columns.pattern[used], times)
        if why_not_valid(whole.instance, place) is not None:
            return False
        self._search.offer(place)
        return True

    def _worth_it(self, slack: float) -> Index:
        """Return the exchanges that can be part of an answer as good as wanted, the most promising first."""
        generation = self._generation
        reduced = generation.columns.reduced(generation.duals)
        # Without those that the relaxation uses, what is left may not even have an answer in parts.
        reduced[generation.used()] = np.inf
        keep = np.flatnonzero(reduced >= -slack - 1e-6 * max(1.0, abs(generation.value)))
        of = generation.columns.of[keep]
        by_class = np.argsort(of, kind="stable")
        turn = np.zeros(len(keep), dtype=np.intp)
        turn[by_class] = np.arange(len(keep)) - np.searchsorted(of[by_class], of[by_class])
        # Many are worth the same: each class gives as many of those.
        order: Index = np.lexsort((turn, -np.round(reduced[keep], 6)))
        return keep[order]
