"""What cells may use of limits on moves that go for all of them together: shares whose sum is within the whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scheduler.solver.evaluate import Counts
from scheduler.solver.forms import Bools, Index, Ints
from scheduler.solver.instance import UNLIMITED, Instance

Shares = NDArray[np.float64]


def share_out(amount: int, weights: Shares) -> list[int]:
    """Return whole numbers that sum to `amount` (at least 0), in proportion to weights, largest remainders first."""
    cells = len(weights)
    whole = float(weights.sum())
    parts = np.full(cells, 1 / cells) if whole <= 0 else weights / whole
    exact = parts * amount
    least = np.floor(exact).astype(np.int64)
    # Rounding of a very large amount could pass it by a few.
    while int(least.sum()) > amount:
        least[int(np.argmax(least))] -= 1
    missing = amount - int(least.sum())
    order = np.argsort(-(exact - least), kind="stable")
    for i in range(missing):
        least[order[i % cells]] += 1
    return [int(one) for one in least.tolist()]


def where_cost_sits(instance: Instance, place: Index, counts: Counts, cell_of: Index, cells: int) -> Shares:
    """Return what share of the moves each cell should have, float[cells], by what there is to mend and to gain.

    Guests to be moved off and what is over limits or broken count half where there is any, then cost above the
    cheapest host's, then movable guests, so that no cell is left without.
    """
    hosts = instance.host_of(place)
    inside = cell_of >= 0
    trouble = (counts.overload > 0).astype(np.float64)
    np.add.at(trouble, hosts, instance.goal.left[hosts].astype(np.float64))
    for form, broken in zip(instance.forms, counts.broken.tolist(), strict=True):
        if broken and form.binding:
            np.add.at(trouble, hosts[form.members], 1.0)
    costs = counts.costs.astype(np.float64)
    costs -= costs[inside].min() if inside.any() else 0.0
    movable = np.bincount(hosts[instance.movable], minlength=instance.hosts).astype(np.float64)
    weights = np.zeros(cells)
    for part, figures in ((0.5, trouble), (0.4, costs), (0.1, movable)):
        summed = np.bincount(cell_of[inside], figures[inside], minlength=cells)
        if summed.sum() > 0:
            weights += part * summed / summed.sum()
    return weights


def share_caps(
    instance: Instance, place: Index, guest_cell: Index, native: Bools, weights: Shares
) -> tuple[list[int], list[int], list[list[int]]]:
    """Return for every cell its most moves, its most MiB, and its most of every move cap.

    `guest_cell` int[guests] and `native` bool[guests]: whether a guest's home is in its cell. Moved guests that are not
    native count against the whole for good; those that are count in their cell.
    """
    moved = instance.moved(place)
    ones = np.ones(instance.guests, dtype=np.int64)
    everyone = np.arange(instance.guests)
    moves = [UNLIMITED] * len(weights)
    if instance.max_moves < len(instance.movable):
        moves = _parts(instance.max_moves, ones, everyone, moved, guest_cell, native, weights)
    mib = [UNLIMITED] * len(weights)
    if instance.max_mib < UNLIMITED:
        mib = _parts(instance.max_mib, instance.mib, everyone, moved, guest_cell, native, weights)
    caps = [_parts(cap.at_most, ones, cap.members, moved, guest_cell, native, weights) for cap in instance.move_caps]
    return moves, mib, [[cap[cell] for cap in caps] for cell in range(len(weights))]


def _parts(
    most: int, amount: Ints, members: Index, moved: Bools, guest_cell: Index, native: Bools, weights: Shares
) -> list[int]:
    """Share one limit: what is used stays where it is, what is left goes by weight among cells that have members."""
    gone = members[moved[members]]
    left = max(0, most - int(amount[gone].sum()))
    ours = gone[native[gone]]
    used = np.zeros(len(weights), dtype=np.int64)
    np.add.at(used, guest_cell[ours], amount[ours])
    has = np.bincount(guest_cell[members], minlength=len(weights)) > 0
    shares = share_out(left, np.where(has, weights, 0.0))
    return [int(own) + share for own, share in zip(used.tolist(), shares, strict=True)]
