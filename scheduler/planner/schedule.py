"""How long a plan takes: list scheduling of its migrations under the limits on concurrent ones, and a lower bound."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from cluster.config.settings import MigrationSettings
from cluster.plan import Migrate

End = tuple[str, str]
"""A host as the source or the target of migrations: ("out" or "in", host)."""


def makespan_s(steps: Sequence[Migrate], settings: MigrationSettings) -> float:
    """Return the time from first start to last end when each step starts as soon as its turn and the limits allow.

    What a host takes to wake or to go to sleep is not counted.
    """
    most = {"out": settings.out_per_host, "in": settings.in_per_host}
    number = {step.id: index for index, step in enumerate(steps)}
    waits_for = [len({earlier for earlier in step.after if earlier in number}) for step in steps]
    followers: dict[str, list[int]] = {}
    for index, step in enumerate(steps):
        for earlier in dict.fromkeys(step.after):
            followers.setdefault(earlier, []).append(index)
    # Steps whose turn it is, by their place in the plan; those that a busy end holds back wait with it.
    ready = [index for index, waiting in enumerate(waits_for) if not waiting]
    held_back: dict[End, list[int]] = {}
    busy: dict[End, int] = {}
    running: list[tuple[float, str, int]] = []
    clock_s = 0.0
    while ready or running:
        while ready and len(running) < settings.per_cluster:
            index = heapq.heappop(ready)
            ends = _ends(steps[index])
            taken = next((end for end in ends if busy.get(end, 0) >= most[end[0]]), None)
            if taken is not None:
                held_back.setdefault(taken, []).append(index)
                continue
            for end in ends:
                busy[end] = busy.get(end, 0) + 1
            heapq.heappush(running, (clock_s + steps[index].estimate.seconds, steps[index].id, index))
        if not running:
            break
        clock_s, ended, index = heapq.heappop(running)
        for end in _ends(steps[index]):
            busy[end] -= 1
            for waiting in held_back.pop(end, ()):
                heapq.heappush(ready, waiting)
        for follower in followers.get(ended, ()):
            waits_for[follower] -= 1
            if not waits_for[follower]:
                heapq.heappush(ready, follower)
    return round(clock_s, 1)


def _ends(step: Migrate) -> tuple[End, End]:
    return ("out", step.source), ("in", step.target)


def makespan_bound_s(steps: Sequence[Migrate], settings: MigrationSettings) -> float:
    """Return a time no schedule can beat: the longest chain, or the work of the busiest link or of the cluster."""
    by_id: Mapping[str, Migrate] = {step.id: step for step in steps}
    chain: dict[str, float] = {}
    work: dict[End, float] = {}
    for step in steps:
        before = max((chain[earlier] for earlier in step.after if earlier in by_id), default=0.0)
        chain[step.id] = before + step.estimate.seconds
        for end in _ends(step):
            work[end] = work.get(end, 0.0) + step.estimate.seconds
    bounds = [0.0, *chain.values(), sum(step.estimate.seconds for step in steps) / settings.per_cluster]
    for (way, _), seconds in work.items():
        bounds.append(seconds / (settings.out_per_host if way == "out" else settings.in_per_host))
    return round(max(bounds), 1)
