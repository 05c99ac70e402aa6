"""How long a plan takes: list scheduling of its migrations under the limits on concurrent ones, and a lower bound."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from cluster.config.settings import MigrationSettings
from cluster.plan import Migrate


def makespan_s(steps: Sequence[Migrate], settings: MigrationSettings) -> float:
    """Return the time from first start to last end when each step starts as soon as its turn and the limits allow.

    What a host takes to wake or to go to sleep is not counted.
    """
    waiting, clock_s = list(steps), 0.0
    migrations = {step.id for step in steps}
    running: list[tuple[float, str, tuple[tuple[str, str], tuple[str, str]]]] = []
    done: set[str] = set()
    busy: dict[tuple[str, str], int] = {}
    while waiting or running:
        for step in list(waiting):
            if len(running) >= settings.per_cluster or not set(step.after) & migrations <= done:
                continue
            ends = (("out", step.source), ("in", step.target))
            if busy.get(ends[0], 0) >= settings.out_per_host or busy.get(ends[1], 0) >= settings.in_per_host:
                continue
            for end in ends:
                busy[end] = busy.get(end, 0) + 1
            heapq.heappush(running, (clock_s + step.estimate.seconds, step.id, ends))
            waiting.remove(step)
        if not running:
            break
        clock_s, ended, ends = heapq.heappop(running)
        done.add(ended)
        for end in ends:
            busy[end] -= 1
    return round(clock_s, 1)


def makespan_bound_s(steps: Sequence[Migrate], settings: MigrationSettings) -> float:
    """Return a time no schedule can beat: the longest chain, or the work of the busiest link or of the cluster."""
    by_id: Mapping[str, Migrate] = {step.id: step for step in steps}
    chain: dict[str, float] = {}
    work: dict[tuple[str, str], float] = {}
    for step in steps:
        before = max((chain[earlier] for earlier in step.after if earlier in by_id), default=0.0)
        chain[step.id] = before + step.estimate.seconds
        for end in (("out", step.source), ("in", step.target)):
            work[end] = work.get(end, 0.0) + step.estimate.seconds
    bounds = [0.0, *chain.values(), sum(step.estimate.seconds for step in steps) / settings.per_cluster]
    for (way, _), seconds in work.items():
        bounds.append(seconds / (settings.out_per_host if way == "out" else settings.in_per_host))
    return round(max(bounds), 1)
