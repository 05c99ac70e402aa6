"""Simulated annealing through placements that are over capacity, at a price: shifts, swaps and chains of three hosts.

What is over capacity costs so much a unit of each resource (`Pressure`), set by the driver so that hosts lack something
now and then but not often; only placements in which nothing is lacking can become the best. A proposal is weighed
without being made, the threshold drawn first: prices of the move, then the target host, the source, forms last.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Any, TypeVar, cast

import numpy as np
from numba import config

from scheduler.solver.forms import Ints
from scheduler.solver.kernels.compiled import compiled, entry
from scheduler.solver.kernels.cost import host_cost
from scheduler.solver.kernels.dice import HIGH, MULTIPLIER, SPAN, A, B, C, below
from scheduler.solver.kernels.groups import change_of_form
from scheduler.solver.kernels.pressure import (
    BEST_GOAL,
    FEASIBLE,
    FOUND,
    LACKING,
    SINCE,
    TAKEN,
    Elastic,
    Pressure,
    weigh_lack,
)
from scheduler.solver.kernels.state import BROKEN, CAPPED, GOAL, HARD, WORSE, State, put
from scheduler.solver.kernels.tables import CROWD_WEIGHT, SOFT, Tables

Function = TypeVar("Function", bound=Callable[..., object])
NEVER = 1 << 60


def wide(kernel: Function) -> Function:
    """Return an entry that is compiled with its loops widened to vectors, as others are not (see `compiled`).

    Weighing a host is all that counts here, and with a dozen resources that takes half the time so.
    """
    dispatcher: Any = kernel
    if config.DISABLE_JIT:
        return kernel
    narrow = dispatcher.compile

    def compile_wide(signature: object) -> object:
        config.LOOP_VECTORIZE = 1
        try:
            return narrow(signature)
        finally:
            config.LOOP_VECTORIZE = 0

    dispatcher.compile = compile_wide
    return cast(Function, dispatcher)


@compiled
def _weigh(elastic: Elastic, state: State, pressure: Pressure, h: int, g: int, sign: int, keep: int) -> tuple[int, int]:
    """Return what a host costs and the price of what it lacks when a guest comes (sign 1) or goes (-1).

    `keep`: 1 where the guest is at home on the host.
    """
    spare, room, demand = pressure.spare, pressure.room, elastic.demand
    cost, penalty = 0, 0
    for r in range(demand.shape[1]):
        more = sign * demand[g, r]
        over = more - spare[h, r]
        cost += elastic.soft_weight[r] * (over if over > 0 else 0)
        lack = more * elastic.keep[keep, r] - room[h, r]
        penalty += pressure.unit_price[r] * lack + pressure.each[r] if lack > 0 else 0
    use = state.use
    for i in range(elastic.ratios.shape[0]):
        first, second = elastic.ratios[i, 0], elastic.ratios[i, 1]
        free = elastic.ratio[h, i, 0] - use[h, first] - sign * demand[g, first]
        other = elastic.ratio[h, i, 1] - use[h, second] - sign * demand[g, second]
        short = elastic.ratios[i, 2] * free - other
        cost += elastic.ratios[i, 3] * (short if short > 0 else 0)
    if elastic.has_rest[0]:
        for r in range(demand.shape[1]):
            pressure.row[r] = use[h, r] + sign * demand[g, r]
        cost += host_cost(elastic.rest, h, pressure.row)
    return cost, penalty


@compiled
def _weigh_exchange(
    elastic: Elastic, state: State, pressure: Pressure, h: int, g: int, out: int, keep: int, keep_out: int
) -> tuple[int, int]:
    """Return what a host costs and the price of what it lacks when a guest comes and another goes."""
    spare, room, demand = pressure.spare, pressure.room, elastic.demand
    cost, penalty = 0, 0
    for r in range(demand.shape[1]):
        comes, goes = demand[g, r], demand[out, r]
        over = comes - goes - spare[h, r]
        cost += elastic.soft_weight[r] * (over if over > 0 else 0)
        lack = comes * elastic.keep[keep, r] - goes * elastic.keep[keep_out, r] - room[h, r]
        penalty += pressure.unit_price[r] * lack + pressure.each[r] if lack > 0 else 0
    use = state.use
    for i in range(elastic.ratios.shape[0]):
        first, second = elastic.ratios[i, 0], elastic.ratios[i, 1]
        free = elastic.ratio[h, i, 0] - use[h, first] - demand[g, first] + demand[out, first]
        other = elastic.ratio[h, i, 1] - use[h, second] - demand[g, second] + demand[out, second]
        short = elastic.ratios[i, 2] * free - other
        cost += elastic.ratios[i, 3] * (short if short > 0 else 0)
    if elastic.has_rest[0]:
        for r in range(demand.shape[1]):
            pressure.row[r] = use[h, r] + demand[g, r] - demand[out, r]
        cost += host_cost(elastic.rest, h, pressure.row)
    return cost, penalty


@compiled
def _move_price(tables: Tables, home: int, g: int, a: int, b: int) -> int:
    """Return the change of what a guest's moving costs by itself when it goes from host a to host b."""
    zone = tables.zone[home]
    change = tables.pair_price[zone, tables.zone[b]] - tables.pair_price[zone, tables.zone[a]]
    if a == home:
        change += tables.price[g] + tables.pair_price[zone, tables.zone[a]]
    if b == home:
        change -= tables.price[g] + tables.pair_price[zone, tables.zone[b]]
    return change


