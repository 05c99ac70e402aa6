"""Whatever valid answers the cells of an instance give, put together they are a valid answer to the whole."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.solver.cells.split import split
from scheduler.solver.evaluate import evaluate, why_not_valid
from scheduler.solver.forms import Index
from scheduler.solver.instance import Instance
from scheduler.solver.kernels.anneal import anneal
from scheduler.solver.kernels.evacuate import empty_hosts
from scheduler.solver.kernels.mend import mend_each
from scheduler.solver.kernels.state import make_state
from scheduler.solver.kernels.tables import make_tables
from tests.scheduler.solver.instances import instances

HOT, WARM, COLD = 1e12, 50.0, 0.0


def wander(instance: Instance, place: Index, seed: int, temperature: float) -> Index:
    """Some valid placement that the compiled search comes to from a valid one."""
    tables = make_tables(instance)
    state = make_state(tables, place, seed)
    mend_each(tables, state, np.asarray(instance.movable, dtype=np.int64))
    anneal(tables, state, 40, temperature, 300)
    empty_hosts(tables, state, np.arange(instance.hosts, dtype=np.int64))
    anneal(tables, state, 40, temperature, 300)
    assert why_not_valid(instance, place) is not None or why_not_valid(instance, state.place) is None
    return state.place.copy()


@settings(deadline=None, max_examples=400)
@given(instances(most_hosts=7, most_guests=9), st.integers(0, 2**20), st.integers(2, 4), st.sampled_from((HOT, WARM)))
def test_cells_answers_put_together_are_valid(instance: Instance, seed: int, cells: int, temperature: float) -> None:
    """Round after round, hosts dealt anew, strangers and all: no limit, rule or cap of the whole is broken."""
    place = instance.home
    for number in range(3):
        dealt = list(split(instance, place, cells, Random(seed + number)))
        merged = np.asarray(place).copy()
        for cell in dealt:
            answer = wander(cell.instance, cell.place, seed + number, temperature)
            merged[cell.guests] = cell.seats(answer)
        assert why_not_valid(instance, merged) is None, number
        place = merged
        if number == 0:
            place = wander(instance, place, seed, temperature)


@settings(deadline=None, max_examples=200)
@given(instances(most_hosts=7, most_guests=9), st.integers(0, 2**20), st.integers(2, 4))
def test_what_the_cells_gain_is_what_the_whole_gains(instance: Instance, seed: int, cells: int) -> None:
    """From the start, changes of the cells' values sum to the whole's, where nothing but hosts is counted."""
    place = instance.home
    merged = place.copy()
    gained = np.zeros(7, dtype=np.int64)
    exact = instance.goal.crowd is None and instance.goal.sleep is None and instance.outside < 0
    for cell in split(instance, place, cells, Random(seed)):
        answer = wander(cell.instance, cell.place, seed, WARM)
        merged[cell.guests] = cell.seats(answer)
        gained += np.subtract(evaluate(cell.instance, answer), evaluate(cell.instance, cell.place))
    if exact and not any(form.at_least for form in instance.forms):
        assert tuple(gained) == tuple(np.subtract(evaluate(instance, merged), evaluate(instance, place)))


@settings(deadline=None, max_examples=100)
@given(instances(most_hosts=7, most_guests=9), st.integers(0, 2**20), st.integers(2, 4))
def test_a_cell_may_do_what_the_whole_may(instance: Instance, seed: int, cells: int) -> None:
    """A cell's own start is valid and worth what it is: from home, nothing is tighter than it must be."""
    for cell in split(instance, instance.home, cells, Random(seed)):
        assert np.array_equal(cell.instance.home, cell.place)
        assert why_not_valid(cell.instance, cell.place) is None
        assert np.array_equal(cell.seats(cell.place), instance.home[cell.guests])
        assert set(cell.guests[cell.instance.movable].tolist()) <= set(instance.movable.tolist())
