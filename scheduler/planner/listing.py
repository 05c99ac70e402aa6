"""List scheduling: what the runner's rule makes of an order of steps, in time. Pure.

The rule: whenever something has changed, go through the waiting steps in order and start each that waits for no other,
finds its slots free, the links with room for it, and at both ends CPU or no other. Those under way share the links
max-min fairly, as executors divide them.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster.migration.cpu import has_cpu_beside
from cluster.migration.links import Flow, has_room_beside, max_min_rates
from scheduler.planner.activities import Workload

_SOON_S = 1e-9
_LINKS = ("links", "")


@dataclass(frozen=True, slots=True)
class Timetable:
    """When each activity starts and ends, in seconds from the plan's start."""

    starts_s: tuple[float, ...]
    ends_s: tuple[float, ...]

    @property
    def makespan_s(self) -> float:
        """When the last one ends."""
        return max(self.ends_s, default=0.0)


def list_schedule(work: Workload, order: Sequence[int]) -> Timetable:
    """Return what comes of an order of the activities: a permutation of their positions."""
    return _Run(work, order).timetable()


class _Run:
    """One run of the rule. Those whose turn it is wait in a heap by their place in the order; those held back by a busy
    end or by the links wait there until one there has ended.
    """

    def __init__(self, work: Workload, order: Sequence[int]) -> None:
        self._work, self._order = work, order
        activities = work.activities
        self._place = [0] * len(activities)
        for place, index in enumerate(order):
            self._place[index] = place
        self._waits_for = [len(one.after) for one in activities]
        self._followers: list[list[int]] = [[] for _ in activities]
        for index, one in enumerate(activities):
            for earlier in one.after:
                self._followers[earlier].append(index)
        self._flows = [Flow(f"{index:06}", one.path, one.limit_mib_s) for index, one in enumerate(activities)]
        self._least = [one.least_mib_s for one in activities]
        self._ready = [place for place, index in enumerate(order) if not self._waits_for[index]]
        self._held_back: dict[tuple[str, str], list[int]] = {}
        self._busy: dict[tuple[str, str], int] = {}
        self._running: list[int] = []
        self._rates: dict[int, float] = {}
        self._moving: list[int] = []
        self._crossings: dict[str, int] = {}
        self._shared_links = 0
        self._was_shared = False
        self._changed = False
        self._spare = dict(work.spare_millicores)
        self._refused: dict[tuple[str, ...], float] = {}
        self._left_mib = [one.drain_mib for one in activities]
        self._starts_s = [0.0] * len(activities)
        self._ends_s = [0.0] * len(activities)

    def timetable(self) -> Timetable:
        clock_s = 0.0
        while self._ready or self._running:
            self._start(clock_s)
            if not self._running:
                break
            clock_s = self._advance(clock_s)
        if any(self._waits_for):
            raise ValueError("steps that wait for each other in a circle have no schedule")
        return Timetable(tuple(self._starts_s), tuple(self._ends_s))

    def _start(self, clock_s: float) -> None:
        slots = self._work.slots
        while self._ready and len(self._running) < slots.per_cluster:
            place = heapq.heappop(self._ready)
            index = self._order[place]
            one = self._work.activities[index]
            leaving, coming = ("out", one.source), ("in", one.target)
            if self._busy.get(leaving, 0) >= slots.out_per_host:
                self._held_back.setdefault(leaving, []).append(place)
            elif self._busy.get(coming, 0) >= slots.in_per_host:
                self._held_back.setdefault(coming, []).append(place)
            elif (short := self._short_of_cpu(index)) is not None:
                self._held_back.setdefault(("cpu", short), []).append(place)
            elif self._refused.get(one.path, math.inf) <= self._least[index] or not self._has_room(index):
                self._refused[one.path] = min(self._least[index], self._refused.get(one.path, math.inf))
                self._held_back.setdefault(_LINKS, []).append(place)
            else:
                self._busy[leaving] = self._busy.get(leaving, 0) + 1
                self._busy[coming] = self._busy.get(coming, 0) + 1
                self._running.append(index)
                self._refused.clear()
                self._starts_s[index] = clock_s

    def _short_of_cpu(self, index: int) -> str | None:
        """Return the end that has no CPU for one more migration, if there is one."""
        one, overhead = self._work.activities[index], self._work.overhead_millicores
        for host in (one.source, one.target):
            running = self._busy.get(("out", host), 0) + self._busy.get(("in", host), 0)
            if overhead and not has_cpu_beside(host, running, overhead, self._spare):
                return host
        return None

    def _has_room(self, index: int) -> bool:
        running = [(self._flows[one], self._least[one]) for one in self._running]
        usable = self._usable([*self._running, index])
        return has_room_beside(self._flows[index], self._least[index], running, usable)

    def _usable(self, indices: Sequence[int]) -> Mapping[str, float]:
        """Return what of the links these may use together."""
        work = self._work
        if not work.budget_mib_s:
            return work.capacity_mib_s
        on: dict[str, list[float]] = {}
        for index in indices:
            for link in self._flows[index].links:
                on.setdefault(link, []).append(work.activities[index].downtime_s)
        return {link: work.usable_mib_s(link, len(those), max(those)) for link, those in on.items()}

    def _advance(self, clock_s: float) -> float:
        """Go to the next moment at which one begins to move memory or ends, and let it."""
        activities = self._work.activities
        if self._changed:
            self._changed = False
            self._divide()
        due: dict[int, float] = {}
        for index in self._running:
            if index in self._rates:
                due[index] = clock_s + self._left_mib[index] / self._rates[index]
            else:
                due[index] = max(clock_s, self._starts_s[index] + activities[index].overhead_s)
        next_s = min(due.values(), default=math.inf)
        for index, speed in self._rates.items():
            self._left_mib[index] -= (next_s - clock_s) * speed
        for index in [index for index in self._running if due[index] <= next_s + _SOON_S]:
            if index in self._rates:
                self._end(index, next_s)
            else:
                self._moving.append(index)
                self._cross(index, 1)
        return next_s

    def _divide(self) -> None:
        """Give each that moves memory its share of the links."""
        activities = self._work.activities
        was_shared, self._was_shared = self._was_shared, self._shared_links > 0
        if self._was_shared:
            rates = max_min_rates([self._flows[index] for index in self._moving], self._usable(self._moving))
            self._rates = {index: activities[index].speed_mib_s(rates[self._flows[index].id]) for index in self._moving}
            return
        for index in self._moving:
            # Nobody to share with: as before, if it was moving already.
            if was_shared or index not in self._rates:
                rate = max_min_rates([self._flows[index]], self._usable([index]))[self._flows[index].id]
                self._rates[index] = activities[index].speed_mib_s(rate)

    def _cross(self, index: int, change: int) -> None:
        """Count one more (1) or one less (-1) that moves memory over its links."""
        for link in self._flows[index].links:
            before = self._crossings.get(link, 0)
            self._crossings[link] = before + change
            self._shared_links += (before + change > 1) - (before > 1)
        self._changed = True

    def _end(self, index: int, clock_s: float) -> None:
        one = self._work.activities[index]
        self._ends_s[index] = clock_s
        self._running.remove(index)
        self._refused.clear()
        self._moving.remove(index)
        del self._rates[index]
        self._cross(index, -1)
        for host, cpu_millicores in ((one.source, one.cpu_millicores), (one.target, -one.cpu_millicores)):
            if host in self._spare:
                self._spare[host] += cpu_millicores
        leaving, coming = ("out", one.source), ("in", one.target)
        self._busy[leaving] -= 1
        self._busy[coming] -= 1
        for end in (leaving, coming, ("cpu", one.source), ("cpu", one.target), _LINKS):
            for place in self._held_back.pop(end, ()):
                heapq.heappush(self._ready, place)
        for follower in self._followers[index]:
            self._waits_for[follower] -= 1
            if not self._waits_for[follower]:
                heapq.heappush(self._ready, self._place[follower])
