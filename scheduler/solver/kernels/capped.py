"""Simulated annealing where moves are few: proposals that spend the cap on moves in another way, for any goal.

Proposals: a moved guest goes elsewhere, a moved guest goes home and another one leaves its home, two moved guests
exchange their targets. Where evenness alone counts, `capped_even` does the same many times as fast.
"""

from __future__ import annotations

from scheduler.solver.forms import Ints
from scheduler.solver.kernels.anneal import better_or_near, has_extras
from scheduler.solver.kernels.compiled import compiled, entry
from scheduler.solver.kernels.cost import host_cost
from scheduler.solver.kernels.dice import below
from scheduler.solver.kernels.few import STEER_EVERY, Few, note_best, passes, steer
from scheduler.solver.kernels.moves import forms_allow, may_go, may_stay, price_change, repair_of
from scheduler.solver.kernels.state import BROKEN, GOAL, LEFT, MIB, MOVES, OVERLOAD, State, can_sleep, put, take_back
from scheduler.solver.kernels.tables import MAX_MOVES, Tables

SWAP, ONE_MORE, RELOCATE, INSTEAD = 32, 307, 205, 819
"""Of 1024 draws, while the cap allows: those below the first exchange any two guests, those below the second move any
one. Of the others, those below the third move a moved guest, those below the fourth take one back for another, and the
rest exchange the targets of two."""
HOME, SAME_HOME, SAME_TARGET = 20, 512, 400
"""Of 1024: a moved guest goes home; the other guest comes from the same host; it goes to where the first one was."""
DRAWS = 6
"""Seats drawn for a guest until one has room."""


@compiled
def _has_room(tables: Tables, state: State, g: int, seat: int) -> bool:
    """Whether a host has room now for a guest from another host, roughly: `may_stay` decides."""
    modes = tables.demand.shape[1]
    h, mode = seat // modes, seat % modes
    for i in range(tables.columns.shape[0]):
        r = tables.columns[i]
        if state.use[h, r] + tables.demand[g, mode, r] > tables.cap[h, r]:
            return False
    return True


@compiled
def _mode_for(tables: Tables, state: State, g: int, wanted: int) -> int:
    """Return a mode that a guest has: the one wanted, or one drawn by chance."""
    modes = tables.demand.shape[1]
    mode = wanted
    for _ in range(16):
        if mode >= 0 and tables.usable[g, mode]:
            return mode
        mode = below(state.random, modes)
    at_home: int = tables.home[g] % modes
    return at_home


@compiled
def _seat_for(tables: Tables, state: State, g: int) -> int:
    """Draw seats for a guest until one has room; return it, or where it is when none has."""
    hosts, modes = tables.cap.shape[0], tables.demand.shape[1]
    here: int = state.place[g]
    for _ in range(DRAWS):
        mode = 0
        if modes > 1:
            mode = _mode_for(tables, state, g, -1)
        seat: int = below(state.random, hosts) * modes + mode
        if seat != here and may_go(tables, g, seat) and _has_room(tables, state, g, seat):
            return seat
    return here


@compiled
def _exchange(tables: Tables, state: State, few: Few, g: int, other: int) -> int:
    """Propose that two guests change hosts; return how many guests that moves, 0 when it may not be."""
    modes = tables.demand.shape[1]
    if state.host[other] == state.host[g]:
        return 0
    few.guest[0], few.guest[1] = g, other
    few.seat[0] = state.host[other] * modes + _mode_for(tables, state, g, state.place[other] % modes)
    few.seat[1] = state.host[g] * modes + _mode_for(tables, state, other, state.place[g] % modes)
    return 2 if may_go(tables, g, few.seat[0]) and may_go(tables, other, few.seat[1]) else 0


@compiled
def _propose(tables: Tables, state: State, few: Few) -> int:
    """Draw a proposal into `few.guest` and `few.seat`; return how many guests it moves, 0 for none."""
    moves, random = state.totals[MOVES], state.random
    modes = tables.demand.shape[1]
    kind = below(random, 1024)
    if moves < tables.figures[MAX_MOVES] and kind < ONE_MORE:
        g = few.natives[below(random, few.natives.shape[0])]
        if kind < SWAP:
            return _exchange(tables, state, few, g, few.natives[below(random, few.natives.shape[0])])
        few.guest[0], few.seat[0] = g, _seat_for(tables, state, g)
        return 1 if few.seat[0] != state.place[g] else 0
    if moves == 0:
        return 0
    g = state.moved[below(random, moves)]
    few.guest[0] = g
    if kind < RELOCATE:
        few.seat[0] = tables.home[g]
        if below(random, 1024) >= HOME:
            few.seat[0] = _seat_for(tables, state, g)
        return 1 if few.seat[0] != state.place[g] else 0
    if kind < INSTEAD:
        few.seat[0] = tables.home[g]
        h = tables.home[g] // modes
        if below(random, 1024) < SAME_HOME:
            other = few.natives[few.first[h] + below(random, few.first[h + 1] - few.first[h])]
        else:
            other = few.natives[below(random, few.natives.shape[0])]
        if state.moved_at[other] >= 0:
            return 0
        few.guest[1] = other
        if below(random, 1024) < SAME_TARGET:
            few.seat[1] = state.host[g] * modes + _mode_for(tables, state, other, state.place[g] % modes)
        else:
            few.seat[1] = _seat_for(tables, state, other)
        return 2 if few.seat[1] != state.place[other] and may_go(tables, other, few.seat[1]) else 0
    return _exchange(tables, state, few, g, state.moved[below(random, moves)])