@compiled
def _may_use(tables: Tables, elastic: Elastic, state: State, g: int, h: int) -> bool:
    """Tell whether a guest may go to a host, as far as masks and its first form of hosts apart tell."""
    at = elastic.apart[g]
    if at >= 0 and state.counts[at + h] != 0:
        return False
    return elastic.free[0] or h == elastic.home[g] or tables.masks[tables.mask_of[g], h]


@compiled
def _forms_allow(tables: Tables, state: State, g: int, a: int, b: int, other: int) -> bool:
    """Tell whether no binding form gets worse than at the start when a guest goes from host a to b.

    Forms that `other` (-1: none), which moves too, is a member of as well are left out.
    """
    groups = tables.groups
    for e in range(groups.first[g], groups.first[g + 1]):
        f = groups.form[e]
        cells = groups.cell[groups.partition[f]]
        if cells[a] == cells[b] or groups.rank[f] == SOFT:
            continue
        change = change_of_form(groups, state.counts, state.occupied, f, groups.kind[e], cells[a], cells[b])
        if change > 0 and state.broken[f] + change > groups.most[f]:
            shared = False
            if other >= 0:
                for k in range(groups.first[other], groups.first[other + 1]):
                    shared = shared or groups.form[k] == f
            if not shared:
                return False
    return True


@compiled
def _take_room(elastic: Elastic, pressure: Pressure, h: int, g: int, sign: int) -> None:
    """Take a guest's demand from a host's room (sign 1), or give it back (-1)."""
    at_home = 1 if elastic.home[g] == h else 0
    for r in range(pressure.room.shape[1]):
        pressure.spare[h, r] -= sign * elastic.demand[g, r]
        pressure.room[h, r] -= sign * elastic.demand[g, r] * elastic.keep[at_home, r]


@compiled
def _note(state: State, pressure: Pressure) -> None:
    """Write down the guests moved; where nothing is lacking and the goal is the lowest, that is the best."""
    figures = pressure.figures
    figures[TAKEN] += 1
    n = figures[SINCE]
    moves = state.trail_length[0]
    if n >= 0:
        if n + moves > pressure.since.shape[0]:
            n = -1
        else:
            for i in range(moves):
                pressure.since[n] = state.trail[i, 0]
                n += 1
        figures[SINCE] = n
    if figures[LACKING] != 0:
        return
    figures[FEASIBLE] += 1
    if state.totals[GOAL] >= figures[BEST_GOAL]:
        return
    figures[BEST_GOAL] = state.totals[GOAL]
    figures[FOUND] += 1
    if n < 0:
        for g in range(pressure.best.shape[0]):
            pressure.best[g] = state.place[g]
    else:
        for i in range(n):
            pressure.best[pressure.since[i]] = state.place[pressure.since[i]]
    figures[SINCE] = 0


