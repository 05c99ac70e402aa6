"""Quiet hours of guests, learned from four weeks of their usage, and whether a plan had better wait for them. Pure.

A guest that is busy writes more memory: its move sends more, takes longer and is felt more. CPU use stands for how busy
it is, since that is known of every guest at all times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cluster.history import SLOT_S, SLOTS, UsageRing, slot_of, slot_start
from cluster.plan import Plan

HOURS = 24
LEAST_SLOTS = 7 * 24 * 3600 // SLOT_S // 2
"""Slots that must be known before anything is learned: half a week of them."""

LEAST_DROP_RATIO = 0.4
"""A plan waits only for an hour that is quieter by so much; since each wait has to bring that, waiting ends."""


@dataclass(frozen=True, slots=True)
class Levels:
    """How busy a guest is by hour of the day (UTC), on working days and at weekends, against its own mean (1)."""

    workday: tuple[float, ...]
    weekend: tuple[float, ...]

    def at(self, moment: datetime) -> float:
        """Return the level of the hour that holds a moment (UTC)."""
        return (self.weekend if moment.weekday() >= 5 else self.workday)[moment.hour]


def learned(ring: UsageRing, now: datetime) -> Levels | None:
    """Return a guest's levels from its history; `None` when too little is known. An hour never seen counts as 1."""
    first = slot_of(now) - SLOTS + 1
    sums = [[0.0] * HOURS, [0.0] * HOURS]
    counts = [[0] * HOURS, [0] * HOURS]
    # Slots follow each other by five minutes: their hour and day are counted on, which is ten times as fast.
    start = slot_start(first)
    minute_s, hour, weekday = start.minute * 60 + start.second, start.hour, start.weekday()
    for value in ring.values(first, SLOTS):
        if value is not None:
            sums[weekday >= 5][hour] += value
            counts[weekday >= 5][hour] += 1
        minute_s += SLOT_S
        if minute_s >= 3600:
            minute_s, hour = minute_s - 3600, hour + 1
            if hour == HOURS:
                hour, weekday = 0, (weekday + 1) % 7
    known, whole = sum(map(sum, counts)), sum(map(sum, sums))
    if known < LEAST_SLOTS or whole <= 0:
        return None
    mean = whole / known
    workday, weekend = (
        tuple(total / count / mean if count else 1.0 for total, count in zip(of_sums, of_counts, strict=True))
        for of_sums, of_counts in zip(sums, counts, strict=True)
    )
    return Levels(workday, weekend)


def why_wait(plan: Plan, levels: Mapping[str, Levels], now: datetime, within_s: float) -> str | None:
    """Say why a plan had better wait: an hour begins soon in which the guests it moves are much quieter.

    Guests count by what their moves send; those without levels count as always the same. `None`: act now.
    """

    def busy(moment: datetime) -> float:
        return sum(
            step.estimate.mib * (levels[step.guest].at(moment) if step.guest in levels else 1.0)
            for step in plan.migrations
        )

    hour = now.replace(minute=0, second=0, microsecond=0)
    coming = [hour + timedelta(hours=ahead) for ahead in range(1, int(within_s // 3600) + 2)]
    coming = [moment for moment in coming if (moment - now).total_seconds() <= within_s]
    if not coming or not plan.migrations:
        return None
    best = min(coming, key=lambda moment: (busy(moment), moment))
    if busy(best) > (1 - LEAST_DROP_RATIO) * busy(now):
        return None
    less = 1 - busy(best) / busy(now)
    return f"waiting for {best:%H:%M} UTC: the guests to move are {less:.0%} less busy then"
