"""What is kept where moves are few: the best placement met as a list of moves, and the price of a MiB.

Energy is the goal plus a price for each MiB moved. The price is steered so that a walk stays about at a ceiling of
MiB; what is kept is judged by the goal alone, and only what keeps to the ceiling.
"""

from __future__ import annotations

from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scheduler.solver.forms import Ints
from scheduler.solver.kernels.anneal import try_shift
from scheduler.solver.kernels.compiled import compiled, entry, example
from scheduler.solver.kernels.dice import unit
from scheduler.solver.kernels.moves import repair_of
from scheduler.solver.kernels.state import GOAL, LEFT, MIB, MOVES, State, put
from scheduler.solver.kernels.tables import MAX_MOVES, OUTSIDE, Tables

STEER_EVERY = 1024
GAIN, PULL = 2.0, 0.05
"""The price follows the part of the ceiling that is missed so many times, by so much at most each time."""
LEAST, MOST = 1 / 256, 8.0
"""The price's range, as parts of that at first. Where moves run out before MiB, it comes to nothing."""
HOPELESS = 22.0
"""No threshold drawn is higher than this many temperatures: 31 bits of chance."""
COUNT, REPAIR, LEAVING, COST = range(4)


class Few(NamedTuple):
    """What the walk keeps. `natives` are the movable guests by home host, those of h from `first`[h] to `first`[h + 1].

    `best` is the best met: how many are moved, its repair, guests left and goal; `best_guest` and `best_seat` are its
    moves. `guest` and `seat` int64[2] are the proposal, `host` int64[4] the hosts it touches. `price` float64[2] is
    that of a MiB now and at first; `ceiling` int64[1] in MiB.
    """

    first: Ints
    natives: Ints
    best: Ints
    best_guest: Ints
    best_seat: Ints
    guest: Ints
    seat: Ints
    host: Ints
    price: NDArray[np.float64]
    ceiling: Ints


def make_few(tables: Tables, ceiling_mib: int, price: float) -> Few:
    """Return what a walk starts with; `price` is energy for each MiB. Guests from outside are let be."""
    hosts, modes = len(tables.cap), tables.demand.shape[1]
    start = tables.home[tables.movable] // modes
    placed = start != tables.figures[OUTSIDE]
    natives, start = tables.movable[placed], start[placed]
    first = np.zeros(hosts + 1, dtype=np.int64)
    np.cumsum(np.bincount(start, minlength=hosts), out=first[1:])
    most = min(int(tables.figures[MAX_MOVES]), len(natives)) + 2
    return Few(
        first=first,
        natives=natives[np.argsort(start, kind="stable")],
        best=np.zeros(4, dtype=np.int64),
        best_guest=np.zeros(most, dtype=np.int64),
        best_seat=np.zeros(most, dtype=np.int64),
        guest=np.zeros(2, dtype=np.int64),
        seat=np.zeros(2, dtype=np.int64),
        host=np.zeros(4, dtype=np.int64),
        price=np.array([price, price], dtype=np.float64),
        ceiling=np.array([ceiling_mib], dtype=np.int64),
    )


example(Few, lambda tables: make_few(tables, 0, 0.0))


@entry
def keep_first(state: State, few: Few) -> None:
    """Keep the placement as the best met, whatever was kept before."""
    keep(state, few)


@compiled
def keep(state: State, few: Few) -> None:
    """Keep the placement as the best met."""
    moves = state.totals[MOVES]
    few.best[COUNT], few.best[REPAIR] = moves, repair_of(state.totals)
    few.best[LEAVING], few.best[COST] = state.totals[LEFT], state.totals[GOAL]
    for k in range(moves):
        few.best_guest[k] = state.moved[k]
        few.best_seat[k] = state.place[state.moved[k]]


@entry
def back_to_kept(tables: Tables, state: State, few: Few) -> None:
    """Put everything where it is in the best met; cannot be taken back."""
    while state.totals[MOVES] > 0:
        state.trail_length[0] = 0
        g = state.moved[state.totals[MOVES] - 1]
        put(tables, state, g, tables.home[g])
    for k in range(few.best[COUNT]):
        state.trail_length[0] = 0
        put(tables, state, few.best_guest[k], few.best_seat[k])
    state.trail_length[0] = 0


@entry
def send_home(tables: Tables, state: State) -> int:
    """Take back, one by one, the moves without which the goal is no worse; return how many."""
    taken_back = 0
    k = state.totals[MOVES] - 1
    while k >= 0:
        state.trail_length[0] = 0
        g = state.moved[k]
        if try_shift(tables, state, g, tables.home[g], 0):
            taken_back += 1
        k -= 1
    state.trail_length[0] = 0
    return taken_back


@compiled
def steer(state: State, few: Few) -> None:
    """Change the price of a MiB by how far the MiB moved are from what is aimed at."""
    if few.ceiling[0] > 0:
        off = (state.totals[MIB] - few.ceiling[0]) / few.ceiling[0]
        price = few.price[0] * (1.0 + min(PULL, max(-PULL, GAIN * off)))
        few.price[0] = min(MOST * few.price[1], max(LEAST * few.price[1], price))


@compiled
def passes(state: State, energy: float, temperature: float) -> bool:
    """Whether a change of energy passes at a temperature."""
    if energy <= 0.0:
        return True
    if energy >= HOPELESS * temperature:
        return False
    return energy < -temperature * log(unit(state.random))


@compiled
def note_best(state: State, few: Few) -> None:
    """Keep the placement where it is the best met that keeps to the ceiling."""
    if state.totals[MIB] > few.ceiling[0]:
        return
    repair = repair_of(state.totals)
    better: bool = state.totals[GOAL] < few.best[COST]
    if state.totals[LEFT] != few.best[LEAVING]:
        better = state.totals[LEFT] < few.best[LEAVING]
    if repair != few.best[REPAIR]:
        better = repair < few.best[REPAIR]
    if better:
        keep(state, few)