@compiled
def _make(
    tables: Tables, elastic: Elastic, state: State, pressure: Pressure, g: int, b: int, other: int, c: int, worst: int
) -> None:
    """Put a guest onto host b, and `other` (-1: none) onto host c, unless they may not stay there."""
    totals = state.totals
    goal, broken, hard = totals[GOAL], totals[BROKEN], totals[HARD]
    a = state.host[g]
    state.trail_length[0] = 0
    many = 2 if other >= 0 else 1
    for step in range(2 * many):
        if step == many:
            kept = totals[WORSE] == 0 and totals[CAPPED] == 0 and totals[HARD] <= hard and totals[BROKEN] <= broken
            if kept and totals[GOAL] - goal <= worst:
                break
        # The second half takes back: what makes a move is large and stands here once.
        back = 2 * many - 1 - step
        guest = g if (step if step < many else back) == 0 else other
        host = (c if step else b) if step < many else state.trail[back, 1]
        put(tables, state, guest, host)
    if state.trail_length[0] > many:
        return
    third = other >= 0 and c != a
    for step in range(3):
        if step < 2 or third:
            weigh_lack(pressure, (a if step == 0 else b) if step < 2 else c, -1)
    for step in range(4):
        if step < 2:
            _take_room(elastic, pressure, b if step else a, g, 1 if step else -1)
        elif other >= 0:
            _take_room(elastic, pressure, c if step == 3 else b, other, 1 if step == 3 else -1)
    for step in range(3):
        if step < 2 or third:
            weigh_lack(pressure, (a if step == 0 else b) if step < 2 else c, 1)
    _note(state, pressure)


@compiled
def _next(x: np.uint64) -> np.uint64:
    """Return what follows in the sequence of `dice`."""
    x ^= x >> A
    x ^= x << B
    x ^= x >> C
    return x


@compiled
def _high(x: np.uint64) -> int:
    """Return the number from 0 to 2^31 - 1 that a state of the sequence stands for."""
    return np.int64((x * MULTIPLIER) >> HIGH)  # type: ignore[return-value]  # an int to compiled code


