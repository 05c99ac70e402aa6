"""Set exchanges: up to two guests of a host against up to three of another, all at once.

Where hardly anything is uneven any more, what is left sits on hosts whose large guests do not add up to the mean. No
guest or pair of guests can leave them on the way to something better: only whole sets can. For goals of evenness alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scheduler.solver.forms import Ints
from scheduler.solver.kernels.compiled import compiled, entry, example
from scheduler.solver.kernels.even import Even, Figures, change_at, read_use
from scheduler.solver.kernels.few import Few
from scheduler.solver.kernels.moves import may_go, may_stay, repair_of
from scheduler.solver.kernels.state import GOAL, LEFT, MIB, MOVES, State, put, take_back
from scheduler.solver.kernels.tables import MAX_MIB, MAX_MOVES, Tables

MOST_SETS = 256
"""Sets listed of one host: of up to three guests while there are at most 11 of them, of up to two at most 22."""
LEAVING, COMING = 2, 3
"""Guests of the largest set that leaves the host to be relieved, and of the largest that comes instead."""
SPARES = 8
"""Moves known that could be taken back, where the cap leaves too few for an exchange."""


class Sets(NamedTuple):
    """Scratch. `members` int64[2, sets, 3] are the guests of each set (-1: none) of either host.

    `demand` float64[2, sets, 2] is what a set takes of the two resources, `mib` and `moves` int64[2, sets] by how much
    those moved grow, `price` float64[2, sets] what the goal has for that; `many` int64[2] sets are listed. `spare`
    int64[SPARES] are the moves whose taking back costs least, `spare_cost` float64[SPARES + 1] what the first so many
    of them cost. `chosen` int64[6] is the exchange found.
    """

    members: Ints
    demand: Figures
    mib: Ints
    moves: Ints
    price: Figures
    many: Ints
    spare: Ints
    spare_cost: Figures
    chosen: Ints


def make_sets() -> Sets:
    """Return the scratch for one thread."""
    return Sets(
        members=np.zeros((2, MOST_SETS, 3), dtype=np.int64),
        demand=np.zeros((2, MOST_SETS, 2), dtype=np.float64),
        mib=np.zeros((2, MOST_SETS), dtype=np.int64),
        moves=np.zeros((2, MOST_SETS), dtype=np.int64),
        price=np.zeros((2, MOST_SETS), dtype=np.float64),
        many=np.zeros(2, dtype=np.int64),
        spare=np.zeros(SPARES, dtype=np.int64),
        spare_cost=np.zeros(SPARES + 1, dtype=np.float64),
        chosen=np.zeros(6, dtype=np.int64),
    )


example(Sets, lambda tables: make_sets())


@compiled
def _add(tables: Tables, state: State, even: Even, sets: Sets, side: int, base: int, g: int, h: int) -> None:
    """List a set with one guest more, which goes to host h."""
    n = sets.many[side]
    sets.many[side] = n + 1
    size = 0
    for i in range(3):
        sets.members[side, n, i] = sets.members[side, base, i]
        if sets.members[side, n, i] >= 0:
            size = i + 1
    sets.members[side, n, size] = g
    for k in range(2):
        sets.demand[side, n, k] = sets.demand[side, base, k] + even.demand[g, k]
    moved = (1 if h != tables.home[g] else 0) - (1 if state.moved_at[g] >= 0 else 0)
    sets.moves[side, n] = sets.moves[side, base] + moved
    sets.mib[side, n] = sets.mib[side, base] + moved * tables.mib[g]
    sets.price[side, n] = sets.price[side, base] + moved * tables.price[g]


@compiled
def _list_sets(tables: Tables, state: State, even: Even, sets: Sets, side: int, h: int, to: int, largest: int) -> None:
    """List the sets of a host's guests that may go to another host, the empty set first."""
    sets.many[side] = 1
    for i in range(3):
        sets.members[side, 0, i] = -1
    for k in range(2):
        sets.demand[side, 0, k] = 0.0
    sets.moves[side, 0] = 0
    sets.mib[side, 0] = 0
    sets.price[side, 0] = 0.0
    g = state.head[h]
    while g >= 0:
        if sets.many[side] < MOST_SETS and may_go(tables, g, to):
            _add(tables, state, even, sets, side, 0, g, to)
        g = state.after[g]
    alone = sets.many[side]
    first, end = 1, alone
    for size in range(2, largest + 1):
        many = (alone - 1) * (alone - 2) // 2 * (1 if size == 2 else alone - 3) // (1 if size == 2 else 3)
        if sets.many[side] + many > MOST_SETS:
            return
        for base in range(first, end):
            last = sets.members[side, base, size - 2]
            after = False
            for n in range(1, alone):
                if after:
                    _add(tables, state, even, sets, side, base, sets.members[side, n, 0], to)
                after = after or sets.members[side, n, 0] == last
        first, end = end, sets.many[side]


@compiled
def _within(tables: Tables, even: Even, state: State, sets: Sets, a: int, n: int, b: int, m: int) -> bool:
    """Whether both hosts have room for an exchange of sets n and m."""
    for r in range(state.use.shape[1]):
        more = 0
        for i in range(3):
            if sets.members[1, m, i] >= 0:
                more += tables.demand[sets.members[1, m, i], 0, r]
            if sets.members[0, n, i] >= 0:
                more -= tables.demand[sets.members[0, n, i], 0, r]
        if (more > 0 and state.use[a, r] + more > even.most[a, r]) or (
            more < 0 and state.use[b, r] - more > even.most[b, r]
        ):
            return False
    return True


