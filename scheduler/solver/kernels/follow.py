"""The value of a placement after each of many moves, one after the other."""

from __future__ import annotations

from scheduler.solver.forms import Ints
from scheduler.solver.kernels.compiled import entry
from scheduler.solver.kernels.state import State, put
from scheduler.solver.kernels.tables import Tables


@entry
def follow(tables: Tables, state: State, guests: Ints, seats: Ints, totals: Ints) -> None:
    """Make moves, int64[n] each, whatever they break; write the first totals of the state after each to int64[n x k].

    Cannot be taken back.
    """
    if guests.shape[0] == 0:
        return
    many = totals.shape[0] // guests.shape[0]
    for i in range(guests.shape[0]):
        put(tables, state, guests[i], seats[i])
        state.trail_length[0] = 0
        for k in range(many):
            totals[i * many + k] = state.totals[k]
