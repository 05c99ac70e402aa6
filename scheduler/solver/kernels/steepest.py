"""Steepest descent over shifts, compiled: at each step the one shift of one guest that lowers the goal most.

What a shift costs falls into what leaving saves, known by the guest's host, and what entering costs, known by the
target. Of each guest the cheapest entry is kept. A step changes two hosts, so that of the others' entries only those
to these two are priced again; an entry that has become dearer stays as a bound, and all of that guest's targets are
looked at again only when the bound would win. Where evenness is all that counts, an entry that cannot be the cheapest
is told by its fractions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scheduler.solver.forms import Bools, Ints
from scheduler.solver.kernels.compiled import compiled, entry, example
from scheduler.solver.kernels.cost import host_cost
from scheduler.solver.kernels.even import Even, least_change_at, read_use
from scheduler.solver.kernels.moves import fits, forms_allow, may_go, may_stay, repair_of, shift_cost
from scheduler.solver.kernels.state import GOAL, LEFT, State, can_sleep, put, take_back
from scheduler.solver.kernels.tables import OUTSIDE, Tables

FAR = 1 << 61
"""The price of an entry where there is none."""


class Entries(NamedTuple):
    """The cheapest entry of each movable guest, by its position in `tables.movable`.

    `cost` int64[m] and the `seat` int64[m] (-1: none); where `bound` bool[m] the cost may be more by now. `leave`
    int64[m] is the change when it leaves. `barred` bool[m]: its shift was refused. `targets` are the hosts looked at.
    """

    cost: Ints
    seat: Ints
    bound: Bools
    leave: Ints
    barred: Bools
    targets: Ints


def make_entries(tables: Tables, targets: Ints) -> Entries:
    """Return entries not yet looked at; `targets` int64[t], in rising order, are the hosts that count."""
    many = len(tables.movable)
    return Entries(
        cost=np.full(many, -FAR, dtype=np.int64),
        seat=np.full(many, -1, dtype=np.int64),
        bound=np.ones(many, dtype=np.bool_),
        leave=np.zeros(many, dtype=np.int64),
        barred=np.zeros(many, dtype=np.bool_),
        targets=targets,
    )


example(Entries, lambda tables: make_entries(tables, np.zeros(1, dtype=np.int64)))


@compiled
def _moving_price(tables: Tables, g: int, seat: int) -> int:
    """Return what being moved to a seat costs by itself, 0 at home."""
    home = tables.home[g]
    modes = tables.demand.shape[1]
    if seat == home or home // modes == tables.figures[OUTSIDE]:
        return 0
    price: int = tables.price[g] + tables.pair_price[tables.zone[home // modes], tables.zone[seat // modes]]
    return price


@compiled
def _leave_cost(tables: Tables, state: State, g: int) -> int:
    a, row = state.host[g], state.row
    mode = state.place[g] % tables.demand.shape[1]
    saved = _moving_price(tables, g, state.place[g]) + state.cost[a]
    if state.count[a] == 1 and can_sleep(tables, state, a):
        asleep: int = tables.asleep_cost[a] - saved
        return asleep
    for r in range(row.shape[0]):
        row[r] = state.use[a, r] - tables.demand[g, mode, r]
    left: int = host_cost(tables.terms, a, row) - saved
    return left


@compiled
def _entry_cost(tables: Tables, state: State, g: int, seat: int) -> int:
    """Return what a guest's coming to a seat of another host costs."""
    modes = tables.demand.shape[1]
    b, row = seat // modes, state.row
    for r in range(row.shape[0]):
        row[r] = state.use[b, r] + tables.demand[g, seat % modes, r]
    was = tables.asleep_cost[b] if state.asleep[b] else state.cost[b]
    cost: int = host_cost(tables.terms, b, row) - was + _moving_price(tables, g, seat)
    return cost


@compiled
def _look(tables: Tables, state: State, even: Even, entries: Entries, i: int) -> None:
    """Price all entries of a guest; of equals the lowest seat is kept."""
    g = tables.movable[i]
    modes = tables.demand.shape[1]
    leave = _leave_cost(tables, state, g)
    price = tables.price[g]
    best, at = FAR, -1
    for k in range(entries.targets.shape[0]):
        h = entries.targets[k]
        if h == state.host[g] and modes == 1:
            continue
        if even.alone[0] and least_change_at(even, h, g) + min(price, 0) >= best:
            continue
        for mode in range(modes):
            seat = h * modes + mode
            if h != state.host[g]:
                cost = _entry_cost(tables, state, g, seat)
            elif seat == state.place[g]:
                continue
            else:
                cost = shift_cost(tables, state, g, seat) - leave
            if cost >= best or not may_go(tables, g, seat) or not fits(tables, state, g, seat):
                continue
            if forms_allow(tables, state, g, h):
                best, at = cost, seat
    entries.cost[i], entries.seat[i], entries.leave[i] = best, at, leave
    entries.bound[i] = False


