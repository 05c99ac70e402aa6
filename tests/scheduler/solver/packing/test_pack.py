"""Packing leaves valid placements, never worse ones, and on tiny instances as few hosts as trying everything does."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given, note, settings
from hypothesis import strategies as st

from benchmarks.packing.adapter import to_instance
from benchmarks.packing.instance import Packing
from cluster.clock import SystemClock
from scheduler.solver.evaluate import evaluate, why_not_valid
from scheduler.solver.instance import Instance
from scheduler.solver.meter import Budget, Meter
from scheduler.solver.packing import applies, pack
from scheduler.solver.search import Search
from scheduler.solver.solve import search_of
from tests.scheduler.solver.instances import instances

WORK = 0.02
"""Some hundred thousand proposals."""


def packed(instance: Instance, work: float = WORK, seed: int = 1) -> Search:
    """The search after packing with a work limit."""
    search = search_of(instance)
    pack(search, Meter(Budget(work_limit=work, seed=seed), SystemClock(), None))
    return search


@st.composite
def packings(draw: st.DrawFn, most_items: int = 6) -> Packing:
    """Items of up to 10 in one to three dimensions, bins of 10 in each."""
    dimensions = draw(st.integers(1, 3))
    item = st.tuples(*[st.integers(0, 10)] * dimensions)
    sizes = draw(st.lists(item, min_size=1, max_size=most_items))
    return Packing("drawn", "x", np.full(dimensions, 10), np.array(sizes, dtype=np.int64))


def fewest(packing: Packing) -> int:
    """The fewest bins, by trying every way."""
    items = len(packing.sizes)
    best = items
    for place in product(range(items), repeat=items):
        used = np.zeros((items, len(packing.capacity)), dtype=np.int64)
        np.add.at(used, list(place), packing.sizes)
        if (used <= packing.capacity).all():
            best = min(best, len(set(place)))
    return best


@settings(deadline=None, max_examples=40)
@given(packings(most_items=5))
def test_tiny_packings_take_the_fewest_bins_and_no_bound_is_above_them(packing: Packing) -> None:
    """Every item is in a bin, the bins are as few as can be, and the bound is not above."""
    search = packed(to_instance(packing))
    best = fewest(packing)
    assert search.value.left == 0
    assert search.value.goal == best
    assert search.bounds[4] <= best


@settings(deadline=None, max_examples=150)
@given(instances(), st.integers(1, 1000))
def test_any_instance_is_left_valid_and_never_worse(instance: Instance, seed: int) -> None:
    """Whatever rules, modes, caps and prices there are: the placement is valid and its value what it is said to be."""
    if not applies(instance):
        return
    search = packed(instance, seed=seed)
    note(f"{search.start} -> {search.value}")
    assert search.value <= search.start
    assert why_not_valid(instance, search.place, search.asleep) is None
    assert search.value == evaluate(instance, search.place, search.asleep)


@settings(deadline=None, max_examples=20)
@given(packings(most_items=30), st.integers(1, 1000))
def test_a_work_limit_gives_the_same_packing_again(packing: Packing, seed: int) -> None:
    """The same instance, seed and work limit: the same bin for every item."""
    first, second = packed(to_instance(packing), seed=seed), packed(to_instance(packing), seed=seed)
    assert first.place.tolist() == second.place.tolist()
