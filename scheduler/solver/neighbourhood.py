"""CP-SAT as large-neighbourhood search: the guests of a few related hosts are set free, all others stay.

Hosts are related when exchanging guests between them can pay: one that costs much, those that cost least, and chance;
hosts that share a form with something broken; hosts between which guests have moved, so that moves can be undone for
better ones where moves are few.
"""

from __future__ import annotations

import random

import numpy as np

from scheduler.solver.evaluate import GOAL
from scheduler.solver.forms import Bools, Index, Ints
from scheduler.solver.instance import Instance
from scheduler.solver.meter import Meter
from scheduler.solver.search import Search
from scheduler.solver.terms import EvenUse, FreeSlots
from scheduler.solver.tiers import improve_part

FIRST_BOOLEANS, LEAST_BOOLEANS, MOST_BOOLEANS = 300.0, 60.0, 2000.0
"""Size of a neighbourhood: to begin with, and within what it is fitted to what can be solved within its limit."""
GROW, SHRINK = 1.15, 0.9
LEAST_HOSTS, MOST_HOSTS = 3, 8
COARSE = 100
PART_LIMIT = 0.25
"""Budget of one neighbourhood, in seconds or work units."""
PATIENCE = 2
"""Give up after so many times the number of hosts without improvement in parts as large as can be solved."""
LEAVING = 1 << 40
"""Trouble of a host with a guest that should leave it: more than any overload."""


def search_parts(search: Search, meter: Meter) -> None:
    """Improve the incumbent part by part until the budget is spent or nothing improves any more."""
    instance = search.instance
    if not len(instance.movable):
        return
    dice = random.Random(meter.budget.seed)
    squares = any(isinstance(term, EvenUse) for term in instance.goal.terms)
    failures, size = 0, FIRST_BOOLEANS
    while not meter.over() and search.open_tier() is not None and failures < PATIENCE * instance.hosts:
        hosts = _related(search, size, dice)
        positions = _freed(search, hosts, size, dice)
        if not len(positions):
            failures += 1
            continue
        coarse = COARSE if search.open_tier() == GOAL and squares else 1
        better, solved = improve_part(search, meter, positions, hosts, coarse, PART_LIMIT)
        if better:
            failures = 0
        elif not solved or size >= MOST_BOOLEANS:
            # What was solved to the end too small to tell is followed by something larger.
            failures += 1
        size = min(MOST_BOOLEANS, size * GROW) if solved else max(LEAST_BOOLEANS, size * SHRINK)


def _freed(search: Search, hosts: Bools, size: float, dice: random.Random) -> Index:
    """Choose movable guests on some hosts, by position: all, or so many by chance that the part stays small."""
    instance = search.instance
    positions = np.flatnonzero(hosts[instance.host_of(search.place[instance.movable])])
    most = max(2, int(size) // (int(hosts.sum()) * instance.modes))
    if len(positions) <= most:
        return positions
    return np.sort(np.array(dice.sample(positions.tolist(), most), dtype=np.intp))


def _related(search: Search, size: float, dice: random.Random) -> Bools:
    """Choose 3 to 8 hosts, bool[hosts]; fewer of those that hold many guests."""
    instance = search.instance
    weight = _trouble(search)
    order = np.argsort(-weight, kind="stable")
    order = order[weight[order] >= 0]
    chosen = np.zeros(instance.hosts, dtype=np.bool_)
    if not len(order):
        return chosen
    guests = np.bincount(instance.host_of(search.place[instance.movable]), minlength=instance.hosts)
    pools = (order[: max(1, len(order) // 3)], order[len(order) // 2 :], order)
    seeds = _seeds(search, dice)
    count = free = 0
    while count < min(MOST_HOSTS, len(order)):
        pool = pools[count % 3]
        host = seeds.pop() if seeds else int(pool[dice.randrange(len(pool))])
        if chosen[host]:
            left = order[~chosen[order]]
            if not len(left):
                break
            host = int(left[dice.randrange(len(left))])
        free += int(guests[host])
        if count >= LEAST_HOSTS and free * (count + 1) * instance.modes > size:
            break
        chosen[host] = True
        count += 1
    return chosen


def _seeds(search: Search, dice: random.Random) -> list[int]:
    """Choose hosts to begin with: those two moved guests were and are on, those of a broken form's members, or none."""
    instance = search.instance
    hosts, homes = instance.host_of(search.place), instance.host_of(instance.home)
    kind = dice.randrange(3)
    if kind == 0:
        moved = np.flatnonzero(instance.moved(search.place))
        if len(moved):
            some = [int(moved[dice.randrange(len(moved))]) for _ in range(2)]
            return [int(one[guest]) for guest in some for one in (hosts, homes)]
    if kind == 1:
        binding = search.open_tier() != GOAL
        broken = [i for i in np.flatnonzero(search.counts.broken) if instance.forms[i].binding == binding]
        if broken:
            members = instance.forms[broken[dice.randrange(len(broken))]].members
            return [int(hosts[members[dice.randrange(len(members))]]) for _ in range(2)]
    return []


def _trouble(search: Search) -> Ints:
    """How much each host adds to the first tier not proven; -1 where nothing can come from or go to."""
    instance, counts = search.instance, search.counts
    hosts = instance.host_of(search.place)
    if search.open_tier() == GOAL:
        weight = _waste(instance, counts.costs, counts.use)
        sleep = instance.goal.sleep
        if sleep is not None:
            # The emptier a host that may sleep, the nearer it is to sleeping.
            full = (counts.use * 1000 // np.maximum(1, instance.cap)).max(axis=1)
            occupied = np.bincount(hosts, minlength=instance.hosts) > 0
            weight = np.where(sleep.may, (1001 - np.minimum(1000, full)) * LEAVING + weight, weight)
            weight = np.where(occupied | ~sleep.may, weight, -1)
    else:
        weight = counts.overload + instance.goal.left.astype(np.int64) * LEAVING
        for number in np.flatnonzero(counts.broken).tolist():
            form = instance.forms[number]
            if form.binding:
                np.add.at(weight, hosts[form.members], LEAVING >> 10)
    sources = np.zeros(instance.hosts, dtype=np.bool_)
    sources[hosts[instance.movable]] = True
    return np.where(instance.target | sources, weight, -1)


def _waste(instance: Instance, costs: Ints, use: Ints) -> Ints:
    """What each host costs beyond the least it could: for free slots, the share of one that is in pieces."""
    waste = costs - costs.min(initial=0)
    for term in instance.goal.terms:
        if isinstance(term, FreeSlots):
            whole = term.at(np.arange(instance.hosts), use)
            pieces = np.maximum(0, term.capacity - use[:, term.column]) % term.size
            waste = waste - whole + whole.min(initial=0) + term.worth * 1000 * pieces // term.size
    positive: Ints = np.maximum(0, waste)
    return positive
