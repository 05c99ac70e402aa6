"""Set exchanges: what is made is exact and within all limits, and nothing that fits and gains is overlooked."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scheduler.solver.evaluate import evaluate, why_not_valid
from scheduler.solver.goal import GoalArrays
from scheduler.solver.instance import Instance, make_instance
from scheduler.solver.kernels.even import evenness_alone, make_even
from scheduler.solver.kernels.few import make_few
from scheduler.solver.kernels.sets import COMING, LEAVING, make_sets, relieve
from scheduler.solver.kernels.state import BROKEN, GOAL, LEFT, MIB, MOVES, OVERLOAD, move_all
from scheduler.solver.terms import EvenUse
from tests.scheduler.solver.instances import instances
from tests.scheduler.solver.kernels.test_few_laws import evened
from tests.scheduler.solver.kernels.test_kernel_laws import check, started

ROUNDING = 10**7
"""More than rounding of fractions can amount to in squared millionths."""


def uneven(room: list[int], guests: list[tuple[int, int, int]], max_moves: int | None = None) -> Instance:
    """Hosts with so much room of both resources and guests (CPU, memory, host), to be as even as can be."""
    capacity = np.repeat(np.array(room, dtype=np.int64)[:, None], 2, axis=1)
    demand = np.array([guest[:2] for guest in guests], dtype=np.int64)
    mean = demand.sum(axis=0) * 1_000_000 // capacity.sum(axis=0)
    even = EvenUse((0, 1), capacity, np.ones((len(room), 2), dtype=np.bool_), mean)
    return make_instance(
        demand=demand,
        capacity=capacity,
        home=np.array([guest[2] for guest in guests], dtype=np.intp),
        goal=GoalArrays(
            (even,),
            np.zeros(len(guests), dtype=np.int64),
            np.zeros(len(room), dtype=np.bool_),
            np.zeros(len(guests), dtype=np.int64),
        ),
        mib=demand[:, 1],
        max_moves=max_moves,
    )


@st.composite
def clusters(draw: st.DrawFn) -> Instance:
    """Three hosts with up to four guests each, nothing over its room."""
    sizes = st.integers(1, 9)
    guests = draw(st.lists(st.tuples(sizes, sizes, st.integers(0, 2)), min_size=2, max_size=10))
    held = np.zeros((3, 2), dtype=np.int64)
    for cpu, memory, host in guests:
        held[host] += (cpu, memory)
    room = draw(st.lists(st.integers(0, 12), min_size=3, max_size=3))
    return uneven([int(most) + more for most, more in zip(held.max(axis=1) + 1, room, strict=True)], guests)


def subsets(guests: list[int], most: int) -> list[tuple[int, ...]]:
    """All sets of at most so many guests."""
    return [chosen for size in range(most + 1) for chosen in combinations(guests, size)]


def gain_by_trying(instance: Instance, host: int) -> int:
    """What the best set exchange of a host with any other gains, by the reference evaluation."""
    goal, best = evaluate(instance, instance.home).goal, 0
    for other in range(instance.hosts):
        if other == host:
            continue
        here = np.flatnonzero(instance.home == host).tolist()
        there = np.flatnonzero(instance.home == other).tolist()
        for leaving in subsets(here, LEAVING):
            for coming in subsets(there, COMING):
                place = instance.home.copy()
                place[list(leaving)] = other
                place[list(coming)] = host
                if why_not_valid(instance, place) is None:
                    best = max(best, goal - evaluate(instance, place).goal)
    return best


@settings(deadline=None, max_examples=150)
@given(clusters(), st.integers(0, 2))
def test_the_exchange_made_gains_as_much_as_the_best_by_trying_all(instance: Instance, host: int) -> None:
    """With no cap on moves and no price of memory, to within rounding."""
    tables, state = started(instance)
    goal = int(state.totals[GOAL])
    made = relieve(tables, state, make_even(tables, state.use), make_few(tables, 10**6, 0.0), make_sets(), 0.0, host)
    gained = goal - int(state.totals[GOAL])
    check(instance, state)
    assert why_not_valid(instance, state.place) is None
    assert made == (gained > 0)
    assert gained >= gain_by_trying(instance, host) - ROUNDING


@settings(deadline=None, max_examples=200)
@given(instances(most_hosts=5, most_guests=9), st.integers(0, 2**31), st.floats(0.0, 1e9))
def test_what_is_made_is_exact_valid_and_worth_its_memory(instance: Instance, seed: int, price: float) -> None:
    """With rules, caps and prices of moves, and a ceiling that is passed: `even` is kept up to date too."""
    instance = evened(instance, seed)
    instance = replace(instance, limit=instance.cap)
    tables, state = started(instance, seed)
    assume(not state.totals[[BROKEN, OVERLOAD, LEFT]].any())
    assert evenness_alone(tables)
    even, few, sets = make_even(tables, state.use), make_few(tables, 0, 0.0), make_sets()
    for host in [*range(instance.hosts), *range(instance.hosts)]:
        goal, mib = state.totals[[GOAL, MIB]].tolist()
        made = relieve(tables, state, even, few, sets, price, host)
        check(instance, state)
        assert why_not_valid(instance, state.place) is None
        assert np.array_equal(even.off, make_even(tables, state.use).off)
        energy = state.totals[GOAL] - goal + price * (state.totals[MIB] - mib)
        assert energy < 0 if made else (state.totals[GOAL], state.totals[MIB]) == (goal, mib)


def test_a_move_worth_little_is_taken_back_for_an_exchange_under_the_cap() -> None:
    """One for two makes all even, by three moves; three are allowed and one is made, of a guest of no weight."""
    sizes = [(445, 0), (150, 0), (160, 0), (200, 1), (170, 1), (165, 1), (1, 2), (644, 2)]
    instance = uneven([1000, 1000, 1000], [(size, size, host) for size, host in sizes], max_moves=3)
    tables, state = started(instance)
    place = instance.home.astype(np.int64)
    place[6] = 1
    move_all(tables, state, place)
    few, sets = make_few(tables, 10**6, 0.0), make_sets()
    assert relieve(tables, state, make_even(tables, state.use), few, sets, 0.0, 0)
    check(instance, state)
    assert state.totals[MOVES] == 3
    assert state.place[6] == 2
    assert evaluate(instance, state.place).goal < ROUNDING
