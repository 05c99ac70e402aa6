"""The elastic search on an instance: walks side by side that start anew from the best, for a share of the budget."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from scheduler.solver.elastic.walk import Walk
from scheduler.solver.evaluate import GOAL, why_not_valid
from scheduler.solver.forms import Ints
from scheduler.solver.instance import Instance
from scheduler.solver.kernels.pressure import make_elastic
from scheduler.solver.kernels.tables import make_tables
from scheduler.solver.meter import Meter
from scheduler.solver.search import Search

STEP_WORK = 1e-7
"""What a proposal counts as of a work limit: about the seconds it takes."""
COLD = 2.5e-3
"""Temperature at the end as a part of that at the start."""
SETTLE_S, SETTLE_LINKS, SETTLE_MOST = 0.02, 4.0, 0.3
"""Seconds kept back to take over what was found: these, so many times what linking guests to forms took, and of all
that is left at most this part."""
TIGHT, FULL = 0.1, 0.75
"""Capacity is tight where so many of the shifts drawn by chance fail on it, or so much of a resource is taken over all
hosts. Elsewhere plain annealing does."""
DRAWN = 4096


def applies(instance: Instance) -> bool:
    """Tell whether the elastic search is for an instance: one that it suits, with tight capacity."""
    if not suits(instance):
        return False
    use = instance.use(instance.home)
    full = use.sum(axis=0) > FULL * np.minimum(instance.cap, use.sum(axis=0)).sum(axis=0)
    return bool(full.any()) or _failing(instance, use) > TIGHT


def suits(instance: Instance) -> bool:
    """Tell whether an instance has what the elastic search knows alone.

    Terms of hosts and guests with one mode, nobody asleep, outside or to be left, hosts within limits, moves uncapped.
    """
    goal = instance.goal
    few = instance.max_moves < len(instance.movable) or instance.max_mib < int(instance.mib[instance.movable].sum())
    if few or instance.move_caps or instance.modes > 1 or instance.outside >= 0 or not len(instance.movable):
        return False
    if goal.sleep is not None or goal.left.any() or not goal.terms:
        return False
    return bool((instance.cap == instance.limit).all() and (instance.headroom == instance.cap).all())


def _failing(instance: Instance, use: Ints) -> float:
    """Return the part of shifts drawn by chance for which a host has no room."""
    dice = np.random.default_rng(1)
    guests = instance.movable[dice.integers(len(instance.movable), size=DRAWN)]
    targets = np.flatnonzero(instance.target)
    if not len(targets):
        return 0.0
    hosts = targets[dice.integers(len(targets), size=DRAWN)]
    return float((use[hosts] + instance.demand[guests, 0] > instance.cap[hosts]).any(axis=1).mean())


def search_elastic(search: Search, meter: Meter, share: float = 1.0) -> None:
    """Improve the incumbent's goal for a share of what is left of the budget. Repeatable with a work limit."""
    instance = search.instance
    until, whole_s = meter.left * (1 - share), meter.left
    if any(search.value[:GOAL]) or why_not_valid(instance, search.place, search.asleep, search.counts):
        return
    limited = meter.budget.work_limit is not None
    links = search.links
    back = 0.0 if limited else SETTLE_S + SETTLE_LINKS * (whole_s - meter.left)
    until += min(back, SETTLE_MOST * whole_s)
    tables = make_tables(instance)
    elastic = make_elastic(tables)
    many = 1 if limited else max(1, meter.budget.workers)
    walks = [Walk(tables, elastic, search.place, meter.budget.seed + number) for number in range(many)]
    whole = meter.left - until
    if whole <= 0:
        return

    def progress(steps: int) -> float:
        meter.work(STEP_WORK * steps)
        return 1.0 if meter.over() else 1 - (meter.left - until) / whole

    side_by_side([lambda walk=walk: _anneal(walk, progress) for walk in walks])  # type: ignore[misc]
    best = min(walks, key=lambda walk: walk.best_goal)
    if best.best_goal >= search.value.goal:
        return
    # Judged by the reference evaluation, which shares nothing with the compiled search.
    counts = links.recount(search.counts, search.place, best.best)
    if why_not_valid(instance, best.best, None, counts) is None:
        search.offer(best.best)


def _anneal(walk: Walk, progress: Callable[[int], float]) -> None:
    rises = walk.rises()
    if not len(rises):
        return
    # Between the median and the upper quartile: where most guests are tiny the median says little of the others.
    hot = float(np.sqrt(rises[len(rises) // 2] * rises[3 * len(rises) // 4]))
    walk.anneal(progress, hot, COLD * hot)


def side_by_side(parts: list[Callable[[], None]]) -> None:
    """Run parts in threads, the last in this one. What one of them raises is raised here when all have ended."""
    raised: list[BaseException] = []

    def guarded(part: Callable[[], None]) -> None:
        try:
            part()
        except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(part,)) for part in parts[:-1]]
    for thread in threads:
        thread.start()
    guarded(parts[-1])
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]
