"""An instance by shapes of guests and classes of hosts: what nothing tells apart is counted, not named.

A *shape* is guests of equal demand in every mode, equal targets, price and MiB; a *kind* is a shape in a mode. A
*class* is hosts of equal use, room and terms that hold as many movable guests of every kind and may take the same
kinds. Room is tracked in *dimensions*: the resources that a host term looks at, and those that can bind and are not
implied by another one; in units that divide every demand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scheduler.solver.exchange.dimensions import Dimensions, bounded_by, cost_columns, dimensions
from scheduler.solver.forms import Bools, Index, Ints
from scheduler.solver.instance import Instance
from scheduler.solver.kernels.tables import CROWD_WEIGHT, Tables, make_tables

MOST_SHAPES = 64
MOST_KINDS = 128
MOST_CLASSES = 2_000
MOST_STATES = 1 << 60
"""States of a host's room that a key can tell apart."""
SAMPLE = 1_000
"""Guests looked at before all are."""


class Classes(NamedTuple):
    """Classes of hosts, as compiled code reads them.

    `host` int64[classes] is one host of each; `many` int64[classes] counts them. `use` int64[classes, resources] is the
    use at the start, `room` int64[classes, dimensions] what is left of each dimension in its unit, and `spare` the room
    that a host must keep once it has received a guest. `held` int64[classes, kinds] counts movable guests at the
    start, `takes` bool[classes, kinds] tells what may come.
    """

    host: Ints
    many: Ints
    use: Ints
    room: Ints
    spare: Ints
    held: Ints
    takes: Bools


class Kinds(NamedTuple):
    """What kinds take of each dimension, as compiled code reads it.

    `leaves`, `enters` int64[kinds, dimensions]: room that a leaving guest gives back and an entering one takes.
    `column` int64[dimensions] is the resource, `unit` its unit; `seen` bool[dimensions] where room tells the use (not
    where departed guests still count). `stride` int64[dimensions] makes a key of a room. `within` int64[dimensions] is
    a dimension that bounds what can still be used of one that no cost looks at (else -1): at most `ratio`
    int64[dimensions, 2], a fraction, times as much.
    """

    leaves: Ints
    enters: Ints
    column: Ints
    unit: Ints
    seen: Bools
    stride: Ints
    within: Ints
    ratio: Ints


@dataclass(frozen=True, eq=False, slots=True)
class Aggregate:
    """An instance by shapes and classes.

    `shape_of` int[guests] (-1: stays), `class_of` int[hosts] (-1: nothing can change there); `shape`, `mode` int[kinds]
    of each kind; `price`, `mib` int64[shapes] of a move; `states` is how many keys of rooms there are.
    """

    instance: Instance
    tables: Tables
    shape_of: Index
    class_of: Index
    shape: Ints
    mode: Ints
    price: Ints
    mib: Ints
    classes: Classes
    kinds: Kinds
    states: int

    @property
    def shapes(self) -> int:
        """Number of shapes."""
        return len(self.price)


def applicable(instance: Instance) -> bool:
    """Tell whether moves are capped or priced, and hosts and guests have to do with each other by room alone."""
    goal = instance.goal
    price = goal.price[instance.movable]
    if goal.sleep is not None or instance.outside >= 0 or not goal.terms or not len(instance.movable):
        return False
    if goal.pair_price is not None and goal.pair_price.price.any():
        return False
    if price.min() < 0:
        return False
    return bool(
        instance.max_moves < len(instance.movable)
        or price.any()
        or int(instance.mib[instance.movable].sum()) > instance.max_mib
    )


def aggregate(instance: Instance) -> Aggregate | None:
    """Return the instance by shapes and classes; `None` where it is not `applicable` or has too many of either."""
    if not applicable(instance) or _shapes(instance, instance.movable[:SAMPLE], MOST_SHAPES) is None:
        return None
    tables = make_tables(instance)
    if _bound_together(instance, tables):
        return None
    found = _shapes(instance, instance.movable, MOST_SHAPES)
    if found is None:
        return None
    shape_of, examples = found
    shape, mode = np.nonzero(instance.usable[examples])
    demand = instance.demand[examples[shape], mode]
    if not 0 < len(shape) <= MOST_KINDS:
        return None
    some = dimensions(instance, tables, demand)
    if not len(some.column) or _weightless(demand, some):
        return None
    return _by_class(instance, tables, shape_of, examples, some, (shape, mode))


def _bound_together(instance: Instance, tables: Tables) -> bool:
    """Whether some movable guest is in a form that can break, in a group with a cap, or in a crowd that costs."""
    groups, movable = tables.groups, instance.movable
    entries = (groups.first[1:] > groups.first[:-1]) | (groups.cap_first[1:] > groups.cap_first[:-1])
    if tables.figures[CROWD_WEIGHT]:
        entries = entries | (groups.crowd >= 0)
    return bool(entries[movable].any())


def _weightless(demand: Ints, some: Dimensions) -> bool:
    """Whether some kind takes nothing of any dimension, so that a host could take any number of it."""
    return bool((demand[:, some.column] == 0).all(axis=1).any())


