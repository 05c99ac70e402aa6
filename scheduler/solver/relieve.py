"""Hosts whose guests do not add up to the mean, relieved one after another by exchanging whole sets of guests.

This is what is left to gain where hardly anything is uneven any more; the ceiling of MiB may then be passed a little,
where each of them buys much (`docs/decisions/0010`).
"""

from __future__ import annotations

import numpy as np

from scheduler.solver.instance import Instance
from scheduler.solver.kernels.even import make_even
from scheduler.solver.kernels.few import Few
from scheduler.solver.kernels.sets import MOST_SETS, make_sets, relieve
from scheduler.solver.kernels.state import BROKEN, GOAL, LEFT, OVERLOAD
from scheduler.solver.local import Local
from scheduler.solver.meter import Meter

PAIR_WORK = 1e-9
"""What a pair of sets counts as of a work limit: about the seconds it takes."""
LEAVING_SETS = 64
"""Sets that leave a host, about."""
ROUNDS = 16
"""Hosts for whose relief time is set apart, unless that is more than `SHARE` of the budget."""
SHARE = 0.3
DEARER = 10.0
"""Each per cent of MiB above the ceiling must lower the goal by so many per cent of what is left of it."""


def set_work(instance: Instance, left: float) -> float:
    """Return the part to set apart of what is left of a budget, in its unit."""
    return min(SHARE * left, ROUNDS * _relief_work(instance))


def exchange_sets(local: Local, few: Few, meter: Meter, until: float) -> None:
    """Relieve the costliest hosts until nothing more is gained, or no more than `until` is left of the budget."""
    tables, state = local.tables, local.state
    if state.totals[[BROKEN, OVERLOAD, LEFT]].any():
        return
    even, sets = make_even(tables, state.use), make_sets()
    counted = tables.terms.even_counted[0].any(axis=1)
    waiting = counted.copy()
    while waiting.any() and meter.left > until and not meter.over():
        host = int(np.argmax(np.where(waiting, state.cost, -1)))
        price = DEARER * float(state.totals[GOAL]) / max(1, int(few.ceiling[0]))
        before = state.cost.copy()
        if relieve(tables, state, even, few, sets, price, host):
            # Whatever it touched may have become better to exchange with; what is at rest stays so.
            waiting |= counted & (state.cost != before)
        else:
            waiting[host] = False
        meter.work(_relief_work(local.instance))


def _relief_work(instance: Instance) -> float:
    return PAIR_WORK * LEAVING_SETS * MOST_SETS * instance.hosts
