"""Improving what is closed: one host opened for another, and cold annealing, at a raised price of moves.

There a move costs more than the goal says: a further GiB must save a good part of what was saved with each so far.
Without that the last watts would take half as much memory again.
"""

from __future__ import annotations

import numpy as np

from scheduler.solver.bounds.asleep import raise_bounds
from scheduler.solver.evacuate.emptying import Emptying
from scheduler.solver.evaluate import GOAL, MIB
from scheduler.solver.forms import Bools, Ints
from scheduler.solver.kernels.anneal import anneal

SLICE_STEPS = 20_000
POLISH_STEPS, SEAT_STEPS = 4000, 500
"""Proposals per guest of one cold annealing; fewer where no less memory can move, and only seats are exchanged."""
HEAT, COOL = 0.1, 0.01
"""Temperature at its start, in the median price of a move, and at its end as a part of that."""
SWAPS = 300
"""Swaps of 1024 proposals."""
MOST_HOSTS, MOST_PAIRS = 500, 3000
"""Hosts on either side, and exchanges of them, tried at most in one go."""
FURTHER = 0.15
"""What a further GiB must save, as a part of what was saved with each so far."""
ROUNDS, LITTLE = 8, 500
"""Rounds of annealing and exchanges at most; one that gains less than 1 / `LITTLE` of what is saved is the last."""


def improve(emptying: Emptying) -> None:
    """Exchange hosts and anneal by turns, until a round gains next to nothing."""
    search = emptying.search
    emptying.bins.go_to(search.place)
    raise_prices(emptying)
    for _ in range(ROUNDS):
        before = priced(emptying)
        raise_bounds(search, emptying.bound)
        polish(emptying, SEAT_STEPS if search.value.mib <= search.bounds[MIB] else POLISH_STEPS)
        exchange(emptying)
        if emptying.over() or (before - priced(emptying)) * LITTLE <= search.start.goal - search.value.goal:
            return


def raise_prices(emptying: Emptying) -> None:
    """Let each MiB cost a part of what has been saved by each that is moved so far."""
    bins, value = emptying.bins, emptying.search.value
    saved = max(0, emptying.search.start.goal - value.goal)
    extra = np.rint(FURTHER * saved / max(1, value.mib) * emptying.instance.mib).astype(np.int64)
    moved = emptying.instance.moved(bins.state.place)
    bins.tables = bins.tables._replace(price=bins.tables.price + extra)
    bins.state.totals[GOAL] += int(extra[moved].sum())
    emptying.net = emptying.net - emptying.bound.per_host(
        np.where(emptying.bound.reach.counted, extra[emptying.instance.movable], 0)
    )


def priced(emptying: Emptying) -> int:
    """Return the goal of the state with the raised prices."""
    return int(emptying.bins.state.totals[GOAL])


def exchange(emptying: Emptying) -> None:
    """Open one host for another, those first that promise most, until none is better."""
    homes = emptying.instance.host_of(emptying.instance.home)
    state = emptying.bins.state
    closed = state.asleep & emptying.bound.able
    found = True
    while found and not emptying.over():
        found = False
        for shut, opened in zip(*(hosts.tolist() for hosts in pairs(emptying, closed)), strict=True):
            if emptying.over():
                break
            if closed[shut] or not closed[opened] or state.count[shut] == 0:
                continue
            homely = np.flatnonzero(homes == opened).astype(np.int64)
            found |= emptying.change(closed, opened, shut, homely)
    emptying.send_home()
    emptying.offer()


def pairs(emptying: Emptying, closed: Bools) -> tuple[Ints, Ints]:
    """Hosts to shut, each with one to open instead, best first; those that promise more than others moved cost."""
    instance = emptying.instance
    moved = instance.moved(emptying.bins.state.place) & ~closed[instance.host_of(instance.home)]
    slack = float(np.maximum(0, emptying.bins.tables.price[moved]).sum())
    shut = np.flatnonzero(~closed & np.isfinite(emptying.net))
    shut = shut[np.argsort(-emptying.net[shut], kind="stable")][:MOST_HOSTS]
    opened = np.flatnonzero(closed & np.isfinite(emptying.net))
    opened = opened[np.argsort(emptying.net[opened], kind="stable")][:MOST_HOSTS]
    gain = emptying.net[shut][:, None] - emptying.net[opened][None, :]
    i, k = np.nonzero(gain + slack > 0)
    best = np.argsort(-gain[i, k], kind="stable")[:MOST_PAIRS]
    return shut[i[best]], opened[k[best]].astype(np.int64)


def polish(emptying: Emptying, steps_a_guest: int) -> None:
    """Anneal from a low temperature, at which no host wakes, and go on from the best that was met."""
    bins = emptying.bins
    price = bins.tables.price[emptying.instance.movable]
    price = price[price > 0]
    if not len(price):
        return
    hot = HEAT * float(np.median(price))
    steps = steps_a_guest * len(emptying.instance.movable)
    best, place = priced(emptying), bins.state.place.copy()
    for made in range(0, steps, SLICE_STEPS):
        if emptying.over():
            break
        anneal(bins.tables, bins.state, SLICE_STEPS, hot * COOL ** (made / steps), SWAPS)
        bins.count_work(emptying.meter, SLICE_STEPS)
        if priced(emptying) < best:
            best, place = priced(emptying), bins.state.place.copy()
    bins.go_to(place)
    emptying.send_home()
    emptying.offer()
