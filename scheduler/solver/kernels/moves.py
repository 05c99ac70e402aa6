"""What a shift or a swap would cost and whether it fits, without making it; and whether what was made may stay.

The quick answers leave out soft forms and crowds; what passes them is made with `put` and judged by its totals.
"""

from __future__ import annotations

from scheduler.solver.forms import Ints
from scheduler.solver.kernels.compiled import compiled
from scheduler.solver.kernels.cost import host_cost
from scheduler.solver.kernels.groups import change_of_form
from scheduler.solver.kernels.state import (
    BROKEN,
    CAPPED,
    HARD,
    MIB,
    MOVES,
    OVERLOAD,
    WORSE,
    State,
    can_sleep,
)
from scheduler.solver.kernels.tables import MAX_MIB, MAX_MOVES, OUTSIDE, SOFT, Tables

HARD_WEIGHT = 1 << 12
"""How many broken things of repair rules one of a hard rule outweighs in the search."""
BROKEN_WEIGHT = 1 << 36
"""How many millionths of overload one broken thing outweighs in the search."""


@compiled
def repair_of(totals: Ints) -> int:
    """Return broken rules and overload in one figure."""
    return (totals[HARD] * HARD_WEIGHT + totals[BROKEN]) * BROKEN_WEIGHT + totals[OVERLOAD]


@compiled
def may_go(tables: Tables, g: int, seat: int) -> bool:
    """Tell whether a guest may be in a seat at all: its mask, its modes, or home."""
    if tables.mask_of[g] < 0:
        return False
    if seat == tables.home[g]:
        return True
    modes = tables.demand.shape[1]
    if not tables.usable[g, seat % modes]:
        return False
    h = seat // modes
    return tables.masks[tables.mask_of[g], h] or h == tables.home[g] // modes


@compiled
def fits(tables: Tables, state: State, g: int, seat: int) -> bool:
    """Tell whether a host has room for a guest in a seat, also while it moves."""
    modes = tables.demand.shape[1]
    h, mode = seat // modes, seat % modes
    here = state.host[g] == h
    mine = state.place[g] % modes
    start = tables.home[g] // modes
    most = tables.headroom if start != h or state.came[h] > 0 else tables.cap
    for i in range(tables.columns.shape[0]):
        r = tables.columns[i]
        use = state.use[h, r] + tables.demand[g, mode, r]
        if here:
            use -= tables.demand[g, mine, r]
        if use > most[h, r]:
            return False
    for k in range(tables.held.shape[0]):
        r = tables.held[k]
        use = state.use[h, r] + state.gone[h, k] + tables.demand[g, mode, r]
        if here:
            use -= tables.demand[g, mine, r]
        if start == h and start != tables.figures[OUTSIDE]:
            away = state.place[g] != tables.home[g]
            if away and seat == tables.home[g]:
                use -= tables.demand[g, tables.home[g] % modes, r]
            elif not away and seat != tables.home[g]:
                use += tables.demand[g, tables.home[g] % modes, r]
        if use > tables.cap[h, r]:
            return False
    return True


@compiled
def holds(tables: Tables, state: State, h: int) -> bool:
    """Tell whether a host is within what it may hold."""
    most = tables.headroom if state.came[h] > 0 else tables.cap
    for i in range(tables.columns.shape[0]):
        r = tables.columns[i]
        if state.use[h, r] > most[h, r]:
            return False
    for k in range(tables.held.shape[0]):
        if state.use[h, tables.held[k]] + state.gone[h, k] > tables.cap[h, tables.held[k]]:
            return False
    return True


