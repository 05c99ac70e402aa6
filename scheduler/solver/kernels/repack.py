"""Annealing over placements that hold too much: every guest inside, and what hosts have in excess is driven to nothing.

To close a host, its guests go where the excess grows least; then shifts and swaps among the hosts that are open, drawn
often from those in excess, are taken by the change of excess and of the price of being away from home (Metropolis).
Targets, modes and forms that may not get worse are kept at every step, so what has no excess is a valid placement
but for the caps on moves, which `passes_caps` tells.
"""

from __future__ import annotations

from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scheduler.solver.forms import Bools, Ints
from scheduler.solver.kernels.compiled import compiled, entry, example
from scheduler.solver.kernels.dice import below, unit
from scheduler.solver.kernels.moves import forms_allow, may_go
from scheduler.solver.kernels.state import CAPPED, MIB, MOVES, WORSE, State, put, take_back
from scheduler.solver.kernels.tables import MAX_MIB, MAX_MOVES, Tables

Floats = NDArray[np.float64]

FROM_EXCESS, SHIFTS = 410, 307
"""Of 1024 proposals, those that start at a host in excess, and those that are shifts rather than swaps."""
COOL_EVERY = 1024
OPEN, OVER = range(2)
EXCESS, AWAY, LEAST_EXCESS, LEAST_AWAY = range(4)


class Repack(NamedTuple):
    """What the search keeps beside the state.

    `weight` float[hosts, resources]: what a unit over a host's room counts; `away` float[guests]: the price of not
    being at home. `open[: numbers[OPEN]]` are the hosts guests may go to, `over[: numbers[OVER]]` those in excess, in
    no order, `at` int[hosts] where each is among them or -1. `excess` float[hosts]. `best` is the placement with the
    least excess met, then the least price; `sums` holds both of now and of the best.
    """

    weight: Floats
    away: Floats
    open: Ints
    over: Ints
    at: Ints
    numbers: Ints
    excess: Floats
    best: Ints
    sums: Floats


def make_repack(tables: Tables, weight: Floats, away: Floats) -> Repack:
    """Return the search's own arrays, for `start` to fill."""
    hosts, guests = len(tables.cap), len(tables.home)
    return Repack(
        weight=weight,
        away=away,
        open=np.zeros(hosts, dtype=np.int64),
        over=np.zeros(hosts, dtype=np.int64),
        at=np.full(hosts, -1, dtype=np.int64),
        numbers=np.zeros(2, dtype=np.int64),
        excess=np.zeros(hosts, dtype=np.float64),
        best=np.zeros(guests, dtype=np.int64),
        sums=np.zeros(4, dtype=np.float64),
    )


example(Repack, lambda tables: make_repack(tables, np.zeros(tables.cap.shape), np.zeros(len(tables.home))))


@compiled
def excess_with(
    tables: Tables, state: State, repack: Repack, h: int, came: int, out: int, into: int, mode: int
) -> float:
    """Return a host's excess without guest `out`, with guest `into` in a mode (-1: none), `came` from elsewhere."""
    modes = tables.demand.shape[1]
    most = tables.headroom if came > 0 else tables.cap
    total = 0.0
    for i in range(tables.columns.shape[0]):
        r = tables.columns[i]
        over = state.use[h, r] - most[h, r]
        if out >= 0:
            over -= tables.demand[out, state.place[out] % modes, r]
        if into >= 0:
            over += tables.demand[into, mode, r]
        if over > 0:
            total += over * repack.weight[h, r]
    return total


@compiled
def set_excess(repack: Repack, h: int, excess: float) -> None:
    """Take down the excess of a host."""
    repack.sums[EXCESS] += excess - repack.excess[h]
    repack.excess[h] = excess
    at = repack.at[h]
    if excess > 0 and at < 0:
        repack.at[h] = repack.numbers[OVER]
        repack.over[repack.numbers[OVER]] = h
        repack.numbers[OVER] += 1
    elif excess <= 0 and at >= 0:
        repack.numbers[OVER] -= 1
        last = repack.over[repack.numbers[OVER]]
        repack.over[at] = last
        repack.at[last] = at
        repack.at[h] = -1
    if repack.numbers[OVER] == 0:
        repack.sums[EXCESS] = 0.0


