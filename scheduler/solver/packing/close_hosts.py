"""Closing one host after another: its guests crowd the others, and annealing drives the excess out."""

from __future__ import annotations

import numpy as np

from scheduler.solver.evaluate import GOAL
from scheduler.solver.forms import Bools, Index
from scheduler.solver.kernels.repack import LEAST_EXCESS, repack_steps, start
from scheduler.solver.meter import Meter
from scheduler.solver.packing.bins import Bins
from scheduler.solver.search import Search

HOT, COLD = 0.04, 0.002
"""Temperatures at the start and the end of a try, in mean relative sizes of a guest."""
STEPS_A_GUEST, MOST_STEPS_A_GUEST = 2000, 16000
SLICE_STEPS = 65_536
COOL_EVERY = 1024
LEAST_STEPS = 1000
"""What beginning a try counts as, in proposals."""


def close_hosts(
    search: Search,
    bins: Bins,
    meter: Meter,
    tries: int,
    until: float = 0.0,
    place: Index | None = None,
    warm: float = HOT,
) -> None:
    """Close the emptiest host of the incumbent, and the next, until `tries` tries have failed or the bound is reached.

    A try that fails is followed by one of twice the steps, by turns from the least excess met and from the start.
    `place` is where to start instead of the incumbent, `warm` the temperature in mean relative sizes of a guest.
    """
    longer = 1
    failed = 0
    place = search.place if place is None else place
    hot, cold = warm * bins.unit(), COLD * bins.unit()
    closed = None
    while not _done(search, meter, until) and failed < tries:
        if closed is None:
            closed = _close_emptiest(bins, place)
            if closed is None:
                return
        elif failed % 2 == 0:
            bins.go_to(place)
            start(bins.tables, bins.state, bins.repack, closed)
        else:
            bins.go_to(bins.repack.best)
            start(bins.tables, bins.state, bins.repack, closed)
        steps = min(STEPS_A_GUEST * longer, MOST_STEPS_A_GUEST) * max(1, len(bins.instance.movable))
        bins.count_work(meter, LEAST_STEPS)
        if _anneal(search, bins, meter, steps, hot, cold, until):
            if not search.offer(bins.repack.best):
                # The host is closed and that gains nothing: what is saved is less than what its guests' moves cost.
                return
            place = search.place
            closed, failed = None, 0
            continue
        failed += 1
        longer *= 2


def _done(search: Search, meter: Meter, until: float) -> bool:
    return meter.over() or meter.left <= until or search.bounds[GOAL] >= search.value[GOAL]


def _close_emptiest(bins: Bins, place: Index) -> Bools | None:
    """Send the guests of the emptiest host in use to the others; return which are closed, `None` when none can."""
    bins.go_to(place)
    state = bins.state
    may = np.flatnonzero(bins.may_close & bins.occupied)
    if not len(may):
        return None
    full = (state.use[may] * bins.weight[may]).sum(axis=1)
    closed: Bools = ~bins.occupied & bins.may_close
    closed[may[int(np.argmin(full))]] = True
    if bins.instance.outside >= 0:
        closed[bins.instance.outside] = True
    start(bins.tables, state, bins.repack, closed)
    return closed if not state.count[closed].any() else None


def _anneal(search: Search, bins: Bins, meter: Meter, steps: int, hot: float, cold: float, until: float) -> bool:
    """Cool from `hot` to `cold` in so many steps; tell whether nothing is in excess at the end."""
    cooling = (cold / hot) ** (1.0 / max(1, steps // COOL_EVERY))
    temperature, made = hot, 0
    while made < steps and not _done(search, meter, until):
        now = min(SLICE_STEPS, steps - made)
        done = repack_steps(bins.tables, bins.state, bins.repack, now, temperature, cooling, False)
        bins.count_work(meter, done)
        temperature *= cooling ** (now // COOL_EVERY)
        made += now
        if done < now or bins.repack.sums[LEAST_EXCESS] == 0.0:
            return True
    return bool(bins.repack.sums[LEAST_EXCESS] == 0.0)
