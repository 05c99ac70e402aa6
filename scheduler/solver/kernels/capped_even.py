"""Simulated annealing where moves are few and evenness alone counts: the proposals of `capped`, weighed as fractions.

A proposal is up to two guests and where each goes. It is weighed by `even`, then asked whether it has room, and put
only when it passes; what forms and caps say of it is told by putting it. Guests to exchange with or to take instead
are the best fitting of a few.
"""

from __future__ import annotations

import numpy as np

from scheduler.solver.kernels.compiled import compiled, entry
from scheduler.solver.kernels.dice import below, draw31
from scheduler.solver.kernels.even import Even, change_at, read_use
from scheduler.solver.kernels.few import STEER_EVERY, Few, note_best, passes, steer
from scheduler.solver.kernels.moves import forms_allow, may_go, may_stay, repair_of
from scheduler.solver.kernels.state import GOAL, LEFT, MIB, MOVES, State, put
from scheduler.solver.kernels.tables import MAX_MIB, MAX_MOVES, Tables

ONE_MORE, RELOCATE, INSTEAD = 307, 205, 819
"""Of 1024 draws, while the cap allows, those below the first move any guest. Of the others, those below the second
move a moved guest, those below the third take one back for another, and the rest exchange the targets of two."""
HOME, SAME_HOME, SAME_TARGET = 20, 700, 600
"""Of 1024: a moved guest goes home; the other guest comes from the same host; it goes to where the first one was."""
DRAWS = 6
"""Hosts drawn for a guest until one has room."""
FITTED = 8
"""Guests looked at for the one that fits best."""
FAR = 1e300


@compiled
def _has_room(tables: Tables, state: State, even: Even, g: int, h: int, leaving: int, coming: int) -> bool:
    """Whether a host has room for a guest, once another (-1: none) has left it and another one has come."""
    foreign = state.came[h] > 0 or tables.home[g] != h or coming >= 0
    most = tables.headroom if foreign else tables.cap
    if even.bare[0]:
        most = even.most if foreign else even.most_native
    for r in range(state.use.shape[1]):
        use = state.use[h, r] + tables.demand[g, 0, r]
        if leaving >= 0:
            use -= tables.demand[leaving, 0, r]
        if coming >= 0:
            use += tables.demand[coming, 0, r]
        if use > most[h, r]:
            return False
    return True


@compiled
def _host_for(tables: Tables, state: State, even: Even, g: int) -> int:
    """Draw hosts for a guest until one has room; return it, or where it is when none has."""
    here: int = state.host[g]
    for _ in range(DRAWS):
        h: int = below(state.random, tables.cap.shape[0])
        if h != here and may_go(tables, g, h) and _has_room(tables, state, even, g, h, -1, -1):
            return h
    return here


@compiled
def _native_instead(tables: Tables, state: State, even: Even, few: Few, g: int) -> int:
    """Return the guest of a moved guest's home that would best go where that one is; -1 where all have moved."""
    home, target = tables.home[g], state.host[g]
    start, many = few.first[home], few.first[home + 1] - few.first[home]
    drawn = below(state.random, many)
    best, least = -1, FAR
    for k in range(min(FITTED, many)):
        at = drawn + k
        other = few.natives[start + (at if at < many else at - many)]
        if state.moved_at[other] >= 0:
            continue
        first = even.demand[g, 0] - even.demand[other, 0]
        second = even.demand[g, 1] - even.demand[other, 1]
        energy = change_at(even, home, first, second) + change_at(even, target, -first, -second)
        energy += few.price[0] * tables.mib[other]
        if energy < least:
            best, least = other, energy
    return best


@compiled
def _partner(state: State, even: Even, g: int) -> int:
    """Return the moved guest that a moved guest would best exchange targets with; -1 for none."""
    target, many = state.host[g], state.totals[MOVES]
    drawn = below(state.random, many)
    best, least = -1, FAR
    for k in range(min(FITTED, many)):
        at = drawn + k
        other = state.moved[at if at < many else at - many]
        h = state.host[other]
        if h == target:
            continue
        first = even.demand[g, 0] - even.demand[other, 0]
        second = even.demand[g, 1] - even.demand[other, 1]
        energy = change_at(even, target, -first, -second) + change_at(even, h, first, second)
        if energy < least:
            best, least = other, energy
    return best


@compiled
def _propose(tables: Tables, state: State, even: Even, few: Few) -> int:
    """Draw a proposal into `few.guest` and `few.seat`; return how many guests it moves, 0 for none."""
    moves, random = state.totals[MOVES], state.random
    drawn = draw31(random)
    kind, near, same = drawn & 1023, (drawn >> 10) & 1023, (drawn >> 20) & 1023
    other, to = -1, -1
    if moves < tables.figures[MAX_MOVES] and kind < ONE_MORE:
        g = few.natives[below(random, few.natives.shape[0])]
        h = _host_for(tables, state, even, g)
    elif moves == 0:
        return 0
    else:
        g = state.moved[below(random, moves)]
        h = tables.home[g]
        if kind < RELOCATE:
            if near >= HOME:
                h = _host_for(tables, state, even, g)
        elif kind < INSTEAD:
            to = state.host[g]
            if near < SAME_HOME and same < SAME_TARGET:
                other = _native_instead(tables, state, even, few, g)
            elif near < SAME_HOME:
                other = few.natives[few.first[h] + below(random, few.first[h + 1] - few.first[h])]
            else:
                other = few.natives[below(random, few.natives.shape[0])]
            if other < 0 or state.moved_at[other] >= 0:
                return 0
            if same >= SAME_TARGET:
                to = _host_for(tables, state, even, other)
            if to == state.host[other] or not may_go(tables, other, to):
                return 0
        else:
            other = _partner(state, even, g)
            if other < 0:
                return 0
            h, to = state.host[other], state.host[g]
            if not may_go(tables, g, h) or not may_go(tables, other, to):
                return 0
    if h == state.host[g]:
        return 0
    few.guest[0], few.seat[0], few.guest[1], few.seat[1] = g, h, other, to
    return 1 if other < 0 else 2


