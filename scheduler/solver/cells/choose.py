"""When an instance is searched in cells rather than as a whole."""

from __future__ import annotations

from scheduler.solver.few import few_moves_bind
from scheduler.solver.instance import Instance
from scheduler.solver.meter import Budget

LOCAL = "local"
"""The engine of processes on this machine."""
FROM_HOSTS = 2000
"""With fewer, cells gain nothing that starting their workers does not cost."""


def in_cells(instance: Instance, budget: Budget) -> bool:
    """Tell whether cells are worth it: large enough, and more than this process to work on them.

    One process alone searches the whole as well as it searches cells. Where moves are few, they are best spent where
    they gain most in the whole; dealt out to cells they are not.
    """
    shared = budget.engine != LOCAL or budget.workers > 1
    return shared and instance.hosts >= FROM_HOSTS and not few_moves_bind(instance)
