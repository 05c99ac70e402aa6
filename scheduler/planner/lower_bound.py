"""A time that no schedule of a plan can beat. Pure.

Each resource is looked at by itself, with what must come before and after its activities (heads and tails): a link by
its bytes (one machine, preemption allowed: Carlier 1982), slots by their time (parallel machines). Bytes and times are
those of a migration that has its path alone: beside others it sends more and takes longer, never less.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import accumulate

from scheduler.planner.activities import Workload

MOST_RELATED = 60_000
"""Pairs of activities of which one comes before the other, up to which the work between two is looked at."""


@dataclass(frozen=True, slots=True)
class _Use:
    """One activity on one resource: it cannot begin before `head_s`, takes `work_s`, and `tail_s` comes after it."""

    index: int
    head_s: float
    work_s: float
    tail_s: float


class Loads:
    """What a workload asks of each resource, in seconds, and the least time before and after each activity.

    `uses` are (resource, seconds) of each activity, `load_s` their sums; seconds are divided by how many a resource
    takes at once.
    """

    def __init__(self, work: Workload) -> None:
        self.work = work
        self.machines: dict[str, int] = {}
        self.uses: list[list[tuple[str, float]]] = []
        slots = work.slots
        usable = _usable(work)
        for one in work.activities:
            slots_of = {
                f"out slots:{one.source}": slots.out_per_host,
                f"in slots:{one.target}": slots.in_per_host,
                "slots": slots.per_cluster,
            }
            self.machines |= slots_of
            used = [(name, one.alone_s / most) for name, most in slots_of.items()]
            used += [(link, one.alone_mib / usable[link]) for link in one.path]
            self.uses.append(used)
        self.load_s: dict[str, float] = {}
        for used in self.uses:
            for name, seconds in used:
                self.load_s[name] = self.load_s.get(name, 0.0) + seconds
        after = [frozenset(one.after) for one in work.activities]
        followers: list[set[int]] = [set() for _ in after]
        for index, earlier in enumerate(after):
            for before in earlier:
                followers[before].add(index)
        order = _in_order(after, followers)
        self.heads_s = self._spans(after, order)
        self.tails_s = self._spans(followers, order[::-1])
        self._whole_s = max([*self.load_s.values(), *self.tails_s, 1e-9])

    def pressing(self, load_s: Mapping[str, float]) -> list[float]:
        """Return how pressing each activity is: the more, the more loaded what it uses and the longer what follows."""
        return [self.pressing_of(index, load_s) for index in range(len(self.uses))]

    def pressing_of(self, index: int, load_s: Mapping[str, float]) -> float:
        """Return how pressing one activity is."""
        span_s = self.tails_s[index] + self.work.activities[index].alone_s
        # A high power: the fullest resource decides nearly alone, the others where it is the same.
        return sum((load_s[name] / self._whole_s) ** 4 for name, _ in self.uses[index]) + (span_s / self._whole_s) ** 4

    def _spans(self, nearest: Sequence[Set[int]], order: Sequence[int]) -> list[float]:
        """Return the least time that all before each activity take (or after it, with edges and order turned round)."""
        spans = [0.0] * len(nearest)
        all_before: list[set[int]] = [set() for _ in nearest]
        related = 0
        for index in order:
            if not nearest[index]:
                continue
            spans[index] = max(spans[one] + self.work.activities[one].alone_s for one in nearest[index])
            if related > MOST_RELATED:
                continue
            all_before[index] = set(nearest[index]).union(*(all_before[one] for one in nearest[index]))
            related += len(all_before[index])
            load_s: dict[str, float] = {}
            for one in all_before[index]:
                for name, seconds in self.uses[one]:
                    load_s[name] = load_s.get(name, 0.0) + seconds
            spans[index] = max(spans[index], *load_s.values())
        return spans


def lower_bound_s(loads: Loads) -> float:
    """Return a time under which the activities cannot be done, whatever their order."""
    activities, heads, tails = loads.work.activities, loads.heads_s, loads.tails_s
    bounds = [heads[index] + one.alone_s + tails[index] for index, one in enumerate(activities)]
    on: dict[str, list[_Use]] = {}
    for index, used in enumerate(loads.uses):
        for name, seconds in used:
            machines = loads.machines.get(name)
            # On a link bytes follow what a migration takes to begin; a slot is taken from the first moment on.
            head_s = heads[index] + (activities[index].overhead_s if machines is None else 0.0)
            on.setdefault(name, []).append(_Use(index, head_s, seconds * (machines or 1), tails[index]))
    best = max(bounds, default=0.0)
    # The most that a resource can give first: the fullest one spares a look at nearly all others.
    at_most = {name: _at_most(uses, loads.machines.get(name, 1)) for name, uses in on.items()}
    for name in sorted(on, key=lambda one: (-at_most[one], one)):
        if at_most[name] <= best:
            break
        best = max(best, _machines_bound(on[name], loads.machines.get(name, 1)))
    return best


def _at_most(uses: Sequence[_Use], machines: int) -> float:
    """Return what `_machines_bound` cannot be over.

    Of km + 1 uses, k + 1 that are not the longest take at most 2 / (m + 1) of the work, and that is no less than 1 / m.
    """
    heads, tails = max(one.head_s for one in uses), max(one.tail_s for one in uses)
    return heads + tails + 2 / (machines + 1) * sum(one.work_s for one in uses) * (1 + 1e-9)


def _usable(work: Workload) -> dict[str, float]:
    """Return the most of each link that can be in use at once: with as many migrations on it as its slots allow."""
    slots, shortest_s = work.slots, dict[str, float]()
    for one in work.activities:
        for link in one.path:
            shortest_s[link] = min(one.downtime_s, shortest_s.get(link, one.downtime_s))
    at_once = {"out": slots.out_per_host, "in": slots.in_per_host}
    return {
        link: work.usable_mib_s(link, min(slots.per_cluster, at_once.get(link.partition(":")[0], slots.per_cluster)), s)
        for link, s in shortest_s.items()
    }


def _in_order(after: Sequence[Set[int]], followers: Sequence[Set[int]]) -> list[int]:
    """Return the activities, each behind those it waits for."""
    waits_for = [len(earlier) for earlier in after]
    order = [index for index, waiting in enumerate(waits_for) if not waiting]
    for index in order:
        for follower in followers[index]:
            waits_for[follower] -= 1
            if not waits_for[follower]:
                order.append(follower)
    return order


def _machines_bound(uses: Sequence[_Use], machines: int) -> float:
    """Return the least time of uses on machines of which each takes one at a time."""
    # Sets to look at: all from some head on, all from some tail on.
    best = max(_span_bound(uses, machines, _head, _tail), _span_bound(uses, machines, _tail, _head))
    return max(best, _crowded(sorted((use.work_s for use in uses), reverse=True), machines))


def _span_bound(
    uses: Sequence[_Use], machines: int, span: Callable[[_Use], float], other: Callable[[_Use], float]
) -> float:
    """Return the best bound of the sets of uses that have at least some span: its least, their work, the others' least.

    Of both spans count the least of as many uses as there are machines.
    """
    ranked = sorted(uses, key=span, reverse=True)
    best = work_s = spans_s = others_s = 0.0
    least_others: list[float] = []  # a heap of the negatives: the greatest of the least first
    for count, use in enumerate(ranked, start=1):
        work_s += use.work_s
        # Ranked by it, the last ones have the least span.
        spans_s += span(use) - (span(ranked[count - 1 - machines]) if count > machines else 0.0)
        others_s += other(use)
        if count <= machines:
            heapq.heappush(least_others, -other(use))
        else:
            others_s += heapq.heappushpop(least_others, -other(use))
        is_last = count == len(ranked) or span(ranked[count]) != span(use)
        if is_last and count >= machines:
            best = max(best, (spans_s + work_s + others_s) / machines)
    return best


def _head(use: _Use) -> float:
    return use.head_s


def _tail(use: _Use) -> float:
    return use.tail_s


def _crowded(longest_first: Sequence[float], machines: int) -> float:
    """Of k times the machines and one more, some machine takes k + 1: at best the shortest of them."""
    up_to_s = [0.0, *accumulate(longest_first)]
    return max(
        (
            up_to_s[k * machines + 1] - up_to_s[k * machines - k]
            for k in range(1, (len(longest_first) - 1) // machines + 1)
        ),
        default=0.0,
    )