@entry
def start(tables: Tables, state: State, repack: Repack, closed: Bools) -> None:
    """Take up the state's placement, with the hosts `closed` bool[hosts] out of reach."""
    repack.numbers[:] = 0
    repack.sums[:] = 0.0
    repack.excess[:] = 0.0
    repack.at[:] = -1
    for h in range(closed.shape[0]):
        if not closed[h]:
            repack.open[repack.numbers[OPEN]] = h
            repack.numbers[OPEN] += 1
        set_excess(repack, h, excess_with(tables, state, repack, h, state.came[h], -1, -1, 0))
    modes = tables.demand.shape[1]
    for g in range(state.place.shape[0]):
        if state.place[g] != tables.home[g]:
            repack.sums[AWAY] += repack.away[g]
    for g in range(state.place.shape[0]):
        if closed[state.place[g] // modes] and tables.mask_of[g] >= 0:
            _to_least_excess(tables, state, repack, g)
    repack.sums[LEAST_EXCESS] = np.inf
    _note(state, repack)


@compiled
def _to_least_excess(tables: Tables, state: State, repack: Repack, g: int) -> None:
    """Put a guest of a closed host into the open seat where excess and price grow least; the lowest of equals."""
    modes = tables.demand.shape[1]
    best, least = -1, np.inf
    for i in range(repack.numbers[OPEN]):
        h = repack.open[i]
        for mode in range(modes):
            seat = h * modes + mode
            if not may_go(tables, g, seat) or not forms_allow(tables, state, g, h):
                continue
            came = state.came[h] + (1 if tables.home[g] // modes != h else 0)
            cost = excess_with(tables, state, repack, h, came, -1, g, mode) - repack.excess[h]
            cost += _away_change(tables, state, repack, g, seat)
            if cost < least:
                best, least = seat, cost
    if best >= 0:
        a = state.host[g]
        repack.sums[AWAY] += _away_change(tables, state, repack, g, best)
        state.trail_length[0] = 0
        put(tables, state, g, best)
        for h in (a, best // modes):
            set_excess(repack, h, excess_with(tables, state, repack, h, state.came[h], -1, -1, 0))


@compiled
def _away_change(tables: Tables, state: State, repack: Repack, g: int, seat: int) -> float:
    home = tables.home[g]
    if state.place[g] == home:
        return repack.away[g] if seat != home else 0.0
    return -repack.away[g] if seat == home else 0.0


@compiled
def _note(state: State, repack: Repack) -> None:
    """Keep the placement when it is the best so far."""
    sums = repack.sums
    if sums[EXCESS] > sums[LEAST_EXCESS]:
        return
    if sums[EXCESS] == sums[LEAST_EXCESS] and sums[AWAY] >= sums[LEAST_AWAY] - 1e-9:
        return
    sums[LEAST_EXCESS], sums[LEAST_AWAY] = sums[EXCESS], sums[AWAY]
    for g in range(state.place.shape[0]):
        repack.best[g] = state.place[g]


@compiled
def _passes_caps(tables: Tables, state: State, moves: int, mib: int, capped: int) -> bool:
    """Tell whether caps on moves are kept, or passed by no more than before."""
    totals = state.totals
    return (
        totals[MOVES] <= max(moves, tables.figures[MAX_MOVES])
        and totals[MIB] <= max(mib, tables.figures[MAX_MIB])
        and totals[CAPPED] <= max(0, capped)
    )


@compiled
def _a_guest(tables: Tables, state: State, repack: Repack) -> int:
    """Draw a guest, often one of a host in excess."""
    if repack.numbers[OVER] > 0 and below(state.random, 1024) < FROM_EXCESS:
        h = repack.over[below(state.random, repack.numbers[OVER])]
        if state.count[h] > 0:
            g = state.head[h]
            for _ in range(below(state.random, state.count[h])):
                g = state.after[g]
            return g
    return tables.movable[below(state.random, tables.movable.shape[0])]


@entry
def repack_steps(
    tables: Tables, state: State, repack: Repack, steps: int, temperature: float, cooling: float, on: bool
) -> int:
    """Make proposals at a temperature (of excess and price) that falls by `cooling` every 1024; return how many.

    Stops as soon as nothing is in excess, unless it is to go `on` for the least price.
    """
    modes = tables.demand.shape[1]
    grouped = state.broken.shape[0] > 0
    for step in range(steps):
        if repack.numbers[OVER] == 0 and not on:
            return step
        if step % COOL_EVERY == COOL_EVERY - 1:
            temperature *= cooling
        g = _a_guest(tables, state, repack)
        if tables.mask_of[g] < 0:
            continue
        a = state.host[g]
        other = -1
        back = 0
        if below(state.random, 1024) < SHIFTS:
            b = repack.open[below(state.random, repack.numbers[OPEN])]
            mode = below(state.random, modes) if modes > 1 else 0
        else:
            other = tables.movable[below(state.random, tables.movable.shape[0])]
            b = state.host[other]
            mode = state.place[g] % modes
            back = a * modes + state.place[other] % modes
        if a == b:
            continue
        seat = b * modes + mode
        worst = -temperature * log(unit(state.random))
        worst -= _away_change(tables, state, repack, g, seat)
        away = -1 if tables.home[g] // modes != a else 0
        here = 1 if tables.home[g] // modes != b else 0
        if other >= 0:
            worst -= _away_change(tables, state, repack, other, back)
            here -= 1 if tables.home[other] // modes != b else 0
            away += 1 if tables.home[other] // modes != a else 0
        worst += repack.excess[a] + repack.excess[b]
        after_b = excess_with(tables, state, repack, b, state.came[b] + here, other, g, mode)
        if after_b > worst:
            continue
        after_a = excess_with(tables, state, repack, a, state.came[a] + away, g, other, back % modes)
        if after_a + after_b > worst:
            continue
        if not may_go(tables, g, seat) or (other >= 0 and not may_go(tables, other, back)):
            continue
        if grouped and other < 0 and not forms_allow(tables, state, g, b):
            continue
        price = 0.0
        totals = state.totals
        worse, moves, mib, capped = totals[WORSE], totals[MOVES], totals[MIB], totals[CAPPED]
        state.trail_length[0] = 0
        # One call of `put` in the code, not two: it is compiled into its callers.
        while g >= 0:
            price += _away_change(tables, state, repack, g, seat)
            put(tables, state, g, seat)
            g, seat, other = other, back, -1
        if totals[WORSE] > worse or not _passes_caps(tables, state, moves, mib, capped):
            take_back(tables, state, 0)
            continue
        repack.sums[AWAY] += price
        set_excess(repack, a, after_a)
        set_excess(repack, b, after_b)
        _note(state, repack)
    return steps
