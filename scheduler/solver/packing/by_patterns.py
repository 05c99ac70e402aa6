"""Packing where a host holds few guests: patterns, the bound they prove, dives for whole ones, and closing in between.

With few guests a host there is little to anneal and much to choose: the linear program over patterns is then nearly
what whole hosts cost.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from scheduler.solver.evaluate import GOAL, why_not_valid
from scheduler.solver.forms import Index
from scheduler.solver.kernels.fill import first_fit
from scheduler.solver.meter import Meter
from scheduler.solver.packing.bins import Bins
from scheduler.solver.packing.close_hosts import HOT, close_hosts
from scheduler.solver.packing.dive import dive
from scheduler.solver.packing.host_classes import host_classes, places_of
from scheduler.solver.search import Search

if TYPE_CHECKING:
    from scheduler.solver.packing.generate import Generation

FEW = 6.0
"""Guests a host up to which patterns are few enough to be generated."""
PROBE, FIRST_CLOSING, GENERATING, DIVING = 0.02, 0.25, 0.55, 0.8
"""When these end, in parts of the budget."""
FIRST_TRIES = 3
ROUNDS, LEAST_GAIN = 10, 0.02
"""Generating ends when so many rounds lower the linear program by less than this, in dearest hosts."""
DIVE_ROUNDS = 3
DIVE_STEPS = (5, 24)
DIVE_NOISE = 0.4
WARM = 0.02
"""Temperature that closing starts from after a dive, in mean relative sizes of a guest."""
CHOOSING, DIVES_A_CHOICE = 0.1, 4
"""Part of what is left that choosing whole patterns may take, and after how many dives it is tried again."""
LEAST_LEFT_S = 0.3
"""With less than this left ortools is not even imported."""
MANY = 1 << 30


def few_guests(search: Search) -> bool:
    """Tell whether hosts hold so few guests that patterns are the way to pack them."""
    instance = search.instance
    hosts = len(np.unique(instance.host_of(search.place)[instance.movable]))
    return len(instance.movable) <= FEW * max(1, hosts)


def pack_by_patterns(search: Search, bins: Bins, meter: Meter, until: float) -> bool:
    """Improve the incumbent's sleeping hosts and the bound until no more than `until` is left.

    Returns False, with nothing done, where patterns do not apply.
    """
    if meter.budget.work_limit is None and meter.left - until < LEAST_LEFT_S:
        return False
    classes = host_classes(search.instance, bins.tables)
    if classes is None:
        return False
    from scheduler.solver.packing.generate import Generation

    generation = Generation(search, classes, meter)
    if not generation.relaxation.add_placement(search.place):
        return False
    _ByPatterns(search, bins, meter, until, generation).run()
    return True


class _ByPatterns:
    """One run: `_at` tells what is left of the meter when a part of the budget is spent."""

    def __init__(self, search: Search, bins: Bins, meter: Meter, until: float, generation: Generation) -> None:
        self._search, self._bins, self._meter, self._until = search, bins, meter, until
        self._whole = meter.left - until
        self._generation = generation
        self._classes = generation.classes
        self._random = np.random.default_rng(meter.budget.seed)
        self._generating = 0.0
        self._place = search.place

    def run(self) -> None:
        """Probe, close, generate, dive; then go on diving and closing."""
        generation = self._generation
        began = self._meter.left
        generation.run(self._at(PROBE), MANY)
        self._generating = began - self._meter.left
        if not generation.proven and not self._done():
            self._close(self._at(FIRST_CLOSING), FIRST_TRIES)
        self._generate(self._at(GENERATING))
        self._choose()
        self._dive_and_close()

    def _at(self, part: float) -> float:
        return self._until + self._whole * (1 - part)

    def _over(self, until: float) -> bool:
        return self._meter.over() or self._meter.left <= until

    def _done(self) -> bool:
        return self._over(self._until) or self._search.bounds[GOAL] >= self._search.value[GOAL]

    def _reached(self) -> bool:
        """Whether the incumbent's hosts cost no more than whole ones can that cost what the linear program does."""
        reach = self._generation.reach
        return reach is not None and self._classes.cost_of(self._search.place) <= reach

    def _generate(self, until: float) -> None:
        """Generate until nothing pays or little is gained any more."""
        generation, before, began = self._generation, float("inf"), self._meter.left
        generation.relaxation.add_placement(self._search.place)
        while not self._done() and not generation.proven and not self._over(until):
            rounds = generation.run(until, ROUNDS)
            value = generation.relaxation.value
            if rounds < ROUNDS or before - value < LEAST_GAIN:
                break
            before = value
        self._generating += began - self._meter.left

    def _prove(self) -> None:
        """Generate to the end, as long as the incumbent cannot be better than the linear program."""
        while self._reached() and not self._done():
            rounds = self._generation.run(self._until, ROUNDS, MANY)
            if not rounds or self._generation.settled:
                return

    def _choose(self) -> None:
        """Choose whole patterns for the least that hosts could cost, and for more while that is proven too little."""
        from scheduler.solver.packing.choose import choose

        generation, meter = self._generation, self._meter
        while not self._done() and not self._reached():
            most = generation.reach or 0
            left = CHOOSING * (meter.left - self._until)
            every = generation.list_all(most, meter.left - left)
            if meter.budget.work_limit is None:
                used, none = choose(generation, most, left, 0.0)
            else:
                used, none = choose(generation, most, None, left)
                # The solver does not tell what it took.
                meter.work(left)
            if used is not None:
                self._take(used)
                return
            if not every or not none:
                return
            generation.prove_more_than(most)

    def _dive_and_close(self) -> None:
        """Dive, each time after the first with some noise, close hosts from what it gives, generate some more."""
        generation, meter, whole = self._generation, self._meter, self._whole
        part = self._part_of_a_step()
        dives = 0
        while not self._done() and not self._reached():
            began = meter.left
            until = self._until if dives else min(began, self._at(DIVING))
            noise = DIVE_NOISE if dives else 0.0
            over, stop = partial(self._over, until), partial(self._over, self._until)
            used = dive(generation, part, DIVE_ROUNDS, until, over, stop, noise, self._random)
            generation.relaxation.free()
            better = self._take(used)
            spent = began - meter.left
            dives += 1
            if self._done() or self._reached():
                break
            last = meter.left - self._until < 2.2 * spent
            if dives == 1 or better or last or dives % DIVES_A_CHOICE == 0:
                self._close(self._until if last else meter.left - max(spent, 0.05 * whole), MANY, WARM)
            if self._done() or last:
                break
            generation.relaxation.add_placement(self._place)
            if not generation.proven:
                generation.run(max(self._until, meter.left - spent), ROUNDS)
            elif dives % DIVES_A_CHOICE == 0:
                self._choose()
        self._prove()
        self._close(self._until, MANY, WARM)

    def _part_of_a_step(self) -> float:
        """What part of the hosts a step of the first dive fills, so that it lasts as long as it may."""
        solves = max(1, self._generation.relaxation.solves)
        a_round = max(1e-9, self._generating / solves)
        steps = int((self._meter.left - self._at(DIVING)) / (0.8 * DIVE_ROUNDS * a_round))
        return 1.0 / min(max(steps, DIVE_STEPS[0]), DIVE_STEPS[1])

    def _take(self, used: list[tuple[int, Index]]) -> bool:
        """Offer the placement of a dive, and go on from it when it costs no more; tell whether it was better."""
        instance, bins = self._search.instance, self._bins
        place = places_of(self._classes, used)
        if place is None:
            return False
        outside = np.flatnonzero(instance.host_of(place) == instance.outside)
        if len(outside):
            bins.go_to(place)
            first_fit(bins.tables, bins.state, outside.astype(np.int64), bins.hosts_in_order)
            bins.count_work(self._meter, len(outside) * len(bins.hosts_in_order))
            place = bins.state.place.astype(np.intp)
        if why_not_valid(instance, place) is not None:
            return False
        if (instance.host_of(place)[instance.movable] == instance.outside).any():
            return False
        if self._classes.cost_of(place) <= self._classes.cost_of(self._place):
            self._place = place
        return self._search.offer(place)

    def _close(self, until: float, tries: int, hot: float = HOT) -> None:
        """Close hosts from the placement gone on from."""
        if not self._done():
            value = self._search.value
            close_hosts(self._search, self._bins, self._meter, tries, max(until, self._until), self._place, hot)
            if self._search.value < value:
                self._place = self._search.place
