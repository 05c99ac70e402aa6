"""Counts of guests per cell, and what a form has more or less broken when one of its members changes cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scheduler.solver.forms import Ints
from scheduler.solver.kernels.compiled import compiled
from scheduler.solver.kernels.tables import APART, AT_LEAST, TOGETHER, WITHIN, Groups


@compiled
def occupy(groups: Groups, counts: NDArray[np.int32], occupied: Ints, f: int, kind: int, host: int, sign: int) -> None:
    """Count a member of form f in or out (`sign` 1 or -1) of the cell of a host."""
    cell = groups.cell[groups.partition[f], host]
    if groups.type[f] == WITHIN:
        counts[groups.offset[f] + 3 * cell + kind] += sign
        return
    at = groups.offset[f] + cell
    counts[at] += sign
    if sign > 0 and counts[at] == 1:
        occupied[f] += 1
    elif sign < 0 and counts[at] == 0:
        occupied[f] -= 1


@compiled
def change_of_form(
    groups: Groups, counts: NDArray[np.int32], occupied: Ints, f: int, kind: int, source: int, target: int
) -> int:
    """Return the change of what form f counts as broken when a member goes from one cell to another."""
    form, at = groups.type[f], groups.offset[f]
    if form == WITHIN:
        return _change_within(counts, at + 3 * source, at + 3 * target, kind)
    here, there = counts[at + source], counts[at + target]
    if form == APART:
        return there - (here - 1)
    if form == TOGETHER:
        return (here - 1) - there
    if form == AT_LEAST:
        now = occupied[f]
        then = now - (1 if here == 1 else 0) + (1 if there == 0 else 0)
        return max(0, groups.at_least[f] - then) - max(0, groups.at_least[f] - now)
    return (1 if target == 0 else 0) - (1 if source == 0 else 0)


@compiled
def _change_within(counts: NDArray[np.int32], source: int, target: int, kind: int) -> int:
    before = _alone(counts[source], counts[source + 1], counts[source + 2])
    before += _alone(counts[target], counts[target + 1], counts[target + 2])
    counts[source + kind] -= 1
    counts[target + kind] += 1
    after = _alone(counts[source], counts[source + 1], counts[source + 2])
    after += _alone(counts[target], counts[target + 1], counts[target + 2])
    counts[source + kind] += 1
    counts[target + kind] -= 1
    return after - before


@compiled
def _alone(dependants: int, providers: int, both: int) -> int:
    """Return how many in a cell have no provider there other than themselves."""
    if providers + both == 0:
        return dependants
    return 1 if providers == 0 and both == 1 else 0
