"""Simulated annealing over shifts, swaps and, under a cap on moves, "take one back, make another" (Kirkpatrick 1983).

A proposal is drawn, priced without making it, and made when it may stay and passes the threshold drawn with it. Repair
and guests left decide before the goal: what makes them worse is never taken, what makes them better always.
"""

from __future__ import annotations

from math import log

from scheduler.solver.forms import Ints
from scheduler.solver.kernels.compiled import compiled, entry
from scheduler.solver.kernels.dice import below, unit
from scheduler.solver.kernels.moves import (
    fits,
    forms_allow,
    may_go,
    may_stay,
    repair_of,
    shift_cost,
    swap_cost,
    swap_fits,
)
from scheduler.solver.kernels.state import BROKEN, GOAL, LEFT, MOVES, State, put, take_back
from scheduler.solver.kernels.tables import EXTRAS, MAX_MOVES, Tables

SHIFT, SWAP, INSTEAD = range(3)


@compiled
def better_or_near(state: State, repair: int, left: int, goal: int, worst: int) -> bool:
    """Tell whether the totals are better than (repair, left, goal), or as good but for `worst` of the goal."""
    now = repair_of(state.totals)
    if now != repair:
        return now < repair
    if state.totals[LEFT] != left:
        return state.totals[LEFT] < left
    return state.totals[GOAL] <= goal + worst


@compiled
def _settled(tables: Tables, state: State, g: int) -> bool:
    """Whether moving a guest can mend nothing: then the goal alone decides."""
    a = state.host[g]
    return state.totals[BROKEN] == 0 and state.over[a] == 0 and not tables.left[a]


@compiled
def has_extras(tables: Tables) -> bool:
    """Tell whether quick prices leave something out that could make a move cheaper: soft forms or crowds."""
    return tables.figures[EXTRAS] != 0


@compiled
def try_shift(tables: Tables, state: State, g: int, seat: int, worst: int) -> bool:
    """Move a guest to a seat when that may be and its cost passes; tell whether it was done."""
    return _try(tables, state, SHIFT, g, seat, g, worst)


@compiled
def _try(tables: Tables, state: State, kind: int, g: int, seat: int, other: int, worst: int) -> bool:
    """Try to send a guest to a seat: alone, for another that goes to its host, or after another went home.

    One function for all three, since the code of making a move is large and stands here once.
    """
    if seat == state.place[g] or not may_go(tables, g, seat):
        return False
    modes = tables.demand.shape[1]
    back = tables.home[other]
    if kind == SWAP:
        back = state.host[g] * modes + state.place[other] % modes
        if not may_go(tables, other, back) or not swap_fits(tables, state, g, other):
            return False
        settled = _settled(tables, state, g) and _settled(tables, state, other) and not has_extras(tables)
        if settled and swap_cost(tables, state, g, other) > worst:
            return False
    elif kind == INSTEAD:
        if other == g or not may_go(tables, other, back) or not fits(tables, state, other, back):
            return False
    elif not _passes(tables, state, g, seat, worst):
        return False
    mark = state.trail_length[0]
    repair, left, goal = repair_of(state.totals), state.totals[LEFT], state.totals[GOAL]
    for step in range(1 if kind == SHIFT else 0, 2):
        if step == 1 and kind == INSTEAD and not _passes(tables, state, g, seat, worst + goal - state.totals[GOAL]):
            take_back(tables, state, mark)
            return False
        put(tables, state, g if step else other, seat if step else back)
    if may_stay(tables, state, mark) and better_or_near(state, repair, left, goal, worst):
        return True
    take_back(tables, state, mark)
    return False


@compiled
def _passes(tables: Tables, state: State, g: int, seat: int, worst: int) -> bool:
    """Whether there is room for a guest in a seat, at a price that passes, and binding forms allow it."""
    if not fits(tables, state, g, seat):
        return False
    if _settled(tables, state, g) and not has_extras(tables) and shift_cost(tables, state, g, seat) > worst:
        return False
    return forms_allow(tables, state, g, seat // tables.demand.shape[1])


@entry
def anneal(tables: Tables, state: State, steps: int, temperature: float, swaps: int) -> int:
    """Make `steps` proposals at a temperature (of the goal's unit), `swaps` of 1024 being swaps; return those taken."""
    movable = tables.movable
    modes = tables.demand.shape[1]
    seats = tables.cap.shape[0] * modes
    taken = 0
    if movable.shape[0] == 0:
        return 0
    for _ in range(steps):
        state.trail_length[0] = 0
        worst = 0
        if temperature > 0:
            worst = int(-temperature * log(unit(state.random)))
        g = movable[below(state.random, movable.shape[0])]
        drawn, kind, other = below(state.random, 1024), SHIFT, g
        if drawn < swaps:
            kind, other = SWAP, movable[below(state.random, movable.shape[0])]
            seat = state.host[other] * modes + state.place[g] % modes
        else:
            seat = below(state.random, seats)
            if drawn < swaps + 32 and state.totals[MOVES] > 0:
                g = state.moved[below(state.random, state.totals[MOVES])]
                seat = tables.home[g]
            at_cap = state.totals[MOVES] >= tables.figures[MAX_MOVES] and state.totals[MOVES] > 0
            if at_cap and state.place[g] == tables.home[g]:
                kind, other = INSTEAD, state.moved[below(state.random, state.totals[MOVES])]
        if _try(tables, state, kind, g, seat, other, worst):
            taken += 1
    return taken


@entry
def sample_costs(tables: Tables, state: State, costs: Ints) -> int:
    """Fill `costs` with the prices above 0 of shifts drawn by chance that fit; return how many were found."""
    movable = tables.movable
    seats = tables.cap.shape[0] * tables.demand.shape[1]
    found = 0
    if movable.shape[0] == 0:
        return 0
    for _ in range(20 * costs.shape[0]):
        if found == costs.shape[0]:
            break
        g = movable[below(state.random, movable.shape[0])]
        seat = below(state.random, seats)
        if seat == state.place[g] or not may_go(tables, g, seat) or not fits(tables, state, g, seat):
            continue
        cost = shift_cost(tables, state, g, seat)
        if cost > 0:
            costs[found] = cost
            found += 1
    return found