@compiled
def _look_at_two(tables: Tables, state: State, even: Even, entries: Entries, i: int, a: int, b: int) -> None:
    """Bring a guest's entry up to date after the use of two hosts has changed."""
    g = tables.movable[i]
    modes = tables.demand.shape[1]
    here = state.host[g]
    if here in (a, b):
        entries.leave[i] = _leave_cost(tables, state, g)
        if modes > 1:
            entries.bound[i], entries.cost[i] = True, -FAR
            return
    kept, price = entries.seat[i], tables.price[g]
    if kept >= 0 and (kept // modes == a or kept // modes == b):
        now = FAR
        dearer = even.alone[0] and least_change_at(even, kept, g) + min(price, 0) > entries.cost[i]
        if not dearer and kept // modes != here and may_go(tables, g, kept) and fits(tables, state, g, kept):
            now = _entry_cost(tables, state, g, kept)
        if now <= entries.cost[i]:
            entries.cost[i], entries.bound[i] = now, False
        else:
            entries.bound[i] = True
    for k in range(2):
        h = a if k == 0 else b
        if h == here:
            continue
        if even.alone[0] and least_change_at(even, h, g) + min(price, 0) > entries.cost[i]:
            continue
        for mode in range(modes):
            seat = h * modes + mode
            cost = _entry_cost(tables, state, g, seat)
            if cost > entries.cost[i]:
                continue
            if cost == entries.cost[i] and (entries.bound[i] or seat >= entries.seat[i]):
                continue
            if may_go(tables, g, seat) and fits(tables, state, g, seat) and forms_allow(tables, state, g, h):
                entries.cost[i], entries.seat[i], entries.bound[i] = cost, seat, False


@entry
def look_at(tables: Tables, state: State, even: Even, entries: Entries, start: int, end: int) -> None:
    """Price the entries of the movable guests from position `start` up to `end`."""
    for i in range(start, min(end, tables.movable.shape[0])):
        _look(tables, state, even, entries, i)


@compiled
def _best(tables: Tables, state: State, even: Even, entries: Entries) -> int:
    """Return the position of the guest with the cheapest shift below 0, the first of equals; -1 when there is none."""
    best, at = -1, -1
    for i in range(tables.movable.shape[0]):
        if not entries.bound[i] and not entries.barred[i] and entries.seat[i] >= 0:
            cost = entries.leave[i] + entries.cost[i]
            if cost < best or (cost == best and at < 0):
                best, at = cost, i
    for i in range(tables.movable.shape[0]):
        if entries.bound[i] and not entries.barred[i] and entries.leave[i] + entries.cost[i] <= best:
            _look(tables, state, even, entries, i)
            cost = entries.leave[i] + entries.cost[i]
            if cost < best or (cost == best and (at < 0 or i < at)):
                best, at = cost, i
    return at


@entry
def descend(tables: Tables, state: State, even: Even, entries: Entries, steps: int) -> int:
    """Make up to `steps` best shifts, each within limits, forms and caps; return how many were made.

    Soft forms and crowds are not part of a shift's price, but no shift is made that does not lower the goal with them.
    Repair and guests left are never made worse.
    """
    made = 0
    modes = tables.demand.shape[1]
    while made < steps:
        i = _best(tables, state, even, entries)
        if i < 0:
            break
        g = tables.movable[i]
        a, b = state.host[g], entries.seat[i] // modes
        state.trail_length[0] = 0
        repair, left, goal = repair_of(state.totals), state.totals[LEFT], state.totals[GOAL]
        put(tables, state, g, entries.seat[i])
        now = repair_of(state.totals)
        better = now < repair or (now == repair and state.totals[LEFT] < left)
        better = better or (now == repair and state.totals[LEFT] == left and state.totals[GOAL] < goal)
        if not better or not may_stay(tables, state, 0):
            take_back(tables, state, 0)
            entries.barred[i] = True
            continue
        made += 1
        if even.alone[0]:
            read_use(tables, state, even, a)
            read_use(tables, state, even, b)
        for k in range(tables.movable.shape[0]):
            if k != i:
                _look_at_two(tables, state, even, entries, k, a, b)
        _look(tables, state, even, entries, i)
    state.trail_length[0] = 0
    return made
