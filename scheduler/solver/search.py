"""What a solve has reached: the incumbent, and the proven bound of each tier."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from scheduler.solver.evaluate import Value, count, evaluate, occupied
from scheduler.solver.forms import Bools, Index
from scheduler.solver.instance import Instance
from scheduler.solver.links import Links


class Search:
    """The incumbent starts as the current placement, all hosts on, and is only ever replaced by a better one.

    `bounds` holds a proven bound per tier, valid given the incumbent's values in the tiers before it; `counts` is what
    the incumbent's value is made of. `bound` holds for every placement, `none_left` for those with no guest left.
    """

    def __init__(self, instance: Instance, bound: Value, none_left: Value | None = None) -> None:
        self.instance = instance
        self._always, self._none_left = bound, none_left or bound
        self.give_up()
        self.start = self.value
        if instance.goal.sleep is not None:
            self.offer(instance.home)

    def give_up(self) -> None:
        """Go back to the current placement."""
        self.place = self.instance.home
        self.asleep = np.zeros(self.instance.hosts, dtype=np.bool_) if self.instance.goal.sleep else None
        self.counts = count(self.instance, self.place)
        self.value = evaluate(self.instance, self.place, self.asleep, self.counts)
        self.bounds = self._floors(self.value)

    @cached_property
    def links(self) -> Links:
        """Which forms and caps each guest is part of."""
        return Links(self.instance)

    @property
    def changed(self) -> bool:
        """Whether the incumbent differs from doing nothing."""
        return self.value < self.start

    @property
    def proven(self) -> bool:
        """Whether every tier's bound is reached."""
        return self.open_tier() is None

    @property
    def resting(self) -> bool:
        """Whether nothing is to be done: nothing broken or left, and balance under its threshold."""
        start = self.start
        return not (start.broken or start.overload or start.left) and self.under_threshold

    @property
    def under_threshold(self) -> bool:
        """Whether the balance of the start is good enough for the level. False where balance is no goal."""
        goal = self.instance.goal
        return goal.tier == "balance" and goal.rms(self.imbalance(self.instance.home)) < goal.rms_threshold

    def open_tier(self) -> int | None:
        """Return the first tier whose bound is not reached."""
        pairs = zip(self.bounds, self.value, strict=True)
        return next((tier for tier, (bound, value) in enumerate(pairs) if bound < value), None)

    def imbalance(self, place: Index) -> int:
        """Return the host terms over the goal's hosts for a placement, without prices of moves and soft rules."""
        use = self.instance.use(place)
        hosts = self.instance.goal.hosts
        return int(self.instance.goal.at(hosts, use[hosts]).sum())

    def offer(self, place: Index, asleep: Bools | None = None) -> bool:
        """Take a valid placement as incumbent when it is better; tell whether it was."""
        counts = self.links.recount(self.counts, self.place, place)
        value = evaluate(self.instance, place, asleep, counts)
        if value >= self.value:
            return False
        sleep = self.instance.goal.sleep
        if asleep is None and sleep is not None:
            asleep = sleep.derive(occupied(self.instance, place))
        first = next(tier for tier in range(len(value)) if value[tier] != self.value[tier])
        # Bounds of later tiers were given the old values of this one.
        self.bounds[first + 1 :] = self._floors(value)[first + 1 :]
        self.place, self.asleep, self.value, self.counts = place.copy(), asleep, value, counts
        return True

    def put_in_order(self) -> None:
        """Of guests that nothing tells apart let the first ones be those that move."""
        self.place = self.links.in_order(self.place)

    def _floors(self, value: Value) -> list[int]:
        """Return the bounds known without search, given a value."""
        floors = self._none_left if not value.left else self._always
        return [min(bound, reached) for bound, reached in zip(floors, value, strict=True)]

    def raise_bound(self, tier: int, bound: int) -> None:
        """Take a proven bound of a tier, given the incumbent's values in the tiers before it."""
        self.bounds[tier] = min(max(self.bounds[tier], bound), self.value[tier])
