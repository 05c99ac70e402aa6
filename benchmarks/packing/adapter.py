"""A packing instance as the engine's general array form: items are guests not yet placed, bins hosts that may sleep.

A bin in use costs 1, a sleeping one nothing; an item still outside counts in the tier before.
"""

from __future__ import annotations

import numpy as np

from benchmarks.integers import IntArray
from benchmarks.packing.evaluate import bins, first_fit
from benchmarks.packing.instance import Packing
from scheduler.solver.forms import Index
from scheduler.solver.goal import GoalArrays, SleepArrays
from scheduler.solver.instance import UNLIMITED, Instance, make_instance
from scheduler.solver.terms import Flat

SPARE_RATIO = 0.1
"""Bins offered beyond what first fit takes, so that placing every item is easy at first."""


def to_instance(packing: Packing) -> Instance:
    """Return the packing in the engine's form, the last host being the outside where all items start."""
    items, dimensions = packing.sizes.shape
    most = bins(packing, first_fit(packing)) if items else 0
    many = min(items, most + int(np.ceil(SPARE_RATIO * most)))
    capacity = np.full((many + 1, dimensions), UNLIMITED, dtype=np.int64)
    capacity[:many] = packing.capacity
    inside = np.arange(many + 1) < many
    cost = inside.astype(np.int64)
    goal = GoalArrays(
        terms=(Flat(cost),),
        price=np.zeros(items, dtype=np.int64),
        left=~inside,
        left_weight=np.ones(items, dtype=np.int64),
        sleep=SleepArrays(
            may=inside,
            asleep_cost=np.zeros(many + 1, dtype=np.int64),
            idle_cost=cost,
            offer=np.zeros((many + 1, 1), dtype=np.int64),
            need=np.zeros(1, dtype=np.int64),
        ),
        hosts=np.flatnonzero(inside).astype(np.intp),
    )
    return make_instance(
        demand=packing.sizes,
        capacity=capacity,
        home=np.full(items, many, dtype=np.intp),
        goal=goal,
        target=inside,
        outside=many,
    )


def to_placement(place: Index) -> IntArray:
    """Return the bin of each item; one that is still outside is in a bin of its own number, which is then overfull."""
    return place.astype(np.int64)
