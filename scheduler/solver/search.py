"""What a solve has reached: the incumbent, and the proven bound of each tier."""

from __future__ import annotations

import numpy as np

from scheduler.solver.evaluate import Value, evaluate
from scheduler.solver.forms import Bools, Index
from scheduler.solver.instance import Instance


class Search:
    """The incumbent starts as the current placement, all hosts on, and is only ever replaced by a better one.

    `bounds` holds a proven bound per tier, valid given the incumbent's values in the tiers before it.
    """

    def __init__(self, instance: Instance, bound: Value) -> None:
        self.instance = instance
        self._floor = bound
        self.give_up()
        self.start = self.value
        if instance.goal.sleep is not None:
            self.offer(instance.home)

    def give_up(self) -> None:
        """Go back to the current placement."""
        self.place = self.instance.home
        self.asleep = np.zeros(len(self.instance.host_ids), dtype=np.bool_) if self.instance.goal.sleep else None
        self.value = evaluate(self.instance, self.place, self.asleep)
        self.bounds = [min(bound, value) for bound, value in zip(self._floor, self.value, strict=True)]

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
        goal, start = self.instance.goal, self.start
        if start.broken or start.overload or start.left or goal.tier != "balance":
            return False
        return self.under_threshold

    @property
    def under_threshold(self) -> bool:
        """Whether the balance of the start is good enough for the level. False where balance is no goal."""
        goal = self.instance.goal
        return goal.tier == "balance" and goal.rms(self.imbalance(self.instance.home)) < goal.rms_threshold

    def open_tier(self) -> int | None:
        """The first tier whose bound is not reached."""
        pairs = zip(self.bounds, self.value, strict=True)
        return next((tier for tier, (bound, value) in enumerate(pairs) if bound < value), None)

    def imbalance(self, place: Index) -> int:
        """The balance goal of a placement without the price of moves and without soft rules."""
        use = self.instance.use(place)
        hosts = self.instance.goal.hosts
        return int(self.instance.goal.cost.at(hosts, use[hosts]).sum())

    def offer(self, place: Index, asleep: Bools | None = None) -> bool:
        """Take a placement as incumbent when it is better; tell whether it was."""
        sleep = self.instance.goal.sleep
        if asleep is None and sleep is not None:
            asleep = sleep.derive(place)
        value = evaluate(self.instance, place, asleep)
        if value >= self.value:
            return False
        first = next(tier for tier in range(len(value)) if value[tier] != self.value[tier])
        # Bounds of later tiers were given the old values of this one.
        self.bounds[first + 1 :] = [min(self._floor[i], value[i]) for i in range(first + 1, len(value))]
        self.place, self.asleep, self.value = place.copy(), asleep, value
        return True

    def raise_bound(self, tier: int, bound: int) -> None:
        """Take a proven bound of a tier, given the incumbent's values in the tiers before it."""
        self.bounds[tier] = min(max(self.bounds[tier], bound), self.value[tier])