@wide
@entry
def anneal_elastic(
    tables: Tables,
    elastic: Elastic,
    state: State,
    pressure: Pressure,
    steps: int,
    temperature: float,
    swaps: int,
    chains: int,
    homes: int,
    heavy: int,
    pull: int,
) -> None:
    """Make `steps` proposals at a temperature (of the goal's unit).

    Of 1024, `swaps` are swaps and `chains` chains, the others shifts; of shifts and of the second steps of chains,
    `homes` of 1024 go home. `heavy` of 1024 draw guests by their size, the others draw any. That a guest is away
    from home is priced at `pull` more than the goal tells.
    """
    movable, targets, homeland = tables.movable, elastic.targets, elastic.home
    many, hosts = movable.shape[0], targets.shape[0]
    sized = elastic.sized
    sizes = sized.shape[0]
    if many == 0 or hosts == 0 or sizes == 0:
        return
    slack = NEVER if elastic.free[1] else 2 * abs(tables.figures[CROWD_WEIGHT])
    place, cost, penalty = state.host, state.cost, pressure.penalty
    x = state.random[0]
    for _ in range(steps):
        x = _next(x)
        drawn = _high(x)
        x = _next(x)
        by_size = (drawn >> 20) < heavy
        g = sized[(_high(x) * sizes) >> 31] if by_size else movable[(_high(x) * many) >> 31]
        a, home = place[g], homeland[g]
        x = _next(x)
        chance = (_high(x) + 1) / SPAN
        kind = drawn & 1023
        other, c = -1, -1
        x = _next(x)
        if kind < swaps + chains:
            other = sized[(_high(x) * sizes) >> 31] if by_size else movable[(_high(x) * many) >> 31]
            b = place[other]
            c = a
            if kind >= swaps:
                x = _next(x)
                c = homeland[other] if ((drawn >> 10) & 1023) < homes else targets[(_high(x) * hosts) >> 31]
                if c in (a, b):
                    continue
            if a == b:
                continue
            if elastic.apart[g] != elastic.apart[other] or elastic.apart[g] < 0:
                if not _may_use(tables, elastic, state, g, b) or not _may_use(tables, elastic, state, other, c):
                    continue
            elif not elastic.free[0]:
                if b != home and not tables.masks[tables.mask_of[g], b]:
                    continue
                if c != homeland[other] and not tables.masks[tables.mask_of[other], c]:
                    continue
            elif c != a and not _may_use(tables, elastic, state, other, c):
                continue
        else:
            b = home if ((drawn >> 10) & 1023) < homes else targets[(_high(x) * hosts) >> 31]
            if a == b or not _may_use(tables, elastic, state, g, b):
                continue
        worst = np.int64(-temperature * log(chance))
        change = _move_price(tables, home, g, a, b)
        at_a, at_b = 1 if home == a else 0, 1 if home == b else 0
        bias = pull * (at_a - at_b)
        if other < 0:
            cost_b, penalty_b = _weigh(elastic, state, pressure, b, g, 1, at_b)
        else:
            home_other = homeland[other]
            from_b = 1 if home_other == b else 0
            bias += pull * (from_b - (1 if home_other == c else 0))
            change += _move_price(tables, home_other, other, b, c)
            cost_b, penalty_b = _weigh_exchange(elastic, state, pressure, b, g, other, at_b, from_b)
        lack = penalty_b - penalty[b]
        lack += bias
        change += cost_b - cost[b]
        if change + lack - cost[a] - penalty[a] > worst + slack:
            continue
        if other >= 0 and c == a:
            cost_a, penalty_a = _weigh_exchange(
                elastic, state, pressure, a, other, g, 1 if homeland[other] == a else 0, at_a
            )
        else:
            cost_a, penalty_a = _weigh(elastic, state, pressure, a, g, -1, at_a)
        change += cost_a - cost[a]
        lack += penalty_a - penalty[a]
        if change + lack > worst + slack:
            continue
        if other >= 0 and c != a:
            cost_c, penalty_c = _weigh(elastic, state, pressure, c, other, 1, 1 if homeland[other] == c else 0)
            change += cost_c - cost[c]
            lack += penalty_c - penalty[c]
            if change + lack > worst + slack:
                continue
        if not _forms_allow(tables, state, g, a, b, other):
            continue
        if other >= 0 and not _forms_allow(tables, state, other, b, c, g):
            continue
        _make(tables, elastic, state, pressure, g, b, other, c, worst - lack)
    state.random[0] = x


@entry
def sample_rises(tables: Tables, elastic: Elastic, state: State, pressure: Pressure, rises: Ints) -> int:
    """Fill `rises` with what shifts drawn by chance raise the goal by, those above 0, forms and capacity left out.

    Returns how many were found.
    """
    movable, targets = tables.movable, elastic.targets
    found = 0
    if movable.shape[0] == 0 or targets.shape[0] == 0:
        return 0
    for _ in range(8 * rises.shape[0]):
        if found == rises.shape[0]:
            break
        g, b = movable[below(state.random, movable.shape[0])], targets[below(state.random, targets.shape[0])]
        a, home = state.host[g], elastic.home[g]
        if a == b or not _may_use(tables, elastic, state, g, b):
            continue
        rise = _move_price(tables, home, g, a, b) - state.cost[a] - state.cost[b]
        for end in range(2):
            h = b if end else a
            cost, _ = _weigh(elastic, state, pressure, h, g, 1 if end else -1, 1 if h == home else 0)
            rise += cost
        if rise > 0:
            rises[found] = rise
            found += 1
    return found
