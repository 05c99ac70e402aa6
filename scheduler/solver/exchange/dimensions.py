"""The resources whose room must be tracked host by host: those that cost, and those that bind and nothing implies."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from scheduler.solver.forms import Bools, Ints
from scheduler.solver.instance import Instance
from scheduler.solver.kernels.tables import Tables

EXACT = 1 << 62


@dataclass(frozen=True, eq=False, slots=True)
class Dimensions:
    """`column` int64[n] are resources, `unit` int64[n] divides every demand of them.

    `held` bool[n] marks those in which guests that have left still count where they were.
    """

    column: Ints
    unit: Ints
    held: Bools


def dimensions(instance: Instance, tables: Tables, demand: Ints) -> Dimensions:
    """Return what to track, for the demands int64[kinds, resources] of all that can move."""
    cost = cost_columns(tables)
    bind = _not_implied(instance, tables, demand, cost)
    transient = set(tables.held.tolist())
    column: list[int] = []
    held: list[bool] = []
    for resource in sorted(cost | bind):
        if not demand[:, resource].any():
            continue
        at_both_ends = resource in transient and resource in bind
        reserved = bool((instance.headroom[:, resource] < instance.cap[:, resource]).any())
        if resource in cost or not at_both_ends or reserved:
            column.append(resource)
            held.append(False)
        if at_both_ends:
            column.append(resource)
            held.append(True)
    unit = [int(np.gcd.reduce(demand[:, resource])) for resource in column]
    return Dimensions(np.array(column, dtype=np.int64), np.array(unit, dtype=np.int64), np.array(held, dtype=np.bool_))


def cost_columns(tables: Tables) -> set[int]:
    """Return the resources that some host term looks at."""
    terms = tables.terms
    columns = (terms.even_columns, terms.soft_column, terms.ratio_columns, terms.slot_column, terms.watt_column)
    return {int(one) for part in columns for one in part.reshape(-1)}


def _not_implied(instance: Instance, tables: Tables, demand: Ints, cost: set[int]) -> set[int]:
    """Return the resources that bind and that no other tracked one keeps within their caps by itself."""
    bind = set(tables.columns.tolist())
    transient = set(tables.held.tolist())
    stuck = np.ones(instance.guests, dtype=np.bool_)
    stuck[instance.movable] = False
    fixed = np.zeros_like(instance.cap)
    np.add.at(fixed, instance.host_of(instance.home[stuck]), instance.demand_at(instance.home)[stuck])
    # Those that do not cost go first: one that costs is tracked anyway.
    for resource in sorted(bind, key=lambda one: (one in cost, -one)):
        for other in sorted(bind - {resource}):
            alike = resource not in transient or other in transient
            if alike and _implies(instance, fixed, demand, other, resource):
                bind.discard(resource)
                break
    return bind


def _implies(instance: Instance, fixed: Ints, demand: Ints, first: int, then: int) -> bool:
    """Tell whether hosts within their caps of one resource are always within those of another."""
    used = demand[:, then] > 0
    if (demand[used, first] == 0).any():
        return False
    most = instance.cap[:, first] - fixed[:, first]
    least = np.minimum(instance.cap, instance.headroom)[:, then] - fixed[:, then]
    pairs = np.unique(np.stack((most, least), axis=1), axis=0)
    ratios = np.unique(demand[used][:, [first, then]], axis=0)
    if int(pairs.max(initial=0)) * int(ratios.max(initial=0)) > EXACT:
        return False
    reach = np.maximum(0, pairs[:, :1]) * ratios[:, 1][None, :]
    return bool((reach <= pairs[:, 1:] * ratios[:, 0][None, :]).all())


def bounded_by(demand: Ints, looked_at: Bools) -> tuple[Ints, Ints]:
    """Return for each dimension the one that bounds its use, int64[n] (-1: none), and by what fraction, int64[n, 2].

    `demand` is int64[kinds, n]. Only those that no cost looks at are bounded, and only by those that some does.
    """
    within = np.full(len(looked_at), -1, dtype=np.int64)
    ratio = np.ones((len(looked_at), 2), dtype=np.int64)
    for one in np.flatnonzero(~looked_at).tolist():
        least = None
        for other in np.flatnonzero(looked_at).tolist():
            takes = demand[demand[:, one] > 0]
            if (takes[:, other] == 0).any():
                continue
            top, bottom = max(zip(takes[:, one].tolist(), takes[:, other].tolist(), strict=True), key=_quotient)
            if least is None or _quotient((top, bottom)) < least:
                least = _quotient((top, bottom))
                within[one], ratio[one] = other, (top, bottom)
    return within, ratio


def _quotient(pair: tuple[int, int]) -> Fraction:
    return Fraction(*pair)
