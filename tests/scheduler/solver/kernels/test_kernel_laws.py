"""What holds for the compiled search on any instance: its figures are the exact ones, and what it leaves is valid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.solver.evaluate import evaluate, why_not_valid
from scheduler.solver.instance import Instance
from scheduler.solver.kernels.anneal import anneal, sample_costs
from scheduler.solver.kernels.evacuate import empty_hosts
from scheduler.solver.kernels.mend import mend_each
from scheduler.solver.kernels.state import State, make_state, move_all
from scheduler.solver.kernels.tables import Tables, make_tables
from tests.scheduler.solver.instances import instances

HOT = 1e12
COLD = 0.0


def check(instance: Instance, state: State) -> None:
    """The totals are those of the reference evaluation, and the placement keeps to every constraint."""
    assert why_not_valid(instance, state.place) is None
    assert tuple(state.totals[:7].tolist()) == tuple(evaluate(instance, state.place, state.asleep))
    assert not state.totals[7:].any()


def started(instance: Instance, seed: int = 1) -> tuple[Tables, State]:
    """Tables and the state of the start."""
    tables = make_tables(instance)
    return tables, make_state(tables, instance.home, seed)


@settings(deadline=None, max_examples=300)
@given(instances(), st.integers(0, 2**31), st.integers(0, 1024))
def test_totals_stay_exact_and_valid_after_any_walk(instance: Instance, seed: int, swaps: int) -> None:
    """Hot, warm or cold: after any accepted moves the figures equal those of the reference, and nothing is broken."""
    tables, state = started(instance, seed)
    check(instance, state)
    for temperature in (HOT, 100.0, COLD):
        anneal(tables, state, 60, temperature, swaps)
        check(instance, state)


@settings(deadline=None, max_examples=150)
@given(instances(), st.integers(0, 2**31))
def test_a_cold_search_never_gets_worse(instance: Instance, seed: int) -> None:
    """Without temperature, mending and emptying only ever lower the value, tier by tier."""
    tables, state = started(instance, seed)
    value = evaluate(instance, state.place, state.asleep)
    movable = np.asarray(instance.movable, dtype=np.int64)
    hosts = np.arange(instance.hosts, dtype=np.int64)
    searches: tuple[Callable[[], object], ...] = (
        lambda: mend_each(tables, state, movable),
        lambda: empty_hosts(tables, state, hosts),
        lambda: anneal(tables, state, 50, COLD, 300),
    )
    for search in searches:
        search()
        check(instance, state)
        now = evaluate(instance, state.place, state.asleep)
        assert now[:5] <= value[:5]
        value = now


@settings(deadline=None, max_examples=60)
@given(instances(), st.integers(0, 2**31))
def test_a_walk_there_and_back_leaves_everything_as_it_was(instance: Instance, seed: int) -> None:
    """Moving all guests somewhere and home again restores every count, cost and total."""
    tables, state = started(instance, seed)
    anneal(tables, state, 80, HOT, 200)
    move_all(tables, state, np.asarray(instance.home, dtype=np.int64))
    fresh = make_state(tables, instance.home, seed)
    for name in (
        "use",
        "gone",
        "count",
        "came",
        "cost",
        "over",
        "counts",
        "broken",
        "occupied",
        "cap_moved",
        "crowd_most",
    ):
        assert np.array_equal(getattr(state, name), getattr(fresh, name)), name
    assert evaluate(instance, state.place, state.asleep)[:4] == evaluate(instance, fresh.place, fresh.asleep)[:4]


@settings(deadline=None, max_examples=30)
@given(instances(), st.integers(0, 2**31))
def test_the_same_seed_walks_the_same_way(instance: Instance, seed: int) -> None:
    """Two searches of the same seed end in the same placement."""
    ends = []
    for _ in range(2):
        tables, state = started(instance, seed)
        costs = np.zeros(8, dtype=np.int64)
        sample_costs(tables, state, costs)
        anneal(tables, state, 100, 50.0, 300)
        ends.append(state.place.copy())
    assert np.array_equal(ends[0], ends[1])
