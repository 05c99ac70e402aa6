"""Emptying hosts as one layer of the engine: close those that are worth it, then exchange and cool down."""

from __future__ import annotations

from scheduler.solver.bounds.asleep import raise_bounds
from scheduler.solver.evacuate.emptying import Emptying
from scheduler.solver.evacuate.improve import improve
from scheduler.solver.instance import Instance
from scheduler.solver.meter import Meter
from scheduler.solver.search import Search


def applies(instance: Instance) -> bool:
    """Tell whether there are hosts that save by sleeping and guests that could leave them."""
    sleep = instance.goal.sleep
    if sleep is None or not len(instance.movable):
        return False
    return bool((sleep.may & (sleep.idle_cost > sleep.asleep_cost)).any())


def empty_cheaply(search: Search, meter: Meter, share: float = 1.0) -> None:
    """Improve the incumbent's sleeping hosts, and what moves for them, for a share of what is left of the budget."""
    if not applies(search.instance):
        return
    emptying = Emptying(search, meter, meter.left * (1 - share))
    emptying.close()
    raise_bounds(search, emptying.bound)
    if not emptying.over():
        improve(emptying)
        raise_bounds(search, emptying.bound)
