"""What holds for the elastic search: exact figures through states over capacity, and a best that is valid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count, pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.clock import SystemClock
from scheduler.solver.elastic.cooling import Cooling
from scheduler.solver.elastic.search import search_elastic, suits
from scheduler.solver.elastic.walk import SLICE_STEPS, Walk
from scheduler.solver.evaluate import BROKEN, GOAL, HARD, evaluate, why_not_valid
from scheduler.solver.goal import GoalArrays
from scheduler.solver.instance import Instance, make_instance
from scheduler.solver.kernels.pressure import LACKING, make_elastic
from scheduler.solver.kernels.tables import make_tables
from scheduler.solver.meter import Budget, Meter
from scheduler.solver.solve import search_of
from scheduler.solver.terms import EvenUse
from scheduler.solver.threads import side_by_side
from tests.scheduler.solver.instances import random_instance


def _suited(seed: int) -> Instance:
    """The first random instance from a seed on that the search suits, what it does not know left out."""
    return next(instance for number in count(seed) if (instance := _drawn(number)) is not None)


def _drawn(seed: int) -> Instance | None:
    drawn = random_instance(seed, 4, 6)
    if drawn.modes != 1 or drawn.outside >= 0 or not len(drawn.movable):
        return None
    goal = replace(drawn.goal, sleep=None, left=np.zeros_like(drawn.goal.left))
    instance = replace(
        drawn,
        goal=goal,
        limit=drawn.cap,
        headroom=drawn.cap,
        move_caps=(),
        max_moves=len(drawn.movable),
        max_mib=int(drawn.mib.sum()),
    )
    return instance if suits(instance) else None


def _meter(work: float) -> Meter:
    return Meter(Budget(work_limit=work), SystemClock(), None)


def _steps(many: int) -> Callable[[int], float]:
    left = [many]

    def progress(steps: int) -> float:
        left[0] -= steps
        return 1 - max(0, left[0]) / many

    return progress


def _check_figures(instance: Instance, walk: Walk) -> None:
    """Figures, room and what is short equal those of the reference; the best is valid and no worse than the start."""
    value = evaluate(instance, walk.state.place)
    # Overload is no figure of the walk: here it is what is short.
    assert walk.state.totals[[HARD, BROKEN, GOAL]].tolist() == [value.hard, value.broken, value.goal]
    room = instance.cap - instance.use(walk.state.place)
    held = instance.use_while_moving(walk.state.place)[:, instance.transient]
    room[:, instance.transient] = instance.cap[:, instance.transient] - held
    assert (walk.pressure.room == room).all()
    assert walk.pressure.figures[LACKING] == (room < 0).sum()
    assert why_not_valid(instance, walk.best) is None
    assert evaluate(instance, walk.best).goal == walk.best_goal <= evaluate(instance, instance.home).goal


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32 - 1), st.integers(0, 1000), st.sampled_from([1.0, 1e3, 1e9]), st.sampled_from([0.0, 4.0]))
def test_figures_stay_exact_over_capacity(seed: int, other: int, hot: float, pull: float) -> None:
    """They do after a walk, whatever its way."""
    instance = _suited(seed)
    tables = make_tables(instance)
    walk = Walk(tables, make_elastic(tables), instance.home, other)
    walk.anneal(_steps(20_000), Cooling(hot, 1.0), 0.0, 0.5, 500, pull)
    _check_figures(instance, walk)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_a_pull_keeps_guests_at_home(seed: int) -> None:
    """Where a guest's being away costs many times the temperature, hardly any is, whatever there would be to gain."""
    instance = _suited(seed)
    tables = make_tables(instance)
    walk = Walk(tables, make_elastic(tables), instance.home, 1)
    walk.anneal(_steps(20_000), Cooling(1e15, 1e15), 0.0, 0.5, 0, 40.0)
    assert (walk.state.place == instance.home).all()


def test_prices_keep_up_in_a_short_annealing() -> None:
    """While hosts lack something all along, their price grows many times over, however few slices there are."""
    room = np.full((2, 2), 10, dtype=np.int64)
    even = EvenUse((0, 0), room, np.ones((2, 2), dtype=np.bool_), np.full(2, 800_000, dtype=np.int64))
    goal = GoalArrays((even,), np.zeros(4, dtype=np.int64), np.zeros(2, dtype=np.bool_), np.zeros(4, dtype=np.int64))
    instance = make_instance(
        demand=np.full((4, 1), 4, dtype=np.int64),
        capacity=np.full((2, 1), 10, dtype=np.int64),
        home=np.array([0, 0, 1, 1], dtype=np.intp),
        goal=goal,
    )
    tables = make_tables(instance)
    walk = Walk(tables, make_elastic(tables), instance.home, 1)
    first = walk.price.copy()
    walk.anneal(_steps(100 * SLICE_STEPS), Cooling(1e15, 1e15), 0.0, 0.0, 0, 0.0)
    assert (walk.price > 10 * first).all()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_the_incumbent_is_valid_and_never_worse(seed: int) -> None:
    """What the search leaves keeps to every constraint and its value is at most that of the start."""
    search = search_of(_suited(seed))
    search_elastic(search, _meter(0.05))
    assert why_not_valid(search.instance, search.place) is None
    assert search.value == evaluate(search.instance, search.place) <= search.start


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_a_work_limit_makes_it_repeatable(seed: int) -> None:
    """The same seed and work limit give the same placement."""
    instance = _suited(seed)
    first, second = search_of(instance), search_of(instance)
    for search in (first, second):
        search_elastic(search, _meter(0.1))
    assert (first.place == second.place).all()


def test_what_a_thread_raises_is_raised() -> None:
    """An error in one of the parts side by side is not lost, and the other parts end first."""
    done = []

    def fails() -> None:
        raise ValueError("lost")

    try:
        side_by_side([fails, lambda: done.append(1)])
    except ValueError as error:
        assert str(error) == "lost"
        assert done == [1]
    else:
        raise AssertionError("nothing was raised")


def test_cooling_gives_time_to_where_energy_is_lost() -> None:
    """Fitted, it still falls from hot to cold, and the temperatures at which most was lost get most of the time."""
    cooling = Cooling(1e6, 1.0)
    assert np.isclose(cooling.at(0.5), 1e3)
    for done in np.linspace(0.0, 1.0, 200):
        temperature = cooling.at(float(done))
        cooling.measure(temperature, 1e9 if temperature > 1e4 else 0.0)
    cooling.fit()
    falling = [cooling.at(float(done)) for done in np.linspace(0.0, 1.0, 50)]
    assert np.isclose(falling[0], 1e6)
    assert np.isclose(falling[-1], 1.0)
    assert all(later <= earlier for earlier, later in pairwise(falling))
    assert sum(3e3 < one < 3e4 for one in falling) > 10
