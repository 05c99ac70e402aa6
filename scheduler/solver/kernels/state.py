"""A placement under change: use, costs and counts, all kept up to date by `put`, which moves one guest.

`totals` are the value of the placement in the order of `evaluate.Value`, which with the same sleeping hosts they equal
to the unit after any sequence of moves; then by how much binding forms and caps on groups are passed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scheduler.solver.forms import Bools, Index, Ints
from scheduler.solver.kernels.compiled import compiled, entry
from scheduler.solver.kernels.cost import host_cost, overload_cost
from scheduler.solver.kernels.groups import change_of_form, occupy
from scheduler.solver.kernels.tables import (
    AT_LEAST,
    CONSTANT,
    CROWD_WEIGHT,
    HARD_RANK,
    OUTSIDE,
    SOFT,
    TOGETHER,
    WITHIN,
    Groups,
    Tables,
)

HARD, BROKEN, OVERLOAD, LEFT, GOAL, MIB, MOVES, WORSE, CAPPED = range(9)


class State(NamedTuple):
    """Mutable arrays of a placement; a trail of (guest, seat before) lets a sequence of moves be taken back.

    `use` int64[hosts, resources]; `gone` int64[hosts, held resources] is what guests that left home took there.
    Guests of a host are a ring: `head`, `after`, `before`. `came` counts guests of a host that started elsewhere.
    `cost` and `over` int64[hosts] are the terms and the overload; `asleep` bool[hosts]; `spare` int64[k] is what hosts
    on offer beyond the need. `moved[: totals[MOVES]]` are the guests moved. `random` uint64[1]. `row` is scratch.
    """

    place: Ints
    host: Ints
    use: Ints
    gone: Ints
    count: Ints  # type: ignore[assignment]  # a tuple's method of that name, which nothing here calls
    came: Ints
    head: Ints
    after: Ints
    before: Ints
    cost: Ints
    over: Ints
    asleep: Bools
    spare: Ints
    counts: NDArray[np.int32]
    broken: Ints
    occupied: Ints
    cap_moved: Ints
    crowd_moved: Ints
    crowd_with: Ints
    crowd_most: Ints
    moved: Ints
    moved_at: Ints
    totals: Ints
    trail: Ints
    trail_length: Ints
    random: NDArray[np.uint64]
    row: Ints


def make_state(tables: Tables, place: Index, seed: int = 1, trail: int = 4096) -> State:
    """Return the state of a placement. `trail` is the most moves between `mark` and `keep` or `take_back`."""
    guests, modes, resources = tables.demand.shape
    hosts, groups = len(tables.cap), tables.groups
    forms, crowds = len(groups.type), len(groups.crowd_sizes)
    state = State(
        place=tables.home.copy(),
        host=tables.home // modes,
        use=np.zeros((hosts, resources), dtype=np.int64),
        gone=np.zeros((hosts, len(tables.held)), dtype=np.int64),
        count=np.zeros(hosts, dtype=np.int64),
        came=np.zeros(hosts, dtype=np.int64),
        head=np.full(hosts, -1, dtype=np.int64),
        after=np.full(guests, -1, dtype=np.int64),
        before=np.full(guests, -1, dtype=np.int64),
        cost=np.zeros(hosts, dtype=np.int64),
        over=np.zeros(hosts, dtype=np.int64),
        asleep=np.zeros(hosts, dtype=np.bool_),
        spare=tables.offer.sum(axis=0) - tables.need,
        counts=np.zeros(int(groups.counts[0]), dtype=np.int32),
        broken=np.zeros(forms, dtype=np.int64),
        occupied=np.zeros(forms, dtype=np.int64),
        cap_moved=np.zeros(len(groups.cap_most), dtype=np.int64),
        crowd_moved=np.zeros(crowds, dtype=np.int64),
        crowd_with=np.zeros(int(groups.crowd_sizes.max(initial=0)) + 2, dtype=np.int64),
        crowd_most=np.zeros(1, dtype=np.int64),
        moved=np.zeros(guests, dtype=np.int64),
        moved_at=np.full(guests, -1, dtype=np.int64),
        totals=np.zeros(9, dtype=np.int64),
        trail=np.zeros((trail, 2), dtype=np.int64),
        trail_length=np.zeros(1, dtype=np.int64),
        random=np.array([(2 * seed + 1) * 0x9E3779B97F4A7C15 & (1 << 64) - 1], dtype=np.uint64),
        row=np.zeros(resources, dtype=np.int64),
    )
    fill(tables, state)
    move_all(tables, state, np.ascontiguousarray(place, dtype=np.int64))
    return state


@entry
def fill(tables: Tables, state: State) -> None:
    """Make an empty state that of the start: everyone at home."""
    groups = tables.groups
    for g in range(state.host.shape[0]):
        h = state.host[g]
        mode = tables.home[g] % tables.demand.shape[1]
        for r in range(state.use.shape[1]):
            state.use[h, r] += tables.demand[g, mode, r]
        _link(state, g, h)
        if tables.left[h]:
            state.totals[LEFT] += tables.left_weight[g]
        for e in range(groups.first[g], groups.first[g + 1]):
            occupy(groups, state.counts, state.occupied, groups.form[e], groups.kind[e], h, 1)
    _count_broken(groups, state)
    state.totals[GOAL] += tables.figures[CONSTANT]
    for h in range(state.count.shape[0]):
        state.over[h] = overload_cost(tables, h, state.use[h])
        state.cost[h] = host_cost(tables.terms, h, state.use[h])
        state.totals[OVERLOAD] += state.over[h]
        if state.count[h] == 0:
            _try_sleep(tables, state, h)
        state.totals[GOAL] += tables.asleep_cost[h] if state.asleep[h] else state.cost[h]
    state.crowd_with[0] = state.crowd_moved.shape[0]


@compiled
def _count_broken(groups: Groups, state: State) -> None:
    """Count what each form has broken, from its counts per cell."""
    for f in range(groups.type.shape[0]):
        cells = groups.cells[f]
        total = 0
        members = 0
        for c in range(cells):
            total += _cell_broken(groups, state.counts, f, c)
            if groups.type[f] != WITHIN:
                members += state.counts[groups.offset[f] + c]
        if groups.type[f] == TOGETHER:
            total += members * (members - 1) // 2
        if groups.type[f] == AT_LEAST:
            total = max(0, groups.at_least[f] - state.occupied[f]) if members > 0 else 0
        state.broken[f] = total
        if groups.rank[f] == SOFT:
            state.totals[GOAL] += groups.weight[f] * total
        else:
            state.totals[BROKEN] += total
            if groups.rank[f] == HARD_RANK:
                state.totals[HARD] += total


@compiled
def _cell_broken(groups: Groups, counts: NDArray[np.int32], f: int, c: int) -> int:
    kind = groups.type[f]
    at = groups.offset[f]
    if kind == WITHIN:
        dependants, providers, both = counts[at + 3 * c], counts[at + 3 * c + 1], counts[at + 3 * c + 2]
        if providers + both == 0:
            return dependants
        return 1 if providers == 0 and both == 1 else 0
    n = counts[at + c]
    if kind == AT_LEAST:
        return 0
    if kind == TOGETHER:
        return -(n * (n - 1)) // 2
    if kind == 0:
        return n * (n - 1) // 2
    return n if c == 0 else 0


@compiled
def _link(state: State, g: int, h: int) -> None:
    first = state.head[h]
    state.after[g] = first
    state.before[g] = -1
    if first >= 0:
        state.before[first] = g
    state.head[h] = g
    state.count[h] += 1


@compiled
def _unlink(state: State, g: int, h: int) -> None:
    if state.before[g] >= 0:
        state.after[state.before[g]] = state.after[g]
    else:
        state.head[h] = state.after[g]
    if state.after[g] >= 0:
        state.before[state.after[g]] = state.before[g]
    state.count[h] -= 1


@compiled
def can_sleep(tables: Tables, state: State, h: int) -> bool:
    """Tell whether an empty host would be put to sleep: it may, it saves something, and the reserve holds."""
    if not tables.may_sleep[h] or tables.idle_cost[h] <= tables.asleep_cost[h]:
        return False
    short = 0
    for k in range(state.spare.shape[0]):
        if state.spare[k] < tables.offer[h, k]:
            short += 1
    return short == 0


@compiled
def _try_sleep(tables: Tables, state: State, h: int) -> None:
    if can_sleep(tables, state, h):
        state.asleep[h] = True
        for k in range(state.spare.shape[0]):
            state.spare[k] -= tables.offer[h, k]


@compiled
def _recost(tables: Tables, state: State, h: int) -> None:
    over = overload_cost(tables, h, state.use[h])
    cost = host_cost(tables.terms, h, state.use[h])
    state.totals[OVERLOAD] += over - state.over[h]
    state.over[h] = over
    state.totals[GOAL] += cost - (tables.asleep_cost[h] if state.asleep[h] else state.cost[h])
    state.cost[h] = cost


@compiled
def put(tables: Tables, state: State, g: int, seat: int) -> None:
    """Put a guest into a seat, whatever that breaks, and note where it was on the trail."""
    old = state.place[g]
    if old == seat:
        return
    n = state.trail_length[0]
    state.trail[n, 0] = g
    state.trail[n, 1] = old
    state.trail_length[0] = n + 1
    modes = tables.demand.shape[1]
    a, b = state.host[g], seat // modes
    for r in range(state.use.shape[1]):
        state.use[a, r] -= tables.demand[g, old % modes, r]
        state.use[b, r] += tables.demand[g, seat % modes, r]
    _count_move(tables, state, g, old, seat)
    state.place[g] = seat
    if a == b:
        _recost(tables, state, a)
        return
    state.host[g] = b
    _unlink(state, g, a)
    _link(state, g, b)
    # Both ends in one loop: what is written once is compiled once.
    for end in range(2):
        h = b if end else a
        _recost(tables, state, h)
        if state.count[h] == 0:
            _try_sleep(tables, state, h)
            if state.asleep[h]:
                state.totals[GOAL] += tables.asleep_cost[h] - state.cost[h]
        elif state.asleep[h]:
            state.asleep[h] = False
            for k in range(state.spare.shape[0]):
                state.spare[k] += tables.offer[h, k]
    if tables.left[a]:
        state.totals[LEFT] -= tables.left_weight[g]
    if tables.left[b]:
        state.totals[LEFT] += tables.left_weight[g]
    _regroup(tables.groups, state, g, a, b)


@compiled
def _regroup(groups: Groups, state: State, g: int, a: int, b: int) -> None:
    for e in range(groups.first[g], groups.first[g + 1]):
        f = groups.form[e]
        cells = groups.cell[groups.partition[f]]
        if cells[a] == cells[b]:
            continue
        change = change_of_form(groups, state.counts, state.occupied, f, groups.kind[e], cells[a], cells[b])
        occupy(groups, state.counts, state.occupied, f, groups.kind[e], a, -1)
        occupy(groups, state.counts, state.occupied, f, groups.kind[e], b, 1)
        if change == 0:
            continue
        most = groups.most[f]
        if groups.rank[f] != SOFT:
            state.totals[WORSE] += max(0, state.broken[f] + change - most) - max(0, state.broken[f] - most)
        state.broken[f] += change
        if groups.rank[f] == SOFT:
            state.totals[GOAL] += groups.weight[f] * change
        else:
            state.totals[BROKEN] += change
            if groups.rank[f] == HARD_RANK:
                state.totals[HARD] += change


@compiled
def _count_move(tables: Tables, state: State, g: int, old: int, seat: int) -> None:
    """Keep account of moves: how many, their memory and prices, caps, crowds, and what is held at the home host."""
    home = tables.home[g]
    modes = tables.demand.shape[1]
    start = home // modes
    if start != old // modes:
        state.came[old // modes] -= 1
    if start != seat // modes:
        state.came[seat // modes] += 1
    if start == tables.figures[OUTSIDE]:
        return
    sign = 0
    if old == home:
        sign = 1
        state.moved_at[g] = state.totals[MOVES]
        state.moved[state.totals[MOVES]] = g
    elif seat == home:
        sign = -1
        last = state.moved[state.totals[MOVES] - 1]
        state.moved[state.moved_at[g]] = last
        state.moved_at[last] = state.moved_at[g]
        state.moved_at[g] = -1
    zone = tables.zone[start]
    if old != home:
        state.totals[GOAL] -= tables.pair_price[zone, tables.zone[old // modes]]
    if seat != home:
        state.totals[GOAL] += tables.pair_price[zone, tables.zone[seat // modes]]
    if sign == 0:
        return
    state.totals[MOVES] += sign
    state.totals[MIB] += sign * tables.mib[g]
    state.totals[GOAL] += sign * tables.price[g]
    for k in range(tables.held.shape[0]):
        state.gone[start, k] += sign * tables.demand[g, home % modes, tables.held[k]]
    groups = tables.groups
    for e in range(groups.cap_first[g], groups.cap_first[g + 1]):
        cap = groups.cap_of[e]
        state.totals[CAPPED] -= max(0, state.cap_moved[cap] - groups.cap_most[cap])
        state.cap_moved[cap] += sign
        state.totals[CAPPED] += max(0, state.cap_moved[cap] - groups.cap_most[cap])
    crowd = groups.crowd[g]
    if crowd >= 0:
        before = state.crowd_moved[crowd]
        state.crowd_with[before] -= 1
        state.crowd_with[before + sign] += 1
        state.crowd_moved[crowd] = before + sign
        most = state.crowd_most[0]
        if before + sign > most:
            state.crowd_most[0] = most + 1
        elif before == most and state.crowd_with[most] == 0:
            state.crowd_most[0] = most - 1
        state.totals[GOAL] += tables.figures[CROWD_WEIGHT] * (state.crowd_most[0] - most)


@entry
def move_all(tables: Tables, state: State, place: Ints) -> None:
    """Put every guest where `place` int64[guests] has it; cannot be taken back."""
    for g in range(place.shape[0]):
        put(tables, state, g, place[g])
        state.trail_length[0] = 0


@compiled
def take_back(tables: Tables, state: State, length: int) -> None:
    """Undo the moves on the trail down to `length`."""
    while state.trail_length[0] > length:
        n = state.trail_length[0] - 1
        put(tables, state, state.trail[n, 0], state.trail[n, 1])
        state.trail_length[0] = n