@compiled
def _over(few: Few, mib: int) -> int:
    """Return the MiB above the ceiling."""
    return max(0, mib - few.ceiling[0])


@compiled
def _list_spares(tables: Tables, state: State, even: Even, few: Few, sets: Sets, price: float, a: int) -> int:
    """List the moves that cost least to take back, with what the MiB above the ceiling are worth; return how many."""
    cost, many = sets.spare_cost, 0
    for k in range(state.totals[MOVES]):
        g = state.moved[k]
        h, home = state.host[g], tables.home[g]
        if h == a or home == a:
            continue
        first, second = even.demand[g, 0], even.demand[g, 1]
        change = change_at(even, h, -first, -second) + change_at(even, home, first, second) - tables.price[g]
        if _over(few, state.totals[MIB]) > 0:
            change -= price * tables.mib[g]
        if many == SPARES and change >= cost[many]:
            continue
        at = many if many < SPARES else SPARES - 1
        while at > 0 and cost[at] > change:
            sets.spare[at] = sets.spare[at - 1]
            cost[at + 1] = cost[at]
            at -= 1
        sets.spare[at], cost[at + 1] = g, change
        many = min(SPARES, many + 1)
    cost[0] = 0.0
    for k in range(many):
        cost[k + 1] = cost[k] + max(0.0, cost[k + 1])
    return many


@compiled
def _best_with(
    tables: Tables,
    state: State,
    even: Even,
    few: Few,
    sets: Sets,
    price: float,
    spares: int,
    a: int,
    b: int,
    least: float,
) -> float:
    """Find the exchange of host a's sets with host b's whose energy changes by less than `least`, and return that."""
    _list_sets(tables, state, even, sets, 0, a, b, LEAVING)
    _list_sets(tables, state, even, sets, 1, b, a, COMING)
    ax, ay, bx, by = even.scale[a, 0], even.scale[a, 1], even.scale[b, 0], even.scale[b, 1]
    square_x, square_y = ax * ax + bx * bx, ay * ay + by * by
    linear_x = 2.0 * (ax * even.off[a, 0] - bx * even.off[b, 0])
    linear_y = 2.0 * (ay * even.off[a, 1] - by * even.off[b, 1])
    free = tables.figures[MAX_MOVES] - state.totals[MOVES]
    mib, over = state.totals[MIB], _over(few, state.totals[MIB])
    for n in range(sets.many[0]):
        for m in range(sets.many[1]):
            x = sets.demand[1, m, 0] - sets.demand[0, n, 0]
            y = sets.demand[1, m, 1] - sets.demand[0, n, 1]
            energy = x * (x * square_x + linear_x) + y * (y * square_y + linear_y)
            energy += sets.price[0, n] + sets.price[1, m]
            if energy >= least:
                continue
            more = sets.mib[0, n] + sets.mib[1, m]
            lacking = max(0, sets.moves[0, n] + sets.moves[1, m] - free)
            if lacking > spares or mib + more > tables.figures[MAX_MIB]:
                continue
            energy += price * (_over(few, mib + more) - over) + sets.spare_cost[lacking]
            if energy < least and _within(tables, even, state, sets, a, n, b, m):
                least = energy
                for i in range(3):
                    sets.chosen[i] = sets.members[0, n, i]
                    sets.chosen[3 + i] = sets.members[1, m, i]
    return least


@entry
def relieve(tables: Tables, state: State, even: Even, few: Few, sets: Sets, price: float, a: int) -> bool:
    """Make the best set exchange of host a with any other; tell whether one was made.

    `price` is energy for each MiB above the ceiling of `few`. Nothing is broken, overloaded or to be left, and `even`
    is read from the state; both are so again afterwards. Whole moves are taken back where the cap is in the way.
    """
    spares = _list_spares(tables, state, even, few, sets, price, a)
    least, b = -1.0, -1
    for h in range(tables.cap.shape[0]):
        if h != a:
            found = _best_with(tables, state, even, few, sets, price, spares, a, h, least)
            if found < least:
                least, b = found, h
    if b < 0:
        return False
    goal, over = state.totals[GOAL], _over(few, state.totals[MIB])
    state.trail_length[0] = 0
    for step in range(6 + spares):
        if step < 6:
            g, to = sets.chosen[step], (b if step < 3 else a)
        else:
            if state.totals[MOVES] <= tables.figures[MAX_MOVES]:
                break
            g = sets.spare[step - 6]
            to = tables.home[g]
        if g >= 0:
            put(tables, state, g, to)
    gained = goal - state.totals[GOAL] - price * (_over(few, state.totals[MIB]) - over)
    good = gained > 0 and repair_of(state.totals) == 0 and state.totals[LEFT] == 0 and may_stay(tables, state, 0)
    if not good:
        take_back(tables, state, 0)
    for k in range(state.trail_length[0]):
        read_use(tables, state, even, state.trail[k, 1])
        read_use(tables, state, even, state.host[state.trail[k, 0]])
    state.trail_length[0] = 0
    return good
