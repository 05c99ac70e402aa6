"""CP-SAT as large-neighbourhood search: the guests of a few related hosts are set free, all others stay.

Hosts are related when exchanging guests between them can pay: one that costs much, those that cost least, and chance.
"""

from __future__ import annotations

import random

import numpy as np

from scheduler.solver.evaluate import GOAL
from scheduler.solver.forms import Bools, Index
from scheduler.solver.instance import MEMORY, Instance
from scheduler.solver.meter import Meter
from scheduler.solver.search import Search
from scheduler.solver.tiers import improve_part

MOST_BOOLEANS = 600
MOST_HOSTS = 8
COARSE = 100
PART_LIMIT = 0.25
"""Budget of one neighbourhood, in seconds or work units."""
PATIENCE = 2
"""Give up after this many times the number of hosts in a row without improvement."""


def search_parts(search: Search, meter: Meter) -> None:
    """Improve the incumbent part by part until the budget is spent or nothing improves any more."""
    instance = search.instance
    if not len(instance.movable):
        return
    dice = random.Random(meter.budget.seed)
    failures = 0
    while not meter.over() and search.open_tier() is not None and failures < PATIENCE * len(instance.host_ids):
        hosts = _related(instance, search, dice)
        columns = np.flatnonzero(hosts[search.place[instance.movable]])
        if not len(columns):
            failures += 1
            continue
        coarse = COARSE if search.open_tier() == GOAL and instance.goal.tier == "balance" else 1
        better = improve_part(search, meter, columns, hosts, coarse, PART_LIMIT)
        failures = 0 if better else failures + 1


def _related(instance: Instance, search: Search, dice: random.Random) -> Bools:
    """Choose 3 to 8 hosts with at most so many booleans altogether, bool[hosts]."""
    weight = _trouble(instance, search)
    order = np.argsort(-weight, kind="stable")
    order = order[weight[order] >= 0]
    chosen = np.zeros(len(weight), dtype=np.bool_)
    guests = np.bincount(search.place[instance.movable], minlength=len(weight))
    hot = order[: max(1, len(order) // 3)]
    cold = order[len(order) // 2 :]
    count, free = 0, 0
    while count < min(MOST_HOSTS, len(order)):
        pool = (hot, cold, order)[count % 3]
        host = int(pool[dice.randrange(len(pool))])
        if chosen[host]:
            left = order[~chosen[order]]
            host = int(left[dice.randrange(len(left))])
        free += int(guests[host])
        if count >= 3 and free * (count + 1) > MOST_BOOLEANS:
            break
        chosen[host] = True
        count += 1
    return chosen


def _trouble(instance: Instance, search: Search) -> Index:
    """How much each host adds to the first tier not proven; -1 where nothing can come from or go to."""
    hosts = np.arange(len(instance.host_ids), dtype=np.intp)
    use = instance.use(search.place)
    weight = instance.goal.cost.at(hosts, use).astype(np.int64)
    if instance.goal.sleep is not None:
        # The emptier a host that may sleep, the nearer it is to sleeping.
        weight = np.where(instance.goal.sleep.may, (1 << 40) - use[:, MEMORY], 0)
        weight = np.where(np.bincount(search.place, minlength=len(hosts)) > 0, weight, -1)
    if search.open_tier() != GOAL:
        weight = instance.overload(hosts, use) + instance.goal.drained.astype(np.int64) * (1 << 40)
        for form in instance.binding:
            if form.broken(search.place):
                np.add.at(weight, search.place[form.members], 1 << 30)
    sources = np.zeros(len(hosts), dtype=np.bool_)
    sources[search.place[instance.movable]] = True
    return np.where((instance.target | sources) & (weight >= 0), weight, -1).astype(np.intp)
