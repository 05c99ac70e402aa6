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
def try_shift(tables: Tables, state: State, g: int, seat: int, worst: int) -> bool:
    """Move a guest to a seat when that may be and its cost passes; tell whether it was done."""
    if seat == state.place[g] or not may_go(tables, g, seat) or not fits(tables, state, g, seat):
        return False
    if _settled(tables, state, g) and not has_extras(tables) and shift_cost(tables, state, g, seat) > worst:
        return False
    if not forms_allow(tables, state, g, seat // tables.demand.shape[1]):
        return False
    mark = state.trail_length[0]
    repair, left, goal = repair_of(state.totals), state.totals[LEFT], state.totals[GOAL]
    put(tables, state, g, seat)
    if may_stay(tables, state, mark) and better_or_near(state, repair, left, goal, worst):
        return True
    take_back(tables, state, mark)
    return False


@compiled
def has_extras(tables: Tables) -> bool:
    """Tell whether quick prices leave something out that could make a move cheaper: soft forms or crowds."""
    return tables.figures[EXTRAS] != 0


@compiled
def try_swap(tables: Tables, state: State, g: int, other: int, worst: int) -> bool:
    """Let two guests change hosts when that may be and its cost passes; tell whether it was done."""
    a, b = state.host[g], state.host[other]
    modes = tables.demand.shape[1]
    seat, back = b * modes + state.place[g] % modes, a * modes + state.place[other] % modes
    if a == b or not may_go(tables, g, seat) or not may_go(tables, other, back):
        return False
    if not swap_fits(tables, state, g, other):
        return False
    if (
        _settled(tables, state, g)
        and _settled(tables, state, other)
        and not has_extras(tables)
        and swap_cost(tables, state, g, other) > worst
    ):
        return False
    mark = state.trail_length[0]
    repair, left, goal = repair_of(state.totals), state.totals[LEFT], state.totals[GOAL]
    put(tables, state, g, seat)
    put(tables, state, other, back)
    if may_stay(tables, state, mark) and better_or_near(state, repair, left, goal, worst):
        return True
    take_back(tables, state, mark)
    return False


@compiled
def try_instead(tables: Tables, state: State, g: int, seat: int, worst: int) -> bool:
    """Take a move drawn by chance back and make another in its place; tell whether it was done."""
    moves = state.totals[MOVES]
    if moves == 0 or seat == state.place[g] or not may_go(tables, g, seat):
        return False
    undone = state.moved[below(state.random, moves)]
    if undone == g or not may_go(tables, undone, tables.home[undone]):
        return False
    if not fits(tables, state, undone, tables.home[undone]):
        return False
    mark = state.trail_length[0]
    repair, left, goal = repair_of(state.totals), state.totals[LEFT], state.totals[GOAL]
    put(tables, state, undone, tables.home[undone])
    if fits(tables, state, g, seat) and forms_allow(tables, state, g, seat // tables.demand.shape[1]):
        gained = goal - state.totals[GOAL]
        quick = _settled(tables, state, g) and not has_extras(tables)
        if not quick or shift_cost(tables, state, g, seat) <= worst + gained:
            put(tables, state, g, seat)
            if may_stay(tables, state, mark) and better_or_near(state, repair, left, goal, worst):
                return True
    take_back(tables, state, mark)
    return False


@entry
def anneal(tables: Tables, state: State, steps: int, temperature: float, swaps: int) -> int:
    """Make `steps` proposals at a temperature (of the goal's unit), `swaps` of 1024 being swaps; return those taken."""
    movable = tables.movable
    seats = tables.cap.shape[0] * tables.demand.shape[1]
    taken = 0
    if movable.shape[0] == 0:
        return 0
    for _ in range(steps):
        state.trail_length[0] = 0
        worst = 0
        if temperature > 0:
            worst = int(-temperature * log(unit(state.random)))
        g = movable[below(state.random, movable.shape[0])]
        kind = below(state.random, 1024)
        if kind < swaps:
            other = movable[below(state.random, movable.shape[0])]
            if try_swap(tables, state, g, other, worst):
                taken += 1
            continue
        seat = below(state.random, seats)
        if kind < swaps + 32 and state.totals[MOVES] > 0:
            g = state.moved[below(state.random, state.totals[MOVES])]
            seat = tables.home[g]
        if state.totals[MOVES] >= tables.figures[MAX_MOVES] and state.place[g] == tables.home[g]:
            done = try_instead(tables, state, g, seat, worst)
        else:
            done = try_shift(tables, state, g, seat, worst)
        if done:
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