@compiled
def price_change(tables: Tables, state: State, g: int, seat: int) -> int:
    """Return the change of what a guest's moving costs by itself when it goes to a seat."""
    home, old = tables.home[g], state.place[g]
    modes = tables.demand.shape[1]
    if home // modes == tables.figures[OUTSIDE]:
        return 0
    zone = tables.zone[home // modes]
    change = 0
    if old != home:
        change -= tables.price[g] + tables.pair_price[zone, tables.zone[old // modes]]
    if seat != home:
        change += tables.price[g] + tables.pair_price[zone, tables.zone[seat // modes]]
    return change


@compiled
def shift_cost(tables: Tables, state: State, g: int, seat: int) -> int:
    """Return the change of the goal when a guest goes to a seat, without soft forms and crowds."""
    modes = tables.demand.shape[1]
    a, b = state.host[g], seat // modes
    mode, old = seat % modes, state.place[g] % modes
    change = price_change(tables, state, g, seat)
    row = state.row
    if state.count[a] == 1 and a != b and can_sleep(tables, state, a):
        change += tables.asleep_cost[a] - state.cost[a]
    else:
        for r in range(row.shape[0]):
            row[r] = state.use[a, r] - tables.demand[g, old, r]
        if a == b:
            for r in range(row.shape[0]):
                row[r] += tables.demand[g, mode, r]
        change += host_cost(tables.terms, a, row) - state.cost[a]
    if a == b:
        return change
    for r in range(row.shape[0]):
        row[r] = state.use[b, r] + tables.demand[g, mode, r]
    was = tables.asleep_cost[b] if state.asleep[b] else state.cost[b]
    return change + host_cost(tables.terms, b, row) - was


@compiled
def forms_allow(tables: Tables, state: State, g: int, h: int) -> bool:
    """Tell whether no binding form gets worse than at the start when a guest goes to a host."""
    groups = tables.groups
    a = state.host[g]
    for e in range(groups.first[g], groups.first[g + 1]):
        f = groups.form[e]
        if groups.rank[f] == SOFT:
            continue
        cells = groups.cell[groups.partition[f]]
        if cells[a] != cells[h]:
            change = change_of_form(groups, state.counts, state.occupied, f, groups.kind[e], cells[a], cells[h])
            if change > 0 and state.broken[f] + change > groups.most[f]:
                return False
    return True


@compiled
def swap_fits(tables: Tables, state: State, g: int, other: int) -> bool:
    """Tell whether two guests of different hosts may take each other's host, each in its present mode, and fit."""
    modes = tables.demand.shape[1]
    a, b = state.host[g], state.host[other]
    mine, its = state.place[g] % modes, state.place[other] % modes
    most_a = tables.headroom if tables.home[other] // modes != a or state.came[a] > 0 else tables.cap
    most_b = tables.headroom if tables.home[g] // modes != b or state.came[b] > 0 else tables.cap
    for i in range(tables.columns.shape[0]):
        r = tables.columns[i]
        more = tables.demand[other, its, r] - tables.demand[g, mine, r]
        if more > 0:
            if state.use[a, r] + more > most_a[a, r]:
                return False
        elif state.use[b, r] - more > most_b[b, r]:
            return False
    return True


@compiled
def swap_cost(tables: Tables, state: State, g: int, other: int) -> int:
    """Return the change of the goal when two guests of different hosts change places, without forms and crowds."""
    modes = tables.demand.shape[1]
    a, b = state.host[g], state.host[other]
    mine, its = state.place[g] % modes, state.place[other] % modes
    change = price_change(tables, state, g, b * modes + mine)
    change += price_change(tables, state, other, a * modes + its)
    row = state.row
    for end in range(2):
        h, sign = (b, -1) if end else (a, 1)
        for r in range(row.shape[0]):
            row[r] = state.use[h, r] + sign * (tables.demand[other, its, r] - tables.demand[g, mine, r])
        change += host_cost(tables.terms, h, row) - state.cost[h]
    return change


@compiled
def may_stay(tables: Tables, state: State, length: int) -> bool:
    """Tell whether the moves on the trail from `length` on leave everything within its limits, forms and caps."""
    totals = state.totals
    if totals[WORSE] > 0 or totals[CAPPED] > 0:
        return False
    if totals[MOVES] > tables.figures[MAX_MOVES] or totals[MIB] > tables.figures[MAX_MIB]:
        return False
    modes = tables.demand.shape[1]
    for n in range(2 * length, 2 * state.trail_length[0]):
        h = state.trail[n // 2, 1] // modes if n % 2 else state.host[state.trail[n // 2, 0]]
        if not holds(tables, state, h):
            return False
    return True
