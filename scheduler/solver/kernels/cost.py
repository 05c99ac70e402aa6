"""What a host costs at a use, compiled: the same integers as `terms.py`, term by term."""

from __future__ import annotations

from scheduler.solver.forms import Ints
from scheduler.solver.kernels.compiled import compiled
from scheduler.solver.kernels.tables import Tables, Terms

PPM = 1_000_000


@compiled
def host_cost(terms: Terms, host: int, use: Ints) -> int:
    """Return the sum of all terms of a host that is on at `use` int64[resources]."""
    cost = terms.flat[host]
    for i in range(terms.even_columns.shape[0]):
        for k in range(2):
            if terms.even_counted[i, host, k]:
                room = terms.even_room[i, host, k]
                ratio = (2 * PPM * use[terms.even_columns[i, k]] + room) // (2 * room)
                off = ratio - terms.even_mean[i, k]
                cost += off * off
    for i in range(terms.soft_column.shape[0]):
        over = use[terms.soft_column[i]] - terms.soft_limit[i, host]
        if over > 0:
            cost += terms.soft_weight[i] * over
    for i in range(terms.ratio_columns.shape[0]):
        first = terms.ratio_capacity[i, host, 0] - use[terms.ratio_columns[i, 0]]
        second = terms.ratio_capacity[i, host, 1] - use[terms.ratio_columns[i, 1]]
        short = terms.ratio_target[i] * first - second
        if short > 0:
            cost += terms.ratio_weight[i] * short
    for i in range(terms.slot_column.shape[0]):
        free = terms.slot_capacity[i, host] - use[terms.slot_column[i]]
        if free > 0:
            cost -= terms.slot_worth[i] * (free // terms.slot_size[i])
    for i in range(terms.watt_column.shape[0]):
        if terms.watt_of[i, host] >= 0:
            cost += draw(terms, terms.watt_of[i, host], use[terms.watt_column[i]])
    return cost


@compiled
def draw(terms: Terms, curve: int, load: int) -> int:
    """Return the milliwatts of a curve at a load, rounded up."""
    points = terms.watt_points[curve]
    if points == 1:
        return terms.watt_milliwatts[curve, 0]
    at, milliwatts = terms.watt_at[curve], terms.watt_milliwatts[curve]
    load = min(load, at[points - 1])
    part = 0
    while part < points - 2 and at[part + 1] <= load:
        part += 1
    rise, run = milliwatts[part + 1] - milliwatts[part], at[part + 1] - at[part]
    return milliwatts[part] - (-(load - at[part]) * rise) // run


@compiled
def overload_cost(tables: Tables, host: int, use: Ints) -> int:
    """Return the overload of a host at `use` int64[resources]: only where some host can be over a limit."""
    if tables.over.shape[0] == 0 or not tables.plannable[host]:
        return 0
    cost = 0
    for k in range(tables.over.shape[0]):
        r = tables.over[k]
        excess = use[r] - tables.limit[host, r]
        if excess > 0:
            cost -= (-excess * tables.overload_scale[r]) // tables.overload_room[host, r]
    return cost
