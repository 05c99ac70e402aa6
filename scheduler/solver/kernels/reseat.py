"""Seating the guests of hosts that are to be closed: each goes where that costs least, guests tied together as one.

A *bundle* is a guest, or guests that a rule keeps on one host: moved singly they would break it for a moment.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scheduler.solver.forms import Bools, Ints
from scheduler.solver.kernels.compiled import compiled, entry, example
from scheduler.solver.kernels.evacuate import fullness, largest_left
from scheduler.solver.kernels.mend import is_better, put_if_better, repair_change
from scheduler.solver.kernels.moves import fits, forms_allow, may_go, may_stay, repair_of, shift_cost
from scheduler.solver.kernels.state import GOAL, LEFT, MIB, State, put, take_back
from scheduler.solver.kernels.tables import Tables

NEVER = 1 << 62
MANY, ENOUGH, STRIDE = 2000, 250, 7919
"""With more than `MANY` hosts not all are looked at for each guest."""


class Bundles(NamedTuple):
    """Guests by bundle: `of` int64[guests]; those of b are `guests[first[b] : first[b + 1]]`."""

    of: Ints
    first: Ints
    guests: Ints


example(Bundles, lambda tables: Bundles(np.zeros(1, np.int64), np.zeros(2, np.int64), np.zeros(1, np.int64)))


@compiled
def _best_alone(tables: Tables, state: State, closed: Bools, g: int, tight: bool) -> int:
    """Return the seat on an open host that costs a guest least, or leaves least room if `tight`; -1 for none.

    Of many hosts the first `ENOUGH` that take it are compared, each guest from another host on.
    """
    modes = tables.demand.shape[1]
    hosts = tables.cap.shape[0]
    best, best_repair, best_cost, best_full = -1, NEVER, NEVER, 0.0
    seen = 0
    for k in range(hosts):
        h = (k + g * STRIDE) % hosts if hosts > MANY else k
        if hosts > MANY and seen >= ENOUGH:
            break
        if closed[h] or tables.left[h] or h == state.host[g]:
            continue
        for mode in range(modes):
            seat = h * modes + mode
            if not may_go(tables, g, seat) or not fits(tables, state, g, seat):
                continue
            if not forms_allow(tables, state, g, h):
                continue
            seen += 1
            repair = repair_change(tables, state, g, seat)
            if repair > best_repair:
                continue
            cost = 0 if tight else shift_cost(tables, state, g, seat)
            full = fullness(tables, state, h)
            if repair == best_repair and (cost > best_cost or (cost == best_cost and full <= best_full)):
                continue
            best, best_repair, best_cost, best_full = seat, repair, cost, full
    return best


@compiled
def seat_bundle(
    tables: Tables, state: State, bundles: Bundles, closed: Bools, b: int, source: int, tight: bool
) -> bool:
    """Move what a bundle has on host `source` to the best open host; tell whether there was one. Goes on the trail."""
    modes = tables.demand.shape[1]
    hosts = tables.cap.shape[0]
    first, last = bundles.first[b], bundles.first[b + 1]
    mark = state.trail_length[0]
    alone = -1
    best = -1
    begin = 0
    if last - first == 1:
        # Where it goes is known without trying.
        alone = _best_alone(tables, state, closed, bundles.guests[first], tight)
        if alone < 0:
            return False
        best, begin = alone // modes, hosts
    repair, left, goal, mib = NEVER, NEVER, NEVER, NEVER
    for trial in range(begin, hosts + 1):
        h = best if trial == hosts else trial
        if h < 0 or closed[h] or tables.left[h] or h == source:
            continue
        placed = True
        for i in range(first, last):
            g = bundles.guests[i]
            if state.host[g] != source:
                continue
            seat = alone
            for mode in range(modes):
                if seat < 0 and may_go(tables, g, h * modes + mode) and fits(tables, state, g, h * modes + mode):
                    seat = h * modes + mode
            if seat < 0:
                placed = False
                break
            put(tables, state, g, seat)
        if trial == hosts:
            return True
        if placed and may_stay(tables, state, mark) and is_better(state, repair, left, goal, mib):
            best, repair, left = h, repair_of(state.totals), state.totals[LEFT]
            goal, mib = state.totals[GOAL], state.totals[MIB]
        take_back(tables, state, mark)
    return False


@entry
def seat_bundles(
    tables: Tables, state: State, bundles: Bundles, closed: Bools, order: Ints, sources: Ints, tight: bool
) -> int:
    """Seat each of the bundles `order` away from its host of `sources`; return how many found no seat."""
    failed = 0
    for i in range(order.shape[0]):
        state.trail_length[0] = 0
        if not seat_bundle(tables, state, bundles, closed, order[i], sources[i], tight):
            failed += 1
    return failed


@entry
def go_home(tables: Tables, state: State, guests: Ints) -> int:
    """Take each of `guests` home where that is better by the totals; return how many went."""
    done = 0
    for i in range(guests.shape[0]):
        g = guests[i]
        home = tables.home[g]
        h = home // tables.demand.shape[1]
        if state.place[g] == home or tables.mask_of[g] < 0 or not fits(tables, state, g, home):
            continue
        if not forms_allow(tables, state, g, h):
            continue
        state.trail_length[0] = 0
        if put_if_better(tables, state, g, home):
            done += 1
    return done


@entry
def change_hosts(
    tables: Tables, state: State, bundles: Bundles, closed: Bools, opened: int, shut: int, homely: Ints
) -> bool:
    """Open a closed host (-1: none) and shut another, when that is better by the totals; tell whether it was done.

    `homely` are the guests that started on the opened host: they go back to it where it still has room.
    """
    state.trail_length[0] = 0
    repair, left = repair_of(state.totals), state.totals[LEFT]
    goal, mib = state.totals[GOAL], state.totals[MIB]
    good = state.trail.shape[0] >= homely.shape[0] + 2 * state.count[shut]
    closed[shut] = True
    if opened >= 0:
        closed[opened] = False
        for i in range(homely.shape[0]):
            g = homely[i]
            home = tables.home[g]
            if good and state.place[g] != home and may_go(tables, g, home) and fits(tables, state, g, home):
                put(tables, state, g, home)
    while good and state.count[shut] > 0:
        g = largest_left(tables, state, shut)
        good = tables.mask_of[g] >= 0 and seat_bundle(tables, state, bundles, closed, bundles.of[g], shut, False)
    if good and may_stay(tables, state, 0) and is_better(state, repair, left, goal, mib):
        return True
    take_back(tables, state, 0)
    closed[shut] = False
    if opened >= 0:
        closed[opened] = True
    return False
