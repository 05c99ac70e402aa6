"""The elastic search on an instance: walks side by side that start anew from the best, for a share of the budget."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from scheduler.solver.elastic.cooling import Cooling
from scheduler.solver.elastic.walk import Walk
from scheduler.solver.evaluate import GOAL, why_not_valid
from scheduler.solver.forms import Ints
from scheduler.solver.instance import Instance
from scheduler.solver.kernels.pressure import make_elastic
from scheduler.solver.kernels.tables import Tables, make_tables
from scheduler.solver.local import Local
from scheduler.solver.meter import Meter
from scheduler.solver.search import Search
from scheduler.solver.terms import EvenUse
from scheduler.solver.threads import side_by_side

STEP_WORK = 1e-7
"""What a proposal counts as of a work limit: about the seconds it takes."""
COLD, COLDEST = 0.1, 0.3
"""Temperature at the end as a part of the rises that only one in a hundred are below, and the least."""
FIRST_SHARE, WHOLE_SHARE = 0.08, 0.45
"""Parts of the budget for a first, quick cooling that measures, and for the whole ones that follow."""
SWEEPS, MOST_COOLINGS = 8000, 4
"""Proposals for each guest and host that make a whole cooling; more budget than that is used for several, for the
large guests settle by chance early on, up to so many a thread."""
Variant = tuple[float, int]
VARIANTS: tuple[Variant, ...] = ((0.08, 0), (0.02, 500))
"""Parts of the hosts that lack a resource at the start of a cooling, and proposals of 1024 that draw guests by size:
each is tried, and what led to the best is kept."""
AGAIN = (0.3, 0.3, 0.35, 0.35, 0.45)
"""The rest is for coolings from the best, which gain most of all: the part of the schedule that each leaves out."""
POLISH_SHARE, POLISH_HEAT = 0.15, 1e-3
"""The last part of the search stays within capacity, from so much of the usual temperature on."""
SETTLE_S, SETTLE_FORM_S, SETTLE_MOST = 0.02, 5e-5, 0.3
"""Seconds kept back to judge and take over what was found: these, so many for each form, of all that is left at most
this part."""
TIGHT, FULL = 0.1, 0.75
"""Capacity is tight where so many of the shifts drawn by chance fail on it, or so much of a resource is taken over all
hosts. Elsewhere plain annealing does."""
DRAWN = 4096


def applies(instance: Instance) -> bool:
    """Tell whether the elastic search is for an instance: one that it suits, with tight capacity.

    Where hosts cost nothing but their unevenness it is not: evening out makes room by itself, and plain annealing,
    which moves no more memory than it must, gets further.
    """
    if not suits(instance) or all(isinstance(term, EvenUse) for term in instance.goal.terms):
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


def search_elastic(search: Search, meter: Meter, share: float = 1.0, tables: Tables | None = None) -> bool:
    """Improve the incumbent's goal for a share of what is left of the budget. Repeatable with a work limit.

    Returns whether it was its turn: not while something is broken or over a limit. `tables` are those of the instance,
    if they are there.
    """
    instance = search.instance
    until, whole_s = meter.left * (1 - share), meter.left
    if any(search.value[:GOAL]) or why_not_valid(instance, search.place, search.asleep, search.counts):
        return False
    back = 0.0 if meter.budget.work_limit is not None else SETTLE_S + SETTLE_FORM_S * len(instance.forms)
    until += min(back, SETTLE_MOST * whole_s)
    tables = tables or make_tables(instance)
    elastic = make_elastic(tables)
    seeds = range(meter.budget.seed, meter.budget.seed + meter.threads)
    walks = [Walk(tables, elastic, search.place, seed) for seed in seeds]
    best = _rounds(walks, meter, until + POLISH_SHARE * max(0.0, meter.left - until))
    best = _polished(instance, tables, best, meter, until)
    # Judged by the reference evaluation, which shares nothing with the compiled search.
    counts = search.links.recount(search.counts, search.place, best)
    if why_not_valid(instance, best, None, counts) is None:
        search.offer(best)
    return True


def _rounds(walks: list[Walk], meter: Meter, until: float) -> Ints:
    """Anneal until the budget left is `until`; return the best placement met."""
    tables, home = walks[0].tables, walks[0].best.copy()
    cooling = _cooling(walks[0])
    best, best_goal = home, walks[0].best_goal

    def side(part: float, start: float, variants: list[Variant]) -> None:
        """Let each walk anneal for a part of what is left, and keep the best."""
        nonlocal best, best_goal
        progress = _progress(meter, until, part)
        pairs = zip(walks, variants, strict=True)
        side_by_side([partial(walk.anneal, progress, cooling, start, *variant) for walk, variant in pairs])
        cooling.fit()
        for walk in walks:
            if walk.best_goal < best_goal:
                best, best_goal = walk.best.copy(), walk.best_goal

    side(FIRST_SHARE, 0.0, [VARIANTS[0]] * len(walks))
    steps = WHOLE_SHARE / FIRST_SHARE * walks[0].steps
    many = int(min(MOST_COOLINGS, steps / (SWEEPS * len(tables.movable) * len(tables.cap))))
    if many < 1:
        side(1.0, 0.0, [VARIANTS[number % len(VARIANTS)] for number in range(len(walks))])
        return best
    tried: dict[Variant, int] = {}
    for number in range(many):
        for walk in walks:
            walk.go_to(home)
        variants = [_next_variant(tried, number + index) for index in range(len(walks))]
        left = (1.0 - FIRST_SHARE) - WHOLE_SHARE * number / many
        side(WHOLE_SHARE / many / left, 0.0, variants)
        for walk, variant in zip(walks, variants, strict=True):
            tried[variant] = min(tried.get(variant, walk.best_goal), walk.best_goal)
    kept = _next_variant(tried, 0)
    for number, start in enumerate(AGAIN):
        for walk in walks:
            walk.go_to(best)
        side(1.0 / (len(AGAIN) - number), start, [kept] * len(walks))
    return best


def _polished(instance: Instance, tables: Tables, best: Ints, meter: Meter, until: float) -> Ints:
    """Anneal a placement, cold and within capacity, until the budget left is `until`; return the best met.

    The elastic search spends its proposals on finding room; within capacity many small gains are left.
    """
    share = (meter.left - until) / max(meter.left, 1e-9)
    if share <= 0 or meter.over():
        return best
    walks = [Local(instance, best, meter.budget.seed + number, tables) for number in range(meter.threads)]
    side_by_side([partial(walk.anneal, meter, share, POLISH_HEAT) for walk in walks])
    polished: Ints = min(walks, key=lambda walk: walk.best_key).best
    return polished


def _next_variant(tried: dict[Variant, int], number: int) -> Variant:
    """Return what has not been tried yet, or else what led to the lowest goal."""
    fresh = [variant for variant in VARIANTS if variant not in tried]
    return fresh[number % len(fresh)] if fresh else min(VARIANTS, key=lambda variant: tried[variant])


def _progress(meter: Meter, until: float, part: float) -> Callable[[int], float]:
    """Return what counts steps and tells how much is done of a part of the budget that is left down to `until`."""
    begin = meter.left
    whole = (begin - until) * part

    def progress(steps: int) -> float:
        meter.work(STEP_WORK * steps)
        left = meter.left
        return 1.0 if whole <= 0 or meter.over() else min(1.0, (begin - left) / whole)

    return progress


def _cooling(walk: Walk) -> Cooling:
    """Return a schedule between what most shifts cost and less than what the cheapest cost."""
    rises = walk.rises()
    if not len(rises):
        return Cooling(1.0, 1.0)
    # Between the median and the upper quartile: where most guests are tiny the median says little of the others.
    hot = float(np.sqrt(rises[len(rises) // 2] * rises[3 * len(rises) // 4]))
    return Cooling(hot, max(COLDEST, COLD * float(rises[len(rises) // 100])))