@compiled
def _shift_use(tables: Tables, state: State, g: int, old: int, seat: int) -> None:
    modes = tables.demand.shape[1]
    a, b, was, mode = old // modes, seat // modes, old % modes, seat % modes
    for r in range(state.use.shape[1]):
        state.use[a, r] -= tables.demand[g, was, r]
        state.use[b, r] += tables.demand[g, mode, r]


@compiled
def _goal_change(tables: Tables, state: State, few: Few, many: int) -> int:
    """Return the change of the goal by the proposal, without soft forms and crowds; the use is changed already."""
    modes = tables.demand.shape[1]
    change = 0
    touched = 0
    for i in range(many):
        change += price_change(tables, state, few.guest[i], few.seat[i])
        for end in range(2):
            h = state.host[few.guest[i]] if end == 0 else few.seat[i] // modes
            known = False
            for k in range(touched):
                if few.host[k] == h:
                    known = True
            if not known:
                few.host[touched] = h
                touched += 1
    for k in range(touched):
        h = few.host[k]
        now = host_cost(tables.terms, h, state.use[h])
        if tables.may_sleep[h]:
            guests = state.count[h]
            for i in range(many):
                guests += (1 if few.seat[i] // modes == h else 0) - (1 if state.host[few.guest[i]] == h else 0)
            if guests == 0 and (state.asleep[h] or can_sleep(tables, state, h)):
                now = tables.asleep_cost[h]
        change += now - (tables.asleep_cost[h] if state.asleep[h] else state.cost[h])
    return change


@compiled
def _within(tables: Tables, state: State, few: Few, many: int) -> bool:
    """Whether every host that receives a guest is within its cap; the use is changed already."""
    modes = tables.demand.shape[1]
    for i in range(many):
        h = few.seat[i] // modes
        foreign = state.came[h] > 0 or tables.home[few.guest[i]] // modes != h
        most = tables.headroom if foreign else tables.cap
        for j in range(tables.columns.shape[0]):
            r = tables.columns[j]
            if state.use[h, r] > most[h, r]:
                return False
    return True


@compiled
def _mib_change(tables: Tables, state: State, few: Few, many: int) -> int:
    change = 0
    for i in range(many):
        g = few.guest[i]
        change += tables.mib[g] * ((1 if few.seat[i] != tables.home[g] else 0) - (1 if state.moved_at[g] >= 0 else 0))
    return change


@compiled
def _make(tables: Tables, state: State, few: Few, many: int) -> None:
    state.trail_length[0] = 0
    for i in range(many):
        put(tables, state, few.guest[i], few.seat[i])


@compiled
def _try(tables: Tables, state: State, few: Few, many: int, temperature: float) -> bool:
    """Price the proposal and make it when it passes and may stay; tell whether it was made."""
    totals = state.totals
    quick = not has_extras(tables) and totals[BROKEN] == 0 and totals[OVERLOAD] == 0 and totals[LEFT] == 0
    if quick:
        for i in range(many):
            _shift_use(tables, state, few.guest[i], state.place[few.guest[i]], few.seat[i])
        energy = _goal_change(tables, state, few, many) + few.price[0] * _mib_change(tables, state, few, many)
        good = passes(state, energy, temperature) and _within(tables, state, few, many)
        for i in range(many):
            _shift_use(tables, state, few.guest[i], few.seat[i], state.place[few.guest[i]])
        if not good:
            return False
    if many == 1 and not forms_allow(tables, state, few.guest[0], few.seat[0] // tables.demand.shape[1]):
        return False
    repair, left, goal, mib = repair_of(totals), totals[LEFT], totals[GOAL], totals[MIB]
    _make(tables, state, few, many)
    if may_stay(tables, state, 0):
        if quick:
            # Only a sleeping host whose reserve was needed twice makes the true change another one.
            change = totals[GOAL] - goal + few.price[0] * (totals[MIB] - mib)
            if change <= max(energy, 0.0) and better_or_near(state, repair, left, goal, abs(totals[GOAL] - goal)):
                return True
        elif repair_of(totals) != repair or totals[LEFT] != left:
            if better_or_near(state, repair, left, goal, 0):
                return True
        elif passes(state, totals[GOAL] - goal + few.price[0] * (totals[MIB] - mib), temperature):
            return True
    take_back(tables, state, 0)
    return False


@entry
def anneal_few(tables: Tables, state: State, few: Few, steps: int, temperature: float) -> int:
    """Make `steps` proposals at a temperature (of the goal's unit), keeping the best met; return those made."""
    taken = 0
    if few.natives.shape[0] == 0 or tables.figures[MAX_MOVES] <= 0:
        return 0
    for step in range(steps):
        if step % STEER_EVERY == 0:
            steer(state, few)
        many = _propose(tables, state, few)
        if many > 0 and _try(tables, state, few, many, temperature):
            taken += 1
            note_best(state, few)
    state.trail_length[0] = 0
    return taken


@entry
def sample_few(tables: Tables, state: State, few: Few, costs: Ints) -> int:
    """Fill `costs` with the goal's rises by proposals drawn by chance; return how many were found."""
    found = 0
    if few.natives.shape[0] == 0 or tables.figures[MAX_MOVES] <= 0:
        return 0
    for _ in range(20 * costs.shape[0]):
        if found == costs.shape[0]:
            break
        many = _propose(tables, state, few)
        for i in range(many):
            _shift_use(tables, state, few.guest[i], state.place[few.guest[i]], few.seat[i])
        if many > 0:
            change = _goal_change(tables, state, few, many)
            if change > 0 and _within(tables, state, few, many):
                costs[found] = change
                found += 1
        for i in range(many):
            _shift_use(tables, state, few.guest[i], few.seat[i], state.place[few.guest[i]])
    return found
