"""The best place for one guest, and for a group that goes as one: what mends broken rules, overload and guests left."""

from __future__ import annotations

from scheduler.solver.forms import Ints
from scheduler.solver.kernels.compiled import compiled, entry
from scheduler.solver.kernels.cost import overload_cost
from scheduler.solver.kernels.groups import change_of_form
from scheduler.solver.kernels.moves import (
    BROKEN_WEIGHT,
    HARD_WEIGHT,
    fits,
    forms_allow,
    may_go,
    may_stay,
    repair_of,
    shift_cost,
)
from scheduler.solver.kernels.state import GOAL, LEFT, MIB, State, put, take_back
from scheduler.solver.kernels.tables import HARD_RANK, SOFT, Tables

NEVER = 1 << 62


@compiled
def repair_change(tables: Tables, state: State, g: int, seat: int) -> int:
    """Return the change of broken rules and overload, in one figure, when a guest goes to a seat."""
    modes = tables.demand.shape[1]
    a, b = state.host[g], seat // modes
    change = 0
    groups = tables.groups
    for e in range(groups.first[g], groups.first[g + 1]):
        f = groups.form[e]
        cells = groups.cell[groups.partition[f]]
        if groups.rank[f] == SOFT or cells[a] == cells[b]:
            continue
        broken = change_of_form(groups, state.counts, state.occupied, f, groups.kind[e], cells[a], cells[b])
        change += broken * (HARD_WEIGHT + 1 if groups.rank[f] == HARD_RANK else 1) * BROKEN_WEIGHT
    if tables.over.shape[0] > 0 and a != b:
        for r in range(state.row.shape[0]):
            state.row[r] = state.use[a, r] - tables.demand[g, state.place[g] % modes, r]
        change += overload_cost(tables, a, state.row) - state.over[a]
        for r in range(state.row.shape[0]):
            state.row[r] = state.use[b, r] + tables.demand[g, seat % modes, r]
        change += overload_cost(tables, b, state.row) - state.over[b]
    return change


@compiled
def best_seat(tables: Tables, state: State, g: int, barred: int) -> int:
    """Return the seat, not on host `barred`, that is best for a guest, or -1 when no seat is better than its own.

    Better is less repair, then less left, then less cost, then fewer MiB moved; ties go to the lowest seat.
    """
    modes = tables.demand.shape[1]
    here = state.place[g]
    a = state.host[g]
    best, best_repair, best_left, best_cost, best_mib = -1, 0, 0, 0, 0
    for h in range(tables.cap.shape[0]):
        if h == barred:
            continue
        left = 0
        if tables.left[a]:
            left -= tables.left_weight[g]
        if tables.left[h]:
            left += tables.left_weight[g]
        for mode in range(modes):
            seat = h * modes + mode
            if seat == here or not may_go(tables, g, seat) or not fits(tables, state, g, seat):
                continue
            if not forms_allow(tables, state, g, h):
                continue
            repair = repair_change(tables, state, g, seat)
            if repair > best_repair or (repair == best_repair and left > best_left):
                continue
            cost = shift_cost(tables, state, g, seat)
            mib = 0
            if seat == tables.home[g]:
                mib = -tables.mib[g]
            elif here == tables.home[g]:
                mib = tables.mib[g]
            same = repair == best_repair and left == best_left
            if same and (cost > best_cost or (cost == best_cost and mib >= best_mib)):
                continue
            best, best_repair, best_left, best_cost, best_mib = seat, repair, left, cost, mib
    return best


@entry
def mend_each(tables: Tables, state: State, guests: Ints) -> int:
    """Move each of `guests` int64[n] to its best seat where that is better by the totals; return how many moved."""
    done = 0
    for i in range(guests.shape[0]):
        g = guests[i]
        if tables.mask_of[g] < 0:
            continue
        state.trail_length[0] = 0
        seat = best_seat(tables, state, g, -1)
        if seat < 0:
            continue
        if put_if_better(tables, state, g, seat):
            done += 1
    return done


@compiled
def put_if_better(tables: Tables, state: State, g: int, seat: int) -> bool:
    """Move a guest to a seat where that is better by the totals; tell whether it was. The trail is to be empty."""
    repair, left = repair_of(state.totals), state.totals[LEFT]
    goal, mib = state.totals[GOAL], state.totals[MIB]
    put(tables, state, g, seat)
    if may_stay(tables, state, 0) and is_better(state, repair, left, goal, mib):
        return True
    take_back(tables, state, 0)
    return False


@compiled
def is_better(state: State, repair: int, left: int, goal: int, mib: int) -> bool:
    """Tell whether the totals are less than (repair, left, goal, MiB moved)."""
    now = repair_of(state.totals)
    if now != repair:
        return now < repair
    if state.totals[LEFT] != left:
        return state.totals[LEFT] < left
    if state.totals[GOAL] != goal:
        return state.totals[GOAL] < goal
    return state.totals[MIB] < mib


@entry
def move_group(tables: Tables, state: State, guests: Ints) -> bool:
    """Move all of `guests` to the one host where that is best, when it is better than now; tell whether it was done."""
    modes = tables.demand.shape[1]
    for i in range(guests.shape[0]):
        if tables.mask_of[guests[i]] < 0:
            return False
    state.trail_length[0] = 0
    repair, left = repair_of(state.totals), state.totals[LEFT]
    goal, mib = state.totals[GOAL], state.totals[MIB]
    best = -1
    for h in range(tables.cap.shape[0]):
        if _all_to(tables, state, guests, h, modes) and is_better(state, repair, left, goal, mib):
            best, repair, left = h, repair_of(state.totals), state.totals[LEFT]
            goal, mib = state.totals[GOAL], state.totals[MIB]
        take_back(tables, state, 0)
    return best >= 0 and _all_to(tables, state, guests, best, modes)


@compiled
def _all_to(tables: Tables, state: State, guests: Ints, h: int, modes: int) -> bool:
    """Put guests onto a host, each in the first mode that fits; tell whether they may all be there."""
    for i in range(guests.shape[0]):
        g = guests[i]
        if state.host[g] == h:
            continue
        placed = False
        for mode in range(modes):
            if not placed and may_go(tables, g, h * modes + mode) and fits(tables, state, g, h * modes + mode):
                put(tables, state, g, h * modes + mode)
                placed = True
        if not placed:
            return False
    return may_stay(tables, state, 0)
