"""Rounds of coolings: ways to anneal are tried from the start, what led furthest is used longer, then from the best.

Which way suits an instance no figure of it tells: where capacity decides, a hot walk that forgets the start gets
furthest; where what matters is that few guests move, one that is pulled home, or that is never hot at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from scheduler.solver.elastic.walk import COLD, HOT, HOTTER, Walk
from scheduler.solver.meter import Meter
from scheduler.solver.threads import side_by_side

STEP_WORK = 1e-7
"""What a proposal counts as of a work limit: about the seconds it takes."""


class Way(NamedTuple):
    """How to anneal: `heat` is the schedule, `COLD`, `HOT` or `HOTTER`; the others are as `Walk.anneal` has them."""

    heat: int
    loose: float
    heavy: int
    pull: float


WAYS = (
    Way(HOT, 0.08, 0, 0.0),
    Way(COLD, 0.02, 0, 0.0),
    Way(HOT, 0.08, 0, 3.0),
    Way(HOTTER, 0.08, 0, 0.0),
    Way(HOTTER, 0.08, 0, 4.0),
    Way(HOT, 0.02, 500, 1.0),
)
"""What is tried; the first `FEWER` alone where the budget allows one whole cooling a walk."""
FEWER = 4
SWEEPS, MOST_COOLINGS = 8000, 4
"""Proposals for each guest and host that make a whole cooling; more budget than that is used for several, for the
large guests settle by chance early on, up to so many a walk."""
FIRST, TRIALS, WHOLE, POLISH = 0.04, 0.12, 0.4, 0.12
"""Parts of the budget for a first, quick cooling that measures, for one of each way, for whole ones of the best two
and in the end for a cold one from the best."""
AGAIN = (0.2, 0.3, 0.4, 0.5, 0.6)
"""The rest is for coolings from the best, and the part of the schedule that each leaves out."""
POLISHING = (Way(COLD, 0.0, 0, 0.0), Way(COLD, 0.0, 0, 2.0))


class Rounds:
    """Walks side by side that spend a budget down to `until`; `best` is the cheapest valid placement they met."""

    def __init__(self, walks: list[Walk], meter: Meter, until: float) -> None:
        self.best, self.best_goal = walks[0].best.copy(), walks[0].best_goal
        self._start = self.best.copy()
        self._walks, self._meter = walks, meter
        self._whole = max(0.0, meter.left - until)
        self._stop = until + self._whole
        self._reached: dict[Way, tuple[int, float]] = {}
        self._coolings = walks[0].coolings()

    def run(self) -> None:
        """Spend the budget."""
        self._each(FIRST, WAYS[:1])
        self._reached.clear()
        rest = 1.0 - FIRST - TRIALS - POLISH
        sweeps = self._walks[0].steps / FIRST / max(1, self._walks[0].pairs)
        coolings = int(min(MOST_COOLINGS, WHOLE * sweeps / SWEEPS))
        if coolings < 1:
            self._each(TRIALS, WAYS[:FEWER])
            self._each(rest, self._furthest())
        else:
            self._each(TRIALS, WAYS)
            both = self._furthest()
            enough = min(coolings, -(-len(both) // len(self._walks)))
            self._each(WHOLE * enough / coolings, both, enough)
            self._each(WHOLE * (1 - enough / coolings), self._furthest()[:1], coolings - enough)
            for left_out in AGAIN:
                self._again((rest - WHOLE) / len(AGAIN), self._furthest()[:1], left_out)
        self._again(POLISH, POLISHING)

    def _furthest(self) -> list[Way]:
        """Return the way that led to the lowest goal, and of those with a pull, or those without, the other best.

        Energy tells where none got anywhere. Short trials say little of one against the other kind: with a pull a walk
        gains more from time. A cold way gains least, and is never the second.
        """
        ways = sorted(self._reached, key=self._reached.__getitem__)
        others = [way for way in ways[1:] if way.heat != COLD and (way.pull > 0) != (ways[0].pull > 0)]
        return ways[:1] + others[:1]

    def _each(self, share: float, ways: Sequence[Way], coolings: int | None = None) -> None:
        """Anneal from the start in each of some ways, so many `coolings` a walk or each way once."""
        many = len(self._walks)
        coolings = -(-len(ways) // many) if coolings is None else coolings
        for batch in range(coolings):
            if self._meter.over():
                return
            for walk in self._walks:
                walk.restart(self._start)
            self._cool(share / coolings, [ways[(batch * many + index) % len(ways)] for index in range(many)])

    def _again(self, share: float, ways: Sequence[Way], left_out: float = 0.0) -> None:
        """Anneal from the best; a part of the schedule is left out."""
        if self._meter.over():
            return
        for walk in self._walks:
            walk.go_to(self.best)
        self._cool(share, [ways[index % len(ways)] for index in range(len(self._walks))], left_out)

    def _cool(self, share: float, ways: Sequence[Way], left_out: float = 0.0) -> None:
        """Let each walk anneal in its way for a share of the budget, and keep the best."""
        self._stop -= share * self._whole
        progress = _progress(self._meter, self._stop)
        schedules = [self._coolings[way.heat] for way in ways]
        runs = [
            partial(walk.anneal, progress, schedule, left_out, *way[1:])
            for walk, schedule, way in zip(self._walks, schedules, ways, strict=True)
        ]
        side_by_side(runs)
        for heat in (HOT, HOTTER):
            self._coolings[heat].fit()
        for walk, way in zip(self._walks, ways, strict=True):
            reached = (walk.best_goal, walk.energy)
            self._reached[way] = min(self._reached.get(way, reached), reached)
            if walk.best_goal < self.best_goal:
                self.best, self.best_goal = walk.best.copy(), walk.best_goal


def _progress(meter: Meter, stop: float) -> Callable[[int], float]:
    """Return what counts steps and tells how much of the way is done until the budget left is `stop`."""
    whole = meter.left - stop

    def progress(steps: int) -> float:
        meter.work(STEP_WORK * steps)
        left = meter.left - stop
        return 1.0 if left <= 0 or meter.over() else 1.0 - left / whole

    return progress
