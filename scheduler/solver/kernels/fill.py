"""Placing guests that are outside: hosts in a given order, by first fit or host by host with what suits each best."""

from __future__ import annotations

from scheduler.solver.forms import Ints
from scheduler.solver.kernels.compiled import compiled, entry
from scheduler.solver.kernels.moves import fits, forms_allow, may_go
from scheduler.solver.kernels.repack import Floats, Repack
from scheduler.solver.kernels.state import State, put
from scheduler.solver.kernels.tables import Tables


@compiled
def _mean_size(tables: Tables, guests: Ints, many: int, weight: Floats, mean: Floats) -> None:
    """Work out the mean share of a host that the first `many` guests take, in their first modes."""
    mean[:] = 0.0
    for i in range(many):
        for r in range(mean.shape[0]):
            mean[r] += tables.demand[guests[i], 0, r] * weight[r] / many


@compiled
def _takes(tables: Tables, state: State, g: int, h: int) -> int:
    """Return the first mode in which a host takes a guest, -1 for none."""
    modes = tables.demand.shape[1]
    for mode in range(modes):
        seat = h * modes + mode
        if may_go(tables, g, seat) and fits(tables, state, g, seat) and forms_allow(tables, state, g, h):
            return mode
    return -1


@entry
def first_fit(tables: Tables, state: State, guests: Ints, hosts: Ints) -> int:
    """Put each of `guests` on the first of `hosts` that takes it; return how many are placed."""
    modes = tables.demand.shape[1]
    placed = 0
    for i in range(guests.shape[0]):
        g = guests[i]
        for k in range(hosts.shape[0]):
            h = hosts[k]
            mode = _takes(tables, state, g, h)
            if mode >= 0:
                state.trail_length[0] = 0
                put(tables, state, g, h * modes + mode)
                placed += 1
                break
    return placed


@entry
def fill_each(
    tables: Tables, state: State, guests: Ints, hosts: Ints, repack: Repack, mean: Floats, square: bool
) -> int:
    """Fill `hosts` one after the other from `guests`; return how many are placed.

    Next comes the guest with the greatest sum of mean size x size x room left over the resources (dot product), or,
    with `square`, the one that leaves the least sum of mean size x squared room; sizes and rooms in shares of the host,
    by `repack.weight` (Panigrahy and others, Heuristics for vector bin packing, 2011).
    The mean is over the guests left when a host is begun; `mean` float[resources] is scratch.
    """
    modes = tables.demand.shape[1]
    weight = repack.weight
    left = guests.shape[0]
    placed = 0
    for k in range(hosts.shape[0]):
        h = hosts[k]
        _mean_size(tables, guests, left, weight[h], mean)
        while left > 0:
            best, best_mode, best_at, value = -1, 0, 0, 0.0
            for i in range(left):
                g = guests[i]
                mode = _takes(tables, state, g, h)
                if mode < 0:
                    continue
                worth = 0.0
                for c in range(tables.columns.shape[0]):
                    r = tables.columns[c]
                    share = tables.demand[g, mode, r] * weight[h, r]
                    free = (tables.headroom[h, r] - state.use[h, r]) * weight[h, r]
                    worth += mean[r] * (-(free - share) * (free - share) if square else share * free)
                if best < 0 or worth > value:
                    best, best_mode, best_at, value = g, mode, i, worth
            if best < 0:
                break
            state.trail_length[0] = 0
            put(tables, state, best, h * modes + best_mode)
            placed += 1
            left -= 1
            guests[best_at] = guests[left]
    return placed
