"""Large instances in parts: hosts dealt into cells of like mean load, each descended by itself, then dealt anew.

A cell frees the guests on its hosts to move among them; all else stands, and the value is that of the whole.
"""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np

from scheduler.solver.descent import descend
from scheduler.solver.forms import Index
from scheduler.solver.instance import CPU, MEMORY, Instance
from scheduler.solver.meter import Meter
from scheduler.solver.search import Search

MOST_OF_TABLE = 1_000_000
"""Hosts x movable guests up to which one descent over all is fast."""
CELL_HOSTS = 60
ROUNDS = 3


def is_large(instance: Instance) -> bool:
    """Whether an instance is better descended in cells."""
    return instance.allowed.size > MOST_OF_TABLE


def descend_cells(search: Search, meter: Meter) -> None:
    """Improve the incumbent cell by cell, in a few rounds of different cells, until the budget is spent."""
    instance = search.instance
    dice = random.Random(meter.budget.seed)
    for hosts in _troubled(instance, search.place):
        part = restrict(instance, search.place, hosts)
        search.offer(descend(part, search.place, meter, swaps=False))
    if instance.goal.tier != "balance":
        return
    for _ in range(ROUNDS):
        value = search.value
        for hosts in _deal(instance, search.place, dice):
            if meter.over():
                return
            part = restrict(instance, search.place, hosts)
            search.offer(descend(part, search.place, meter, swaps=False))
        if search.value >= value:
            return


def _troubled(instance: Instance, place: Index) -> list[list[int]]:
    """Cells for repair and drain: hosts with something broken or to be emptied, each cell with as many empty ones."""
    use = instance.use(place)
    trouble = instance.overload(np.arange(len(use), dtype=np.intp), use) > 0
    trouble |= instance.goal.drained
    together: list[list[int]] = [[host] for host in np.flatnonzero(trouble).tolist()]
    together += [
        np.unique(place[form.members]).tolist() for form in instance.binding if form.broken(place) and len(form.members)
    ]
    free = (instance.limit - use)[:, [CPU, MEMORY]] / np.maximum(1, instance.room[:, [CPU, MEMORY]])
    emptiest = [int(host) for host in np.argsort(-free.min(axis=1), kind="stable") if instance.target[host]]
    emptiest = emptiest[: CELL_HOSTS // 2]
    cells: list[set[int]] = [set()]
    for hosts in together:
        if cells[-1] and len(cells[-1] | set(hosts)) > CELL_HOSTS // 2:
            cells.append(set())
        cells[-1] |= set(hosts)
    return [sorted(cell | set(emptiest)) for cell in cells if cell]


def _deal(instance: Instance, place: Index, dice: random.Random) -> list[list[int]]:
    """Deal plannable hosts into cells like cards, from the fullest to the emptiest, turning round at each end."""
    use = instance.use(place)
    room = np.maximum(1, instance.room)
    fullness = use[:, CPU] / room[:, CPU] + use[:, MEMORY] / room[:, MEMORY]
    order = [int(host) for host in np.argsort(-fullness, kind="stable") if instance.plannable[host]]
    many = max(1, -(-len(order) // CELL_HOSTS))
    cells: list[list[int]] = [[] for _ in range(many)]
    for start in range(0, len(order), many):
        hand = order[start : start + many]
        dice.shuffle(hand)
        for cell, host in zip(cells, hand, strict=False):
            cell.append(host)
    return cells


def restrict(instance: Instance, place: Index, hosts: list[int]) -> Instance:
    """Return the instance with only the guests on `hosts` movable, and only among them; caps less what has moved."""
    inside = np.zeros(len(instance.host_ids), dtype=np.bool_)
    inside[hosts] = True
    columns = inside[place[instance.movable]]
    movable = instance.movable[columns]
    outside = place != instance.home
    outside[movable] = False
    caps = (replace(cap, at_most=max(0, cap.at_most - int(outside[cap.members].sum()))) for cap in instance.move_caps)
    return replace(
        instance,
        movable=movable,
        allowed=instance.allowed[:, columns] & inside[:, None],
        max_moves=max(0, instance.max_moves - int(outside.sum())),
        move_caps=tuple(caps),
    )