@compiled
def _moved_by(tables: Tables, state: State, g: int, h: int) -> int:
    """Return 1 when a guest is moved by going to a host, -1 when it is home again by that, else 0."""
    return (1 if h != tables.home[g] else 0) - (1 if state.moved_at[g] >= 0 else 0)


@compiled
def _weigh(tables: Tables, state: State, even: Even, few: Few, many: int) -> tuple[float, int]:
    """Return the change of the goal by the proposal, and that of the MiB moved."""
    change, mib = 0.0, 0
    for i in range(many):
        g, h = few.guest[i], few.seat[i]
        first, second = even.demand[g, 0], even.demand[g, 1]
        change += change_at(even, state.host[g], -first, -second) + change_at(even, h, first, second)
        moved = _moved_by(tables, state, g, h)
        change += moved * tables.price[g]
        mib += moved * tables.mib[g]
    if many == 2:
        # Where both come to a host, or go from it, there is twice the product of the two changes more.
        g, other = few.guest[0], few.guest[1]
        for end in range(4):
            h = state.host[g] if end & 1 else few.seat[0]
            if h == (state.host[other] if end & 2 else few.seat[1]):
                product = even.demand[g, 0] * even.demand[other, 0] * even.scale[h, 0] * even.scale[h, 0]
                product += even.demand[g, 1] * even.demand[other, 1] * even.scale[h, 1] * even.scale[h, 1]
                change += 2.0 * product if end == 0 or end == 3 else -2.0 * product
    return change, mib


@compiled
def _fits(tables: Tables, state: State, even: Even, few: Few, many: int) -> bool:
    """Whether there is room for the proposal and, of a single guest, whether forms allow it."""
    g, h = few.guest[0], few.seat[0]
    if many == 1:
        return _has_room(tables, state, even, g, h, -1, -1) and forms_allow(tables, state, g, h)
    other, to = few.guest[1], few.seat[1]
    if h == to:
        return _has_room(tables, state, even, g, h, -1, other)
    if not _has_room(tables, state, even, g, h, other if state.host[other] == h else -1, -1):
        return False
    return _has_room(tables, state, even, other, to, g if state.host[g] == to else -1, -1)


@compiled
def _make(tables: Tables, state: State, few: Few, many: int) -> bool:
    """Make the proposal unless it may not stay; tell whether it was made."""
    state.trail_length[0] = 0
    for step in range(2 * many):
        if step == many and repair_of(state.totals) == 0 and state.totals[LEFT] == 0 and may_stay(tables, state, 0):
            return True
        # The second half takes back: what puts a guest is large and stands here once.
        at = 2 * many - 1 - step
        seat = few.seat[step] if step < many else state.trail[at, 1]
        put(tables, state, few.guest[step] if step < many else state.trail[at, 0], seat)
    state.trail_length[0] = 0
    return False


@compiled
def _make_bare(tables: Tables, state: State, few: Few, many: int, change: float) -> None:
    """Make the proposal in what this walk reads of the state, and nowhere else."""
    for i in range(many):
        g, h = few.guest[i], few.seat[i]
        a, home = state.host[g], tables.home[g]
        for r in range(state.use.shape[1]):
            state.use[a, r] -= tables.demand[g, 0, r]
            state.use[h, r] += tables.demand[g, 0, r]
        state.host[g] = h
        state.place[g] = h
        state.came[a] -= 1 if a != home else 0
        state.came[h] += 1 if h != home else 0
        if a == home:
            state.moved_at[g] = state.totals[MOVES]
            state.moved[state.totals[MOVES]] = g
            state.totals[MOVES] += 1
            state.totals[MIB] += tables.mib[g]
        elif h == home:
            state.totals[MOVES] -= 1
            state.totals[MIB] -= tables.mib[g]
            last = state.moved[state.totals[MOVES]]
            state.moved[state.moved_at[g]] = last
            state.moved_at[last] = state.moved_at[g]
            state.moved_at[g] = -1
    state.totals[GOAL] += np.int64(change)


@entry
def anneal_even(tables: Tables, state: State, even: Even, few: Few, steps: int, temperature: float) -> int:
    """Make `steps` proposals at a temperature (of the goal's unit), keeping the best met; return those made.

    Nothing is broken, overloaded or to be left, and `even` is read from the state. Where `even.bare` the state is good
    for nothing else afterwards: costs and guests of hosts are not kept up to date, and the goal is but nearly so.
    """
    taken = 0
    if few.natives.shape[0] == 0 or tables.figures[MAX_MOVES] <= 0:
        return 0
    for step in range(steps):
        if step % STEER_EVERY == 0:
            steer(state, few)
        many = _propose(tables, state, even, few)
        if many == 0:
            continue
        change, mib = _weigh(tables, state, even, few, many)
        if mib > 0 and state.totals[MIB] + mib > tables.figures[MAX_MIB]:
            continue
        if not passes(state, change + few.price[0] * mib, temperature) or not _fits(tables, state, even, few, many):
            continue
        a, b = state.host[few.guest[0]], state.host[few.guest[1]]
        if even.bare[0]:
            _make_bare(tables, state, few, many, change)
        elif not _make(tables, state, few, many):
            continue
        taken += 1
        for i in range(many):
            read_use(tables, state, even, b if i else a)
            read_use(tables, state, even, few.seat[i])
        note_best(state, few)
    state.trail_length[0] = 0
    return taken
