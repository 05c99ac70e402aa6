"""What few moves are used for: less imbalance for no more memory than steepest descent, and no move for nothing."""

from __future__ import annotations

from dataclasses import replace
from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.generate import generate
from cluster.clock import SystemClock
from policies.registry import make_problem
from scheduler.solver.evaluate import Value, evaluate, why_not_valid
from scheduler.solver.few import few_moves_bind, use_few_moves
from scheduler.solver.goal import GoalArrays
from scheduler.solver.instance import Instance, make_instance
from scheduler.solver.kernels.even import make_even
from scheduler.solver.kernels.state import GOAL, MIB, MOVES
from scheduler.solver.kernels.steepest import descend, look_at, make_entries
from scheduler.solver.local import Local
from scheduler.solver.lower import lower_problem
from scheduler.solver.meter import Budget, Meter
from scheduler.solver.relieve import DEARER
from scheduler.solver.terms import FreeSlots
from tests.scheduler.solver.instances import instances


def metered(work: float) -> Meter:
    """A meter with a work limit."""
    return Meter(Budget(work_limit=work), SystemClock(), None)


def balance(hosts: int, guests: int, max_moves: int, level: int = 5, seed: int = 1) -> Instance:
    """The balance of a skewed cluster."""
    problem = make_problem("balance", generate(hosts, guests, seed=seed), level=level, max_moves=max_moves)
    return lower_problem(problem).instance


def plain_descent(instance: Instance) -> tuple[int, int]:
    """The goal and the MiB moved of as many best shifts as moves are allowed."""
    local = Local(instance, instance.home, 1)
    entries = make_entries(local.tables, np.arange(instance.hosts, dtype=np.int64))
    even = make_even(local.tables, local.state.use)
    look_at(local.tables, local.state, even, entries, 0, instance.guests)
    descend(local.tables, local.state, even, entries, instance.max_moves)
    return int(local.state.totals[GOAL]), int(local.state.totals[MIB])


@pytest.mark.parametrize(("hosts", "guests", "max_moves"), [(20, 200, 20), (30, 300, 60), (12, 200, 10)])
def test_less_imbalance_for_no_more_memory_than_steepest_descent(hosts: int, guests: int, max_moves: int) -> None:
    """With price 0 the descent's MiB are the ceiling, and its goal is beaten."""
    for seed in (1, 2, 3):
        instance = balance(hosts, guests, max_moves, seed=seed)
        goal, mib = plain_descent(instance)
        local = Local(instance, instance.home, 1)
        assert use_few_moves(local, metered(0.05)) == mib
        found = evaluate(instance, local.best)
        assert why_not_valid(instance, local.best) is None
        assert found.goal < goal
        assert found.mib <= mib


def worth_its_memory(instance: Instance, value: Value, ceiling: int) -> bool:
    """Whether a stalled descent's goal fell by five per cent for each per cent of MiB above the ceiling."""
    most = plain_descent(instance)[0] * exp(-DEARER * (value.mib - ceiling) / ceiling)
    return value.goal <= most * (1 + 1e-6)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_misfits_are_relieved_where_no_shift_helps_any_more(seed: int) -> None:
    """Half of what the descent leaves goes, by sets of guests; memory above the descent's is worth it."""
    instance = balance(20, 200, 80, seed=seed)
    goal, mib = plain_descent(instance)
    local = Local(instance, instance.home, 1)
    assert use_few_moves(local, metered(0.05)) == mib
    found = evaluate(instance, local.best)
    assert why_not_valid(instance, local.best) is None
    assert found.goal < goal / 2
    assert found.mib <= mib or worth_its_memory(instance, found, mib)


def test_moves_with_a_price_have_no_ceiling() -> None:
    """At level 3 each MiB has its price in the goal, which alone decides."""
    instance = balance(20, 200, 20, level=3)
    goal, _ = plain_descent(instance)
    local = Local(instance, instance.home, 1)
    assert use_few_moves(local, metered(0.05)) is None
    assert evaluate(instance, local.best).goal < goal


def slots(free: list[int], guests: list[tuple[int, int]], max_moves: int) -> Instance:
    """Hosts with so much room and guests (size, host); each whole four that is free is wanted."""
    capacity = np.array(free, dtype=np.int64)[:, None]
    goal = GoalArrays(
        terms=(FreeSlots(0, capacity[:, 0], 4),),
        price=np.zeros(len(guests), dtype=np.int64),
        left=np.zeros(len(free), dtype=np.bool_),
        left_weight=np.zeros(len(guests), dtype=np.int64),
    )
    demand = np.array([[size] for size, _ in guests], dtype=np.int64)
    home = np.array([host for _, host in guests], dtype=np.intp)
    return make_instance(demand=demand, capacity=capacity, home=home, goal=goal, max_moves=max_moves)


def test_an_exchange_that_no_single_shift_leads_to_is_found() -> None:
    """Two hosts have two free each and no guest so small; a five for a three makes four free on one of them."""
    instance = slots([10, 10], [(5, 0), (3, 0), (5, 1), (3, 1)], 2)
    assert plain_descent(instance)[0] == 0
    local = Local(instance, instance.home, 1)
    assert use_few_moves(local, metered(0.02)) is None
    assert evaluate(instance, local.best).goal == -1
    assert why_not_valid(instance, local.best) is None


def test_where_nothing_can_be_gained_nothing_moves() -> None:
    """Guests that could go anywhere for nothing stay at home."""
    instance = slots([8, 8, 8], [(4, 0), (4, 1)], 2)
    local = Local(instance, instance.home, 1)
    use_few_moves(local, metered(0.02))
    assert np.array_equal(local.best, instance.home)
    assert local.state.totals[MOVES] == 0


@settings(deadline=None, max_examples=100)
@given(instances(), st.integers(0, 2**31))
def test_never_worse_than_the_start_and_within_the_ceiling_or_worth_it(instance: Instance, seed: int) -> None:
    """On any instance, mended or not: valid, exact, no worse, and repeatable."""
    places = []
    for _ in range(2):
        local = Local(instance, instance.home, seed)
        start = local.key
        ceiling = use_few_moves(local, metered(0.01))
        assert why_not_valid(instance, local.best) is None
        assert local.best_key <= start
        value = evaluate(instance, local.best)
        assert local.best_key[3:] == (value.mib, value.moves)
        assert ceiling is None or value.mib <= ceiling or worth_its_memory(instance, value, ceiling)
        places.append(local.best)
    assert np.array_equal(places[0], places[1])


def test_moves_bind_when_fewer_than_guests_may_move() -> None:
    """A cap on moves or MiB below what there is binds."""
    instance = balance(12, 100, 10)
    assert few_moves_bind(instance)
    assert not few_moves_bind(replace(instance, max_moves=len(instance.movable)))
    assert few_moves_bind(replace(instance, max_moves=len(instance.movable), max_mib=5))