def _shapes(instance: Instance, guests: Index, most: int) -> tuple[Index, Index] | None:
    """Return the shape of every guest (-1 for others) and a guest of each; `None` where there are more than `most`."""
    mask = np.zeros(instance.guests, dtype=np.int64)
    mask[instance.movable] = _same_rows(instance.masks)[instance.mask_of]
    usable = instance.usable[guests]
    rows = np.concatenate(
        (
            np.where(usable[:, :, None], instance.demand[guests], 0).reshape(len(guests), -1),
            usable.astype(np.int64),
            np.stack((mask[guests], instance.goal.price[guests], instance.mib[guests]), axis=1),
        ),
        axis=1,
    )
    _, first, number = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    if len(first) > most:
        return None
    shape_of = np.full(instance.guests, -1, dtype=np.intp)
    shape_of[guests] = number.reshape(-1)
    return shape_of, guests[first]


def _same_rows(rows: Bools) -> Ints:
    """Return a number for each row, the same for equal rows, int64[rows]."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in rows], dtype=np.int64)


def _by_class(
    instance: Instance, tables: Tables, shape_of: Index, examples: Index, some: Dimensions, kinds: tuple[Index, Index]
) -> Aggregate | None:
    shape, mode = kinds
    hosts, column, unit = instance.hosts, some.column, some.unit
    demand = instance.demand[examples[shape], mode][:, column] // unit
    held, takes = _held(instance, shape_of, shape, mode), _takes(instance, examples, shape)
    takes |= (_of_shape(held, shape) > 0) & (instance.modes > 1)
    use = instance.use(instance.home)
    most = np.minimum(instance.cap, use + instance.demand[instance.movable].max(axis=1).sum(axis=0))
    left = (most - use)[:, column]
    room = left // unit
    spare = np.zeros_like(room)
    if instance.modes == 1:
        # With more modes a guest may change its own without being received: room to keep would forbid too much.
        short = np.maximum(0, most - instance.headroom)[:, column] - left % unit
        spare = np.where(some.held, 0, np.maximum(0, -(-short // unit)))
    changes = held.any(axis=1) | takes.any(axis=1)
    looked_at = sorted(cost_columns(tables).union(column.tolist()))
    rows = np.concatenate((use[:, looked_at], room, spare, held, takes, _terms_of(tables, hosts)), axis=1)[changes]
    _, first, number = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    if not 0 < len(first) <= MOST_CLASSES:
        return None
    class_of = np.full(hosts, -1, dtype=np.intp)
    class_of[changes] = number.reshape(-1)
    host = np.flatnonzero(changes)[first]
    leaves = np.where(some.held, 0, demand)
    radix = [int(one) + 1 for one in (room[host] + held[host] @ leaves).max(axis=0)]
    stride, states = [], 1
    for one in reversed(radix):
        stride.append(states)
        states *= one
        if states > MOST_STATES:
            return None
    within, ratio = bounded_by(demand, np.isin(column, sorted(cost_columns(tables))) & ~some.held)
    return Aggregate(
        instance=instance,
        tables=tables,
        shape_of=shape_of,
        class_of=class_of,
        shape=_ints(shape),
        mode=_ints(mode),
        price=_ints(instance.goal.price[examples]),
        mib=_ints(instance.mib[examples]),
        classes=Classes(
            host=_ints(host),
            many=np.bincount(number.reshape(-1)).astype(np.int64),
            use=_ints(use[host]),
            room=_ints(room[host]),
            spare=_ints(spare[host]),
            held=_ints(held[host]),
            takes=np.ascontiguousarray(takes[host]),
        ),
        kinds=Kinds(
            leaves=_ints(leaves),
            enters=_ints(demand),
            column=_ints(column),
            unit=_ints(unit),
            seen=~some.held,
            stride=np.array(stride[::-1], dtype=np.int64),
            within=within,
            ratio=ratio,
        ),
        states=states,
    )


def _ints(array: Ints | Index) -> Ints:
    return np.ascontiguousarray(array, dtype=np.int64)


def _held(instance: Instance, shape_of: Index, shape: Index, mode: Index) -> Ints:
    """Movable guests of each kind on each host at the start, int64[hosts, kinds]."""
    number = np.full((int(shape.max()) + 1, instance.modes), -1, dtype=np.intp)
    number[shape, mode] = np.arange(len(shape))
    guests = instance.movable
    held = np.zeros((instance.hosts, len(shape)), dtype=np.int64)
    kind = number[shape_of[guests], instance.home[guests] % instance.modes]
    np.add.at(held, (instance.host_of(instance.home[guests]), kind), 1)
    return held


def _of_shape(held: Ints, shape: Index) -> Ints:
    """Guests on each host of the shape of each kind, int64[hosts, kinds]."""
    summed = np.zeros((len(held), int(shape.max()) + 1), dtype=np.int64)
    np.add.at(summed.T, shape, held.T)
    return summed[:, shape]


def _takes(instance: Instance, examples: Index, shape: Index) -> Bools:
    """Which kinds each host may receive, bool[hosts, kinds]."""
    position = np.searchsorted(instance.movable, examples)
    takes: Bools = instance.masks[instance.mask_of[position]][shape].T.copy()
    if (instance.goal.left_weight[instance.movable] > 0).all():
        takes &= ~instance.goal.left[:, None]
    return takes


def _terms_of(tables: Tables, hosts: int) -> Ints:
    """What tells hosts apart in the host terms, int64[hosts, n]."""
    terms = tables.terms
    by_host = (
        terms.even_room.transpose(1, 0, 2),
        terms.even_counted.transpose(1, 0, 2),
        terms.soft_limit.T,
        terms.ratio_capacity.transpose(1, 0, 2),
        terms.slot_capacity.T,
        terms.watt_of.T,
        terms.flat[:, None],
    )
    return np.concatenate([part.reshape(hosts, -1).astype(np.int64) for part in by_host], axis=1)
