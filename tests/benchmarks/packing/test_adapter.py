"""The engine's form of a packing has its bins and its capacity."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.packing.adapter import to_instance, to_placement
from benchmarks.packing.evaluate import bins, broken, first_fit
from benchmarks.packing.instance import Packing
from scheduler.solver.evaluate import evaluate, why_not_valid

SIZES = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=1, max_size=8)


@given(SIZES, st.data())
def test_bins_and_capacity_are_the_packings(sizes: list[tuple[int, int]], data: st.DataObject) -> None:
    """For any placement inside: the goal is the bins in use, none is left, and valid exactly when nothing is over."""
    packing = Packing("new", "x", np.array([10, 10]), np.array(sizes, dtype=np.int64))
    instance = to_instance(packing)
    every = st.lists(st.integers(0, instance.hosts - 2), min_size=len(sizes), max_size=len(sizes))
    place = np.array(data.draw(every), dtype=np.intp)
    value = evaluate(instance, place)
    assert (value.left, value.goal, value.moves) == (0, bins(packing, to_placement(place)), 0)
    assert (why_not_valid(instance, place) is None) == (broken(packing, to_placement(place)) is None)


@given(SIZES)
def test_all_items_start_outside_and_first_fit_is_among_the_placements(sizes: list[tuple[int, int]]) -> None:
    """Nothing is placed at first; the yardstick's packing fits into the bins offered."""
    packing = Packing("new", "x", np.array([10, 10]), np.array(sizes, dtype=np.int64))
    instance = to_instance(packing)
    start = evaluate(instance, instance.home)
    assert (start.left, start.goal) == (len(sizes), 0)
    assert why_not_valid(instance, first_fit(packing).astype(np.intp)) is None
