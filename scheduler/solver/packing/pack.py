"""Packing as one layer of the engine: first packings, then closing hosts or patterns, until bound or share."""

from __future__ import annotations

from scheduler.solver.evaluate import GOAL, LEFT
from scheduler.solver.instance import Instance
from scheduler.solver.meter import Meter
from scheduler.solver.packing.bins import Bins
from scheduler.solver.packing.by_patterns import few_guests, pack_by_patterns
from scheduler.solver.packing.close_hosts import close_hosts
from scheduler.solver.packing.construct import construct
from scheduler.solver.search import Search

MANY_TRIES = 1 << 30


def applies(instance: Instance) -> bool:
    """Tell whether packing has something to do: hosts that save by sleeping, nothing counted at both ends, no cap."""
    sleep = instance.goal.sleep
    if sleep is None or not len(instance.movable) or int(instance.mib[instance.movable].sum()) > instance.max_mib:
        return False
    held = instance.transient.any() and instance.outside < 0
    return bool((sleep.may & (sleep.idle_cost > sleep.asleep_cost)).any()) and not held


def pack(search: Search, meter: Meter, share: float = 1.0) -> None:
    """Improve the incumbent's sleeping hosts for a share of what is left of the budget."""
    if search.bounds[GOAL] >= search.value[GOAL] and search.value[LEFT] <= search.bounds[LEFT]:
        return
    until = meter.left * (1 - share)
    bins = Bins(search.instance, search.place, meter.budget.seed)
    construct(search, bins, meter)
    if search.value[LEFT] > search.bounds[LEFT] or search.bounds[GOAL] >= search.value[GOAL]:
        return
    if search.value[LEFT] or not few_guests(search) or not pack_by_patterns(search, bins, meter, until):
        close_hosts(search, bins, meter, MANY_TRIES, until)
