"""Evenness weighed quickly: how far hosts are from the mean, as fractions that are worked out from the use each time.

For goals of squares alone, with one mode and nobody asleep (`evenness_alone`). Such a goal changes by a (2 x + a) for
each resource when a guest that takes a of a host's room comes to one that is x over the mean: no division, and the
same whatever else moves. The integers of `cost` differ from it by their rounding only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scheduler.solver.forms import Ints
from scheduler.solver.kernels.compiled import compiled, example
from scheduler.solver.kernels.cost import PPM
from scheduler.solver.kernels.state import State
from scheduler.solver.kernels.tables import EXTRAS, OUTSIDE, Tables

Figures = NDArray[np.float64]


class Even(NamedTuple):
    """Millionths of a host's room, for the two resources that are to be even.

    `off` float64[hosts, 2] is the use over the mean, `scale` float64[hosts, 2] what a unit of demand takes, `mean`
    float64[hosts, 2]; all 0 where a host does not count. `demand` float64[guests, 2]. `alone` int64[1] is 1 where
    that is all the goal is made of besides prices of moves; else the arrays are empty.

    `bare` int64[1] is 1 where nothing but room decides who may be where: then `most` int64[hosts, resources] keeps a
    host with a guest from elsewhere within all limits, `most_native` int64[hosts, resources] any other.
    """

    off: Figures
    scale: Figures
    mean: Figures
    demand: Figures
    alone: Ints
    bare: Ints
    most: Ints
    most_native: Ints


def evenness_alone(tables: Tables) -> bool:
    """Tell whether host terms are the squares of one pair of resources, and what a move costs goes by guest."""
    terms = tables.terms
    others = (terms.soft_column, terms.ratio_columns, terms.slot_column, terms.watt_column)
    if len(terms.even_columns) != 1 or any(len(one) for one in others) or tables.demand.shape[1] != 1:
        return False
    return not (tables.figures[EXTRAS] or tables.may_sleep.any() or tables.pair_price.any())


def room_alone(tables: Tables) -> bool:
    """Tell whether masks, room and the cap on moves are all that decides: nobody is to be placed or left either."""
    groups = tables.groups
    others = (groups.type, groups.cap_most, tables.held)
    return not any(len(one) for one in others) and not tables.left.any() and tables.figures[OUTSIDE] < 0


def make_even(tables: Tables, use: Ints) -> Even:
    """Return the fractions for a use int64[hosts, resources]."""
    alone = np.array([int(evenness_alone(tables))], dtype=np.int64)
    bare = np.array([int(room_alone(tables))], dtype=np.int64)
    limit = np.where(tables.plannable[:, None], tables.limit, tables.cap)
    most, most_native = np.minimum(limit, tables.headroom), np.minimum(limit, tables.cap)
    if not alone[0]:
        nothing = np.zeros((0, 2), dtype=np.float64)
        return Even(nothing, nothing, nothing, nothing, alone, bare, most, most_native)
    terms = tables.terms
    columns = terms.even_columns[0]
    scale = np.where(terms.even_counted[0], PPM / terms.even_room[0], 0.0)
    mean = np.where(terms.even_counted[0], terms.even_mean[0], 0).astype(np.float64)
    demand = np.ascontiguousarray(tables.demand[:, 0, columns], dtype=np.float64)
    off = np.ascontiguousarray(use[:, columns] * scale - mean)
    scale, mean = np.ascontiguousarray(scale), np.ascontiguousarray(mean)
    return Even(off, scale, mean, demand, alone, bare, most, most_native)


example(Even, lambda tables: make_even(tables, np.zeros((len(tables.cap), tables.demand.shape[2]), dtype=np.int64)))


@compiled
def read_use(tables: Tables, state: State, even: Even, h: int) -> None:
    """Work a host's fractions out again from its use."""
    for k in range(2):
        even.off[h, k] = state.use[h, tables.terms.even_columns[0, k]] * even.scale[h, k] - even.mean[h, k]


@compiled
def change_at(even: Even, h: int, first: float, second: float) -> float:
    """Return the change of the goal when a host's use grows by so much of the two resources."""
    a, b = first * even.scale[h, 0], second * even.scale[h, 1]
    return a * (a + 2.0 * even.off[h, 0]) + b * (b + 2.0 * even.off[h, 1])


@compiled
def least_change_at(even: Even, h: int, g: int) -> float:
    """Return what a guest's coming changes the goal by, in integers, at least."""
    x, y = even.off[h, 0], even.off[h, 1]
    new_x, new_y = x + even.demand[g, 0] * even.scale[h, 0], y + even.demand[g, 1] * even.scale[h, 1]
    # Rounded to integers, a fraction is off by a half and its square by itself and a quarter.
    rounding = abs(x) + abs(y) + abs(new_x) + abs(new_y) + 2.0
    return new_x * new_x - x * x + new_y * new_y - y * y - rounding
