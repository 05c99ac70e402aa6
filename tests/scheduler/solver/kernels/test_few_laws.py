"""What holds for the compiled search with few moves on any instance, and that the descent is the steepest one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scheduler.solver.evaluate import evaluate, why_not_valid
from scheduler.solver.few import copied
from scheduler.solver.forms import Index
from scheduler.solver.instance import Instance
from scheduler.solver.kernels.capped import anneal_few, sample_few
from scheduler.solver.kernels.capped_even import anneal_even
from scheduler.solver.kernels.even import evenness_alone, make_even, room_alone
from scheduler.solver.kernels.few import Few, back_to_kept, keep_first, make_few, send_home
from scheduler.solver.kernels.state import BROKEN, GOAL, LEFT, MIB, MOVES, OVERLOAD, State
from scheduler.solver.kernels.steepest import descend, look_at, make_entries
from scheduler.solver.kernels.tables import Tables
from scheduler.solver.terms import PPM, EvenUse
from tests.scheduler.solver.instances import instances
from tests.scheduler.solver.kernels.test_kernel_laws import COLD, HOT, check, started


def descended(instance: Instance, steps: int, at_once: int) -> State:
    """The state after the descent, made `at_once` steps at a time."""
    tables, state = started(instance)
    entries = make_entries(tables, np.arange(instance.hosts, dtype=np.int64))
    even = make_even(tables, state.use)
    look_at(tables, state, even, entries, 0, instance.guests)
    for _ in range(0, steps, at_once):
        descend(tables, state, even, entries, at_once)
    return state


def steepest(instance: Instance, steps: int) -> Index:
    """The descent by trying every shift with the reference evaluation; of equals the first guest, the first seat."""
    place, goal = instance.home.copy(), evaluate(instance, instance.home).goal
    for _ in range(steps):
        found = []
        for guest in instance.movable.tolist():
            for seat in range(instance.hosts * instance.modes):
                other = place.copy()
                other[guest] = seat
                if seat != place[guest] and why_not_valid(instance, other) is None:
                    found.append((evaluate(instance, other).goal, guest, seat))
        if not found or min(found)[0] >= goal:
            break
        goal, guest, seat = min(found)
        place[guest] = seat
    return place


def check_bare(instance: Instance, state: State) -> None:
    """What a bare walk keeps up to date is the reference's, and the goal is but for rounding."""
    value = evaluate(instance, state.place)
    assert why_not_valid(instance, state.place) is None
    assert np.array_equal(state.use, instance.use(state.place))
    assert np.array_equal(state.host, state.place)
    assert (value.mib, value.moves) == (state.totals[MIB], state.totals[MOVES])
    assert sorted(state.moved[: value.moves]) == np.flatnonzero(state.place != instance.home).tolist()
    assert value.goal == pytest.approx(state.totals[GOAL], rel=1e-5, abs=1e8)


def walked(instance: Instance, seed: int, steps: int = 60) -> tuple[Tables, State, Few]:
    """A walk from hot to cold, with a ceiling of half of the memory and a price that is steered."""
    tables, state = started(instance, seed)
    few = make_few(tables, int(instance.mib.sum()) // 2, 3.0)
    keep_first(state, few)
    sample_few(tables, state, few, np.zeros(4, dtype=np.int64))
    even = make_even(tables, state.use)
    quick = even.alone[0] and not state.totals[[BROKEN, OVERLOAD, LEFT]].any()
    walking = copied(state) if quick and even.bare[0] else state
    for temperature in (HOT, 100.0, 1.0, COLD):
        if quick:
            anneal_even(tables, walking, even, few, steps, temperature)
            assert np.array_equal(even.off, make_even(tables, walking.use).off)
        else:
            anneal_few(tables, state, few, steps, temperature)
        if walking is state:
            check(instance, state)
        else:
            check_bare(instance, walking)
    return tables, state, few


def evened(instance: Instance, seed: int) -> Instance:
    """An instance of one mode whose goal is to be even in a resource or two, at times with a price for each move."""
    assume(instance.modes == 1)
    dice = np.random.default_rng(seed)
    hosts, resources = instance.hosts, instance.demand.shape[2]
    room = dice.integers(1, 50, (hosts, 2))
    columns = (int(dice.integers(resources)), int(dice.integers(resources)))
    term = EvenUse(columns, room, dice.random((hosts, 2)) < 0.9, dice.integers(0, PPM, 2))
    price = dice.integers(-(10**10), 10**10, instance.guests) * int(dice.integers(2))
    goal = replace(instance.goal, terms=(term,), price=price, crowd=None, sleep=None, soft_weights=(), pair_price=None)
    return replace(
        instance,
        goal=replace(goal, left=np.zeros(hosts, dtype=np.bool_)),
        forms=tuple(form for form in instance.forms if form.binding),
    )


@settings(deadline=None, max_examples=300)
@given(instances(most_hosts=5, most_guests=9), st.integers(0, 2**31))
def test_evenness_weighed_as_fractions_stays_exact_and_valid(instance: Instance, seed: int) -> None:
    """Where evenness alone counts: figures are the reference's, fractions those of the use, and the best is kept."""
    even = evened(instance, seed)
    tables, state, few = walked(even, seed, 200)
    assert evenness_alone(tables)
    back_to_kept(tables, state, few)
    check(even, state)
    value = evaluate(even, state.place)
    if not room_alone(tables):
        assert few.best[2:].tolist() == [value.left, value.goal]
    assert value[:5] <= evaluate(even, even.home)[:5]
    assert state.totals[MIB] <= few.ceiling[0]


@settings(deadline=None, max_examples=300)
@given(instances(most_hosts=5, most_guests=7), st.integers(1, 6), st.integers(0, 2**31))
def test_the_descent_to_evenness_is_the_steepest(instance: Instance, steps: int, seed: int) -> None:
    """What is skipped by its fractions would not have been the cheapest."""
    even = evened(instance, seed)
    most = int(even.mib.sum())
    plain = replace(even, forms=(), move_caps=(), limit=even.cap, max_moves=even.guests, max_mib=most)
    assert np.array_equal(descended(plain, steps, 1).place, steepest(plain, steps))


@settings(deadline=None, max_examples=200)
@given(instances(), st.integers(0, 8), st.integers(1, 3))
def test_the_descent_stays_exact_and_valid_and_never_gets_worse(instance: Instance, steps: int, at_once: int) -> None:
    """With forms, caps and sleep: the figures are the reference's, and no tier up to the goal gets worse."""
    _, start = started(instance)
    state = descended(instance, steps, at_once)
    check(instance, state)
    assert evaluate(instance, state.place, state.asleep)[:5] <= evaluate(instance, start.place, start.asleep)[:5]


@settings(deadline=None, max_examples=300)
@given(instances(most_hosts=5, most_guests=7), st.integers(1, 6), st.integers(1, 3))
def test_the_descent_is_the_steepest(instance: Instance, steps: int, at_once: int) -> None:
    """Where host terms and prices are all there is, it goes the way of trying every shift at every step."""
    hosts = np.zeros(instance.hosts, dtype=np.bool_)
    goal = replace(instance.goal, crowd=None, sleep=None, soft_weights=(), left=hosts)
    plain = replace(
        instance,
        forms=(),
        move_caps=(),
        goal=goal,
        limit=instance.cap,
        max_mib=int(instance.mib.sum()),
        max_moves=instance.guests,
    )
    steps = -(-steps // at_once) * at_once
    assert np.array_equal(descended(plain, steps, at_once).place, steepest(plain, steps))


@settings(deadline=None, max_examples=300)
@given(instances(), st.integers(0, 2**31))
def test_few_moves_stay_exact_and_valid_and_the_best_is_kept(instance: Instance, seed: int) -> None:
    """Whatever the walk does, going back gives the best met: no worse than the start, under the ceiling if it moved."""
    tables, state, few = walked(instance, seed)
    _, start = started(instance)
    kept = tuple(few.best[1:].tolist())
    back_to_kept(tables, state, few)
    check(instance, state)
    value = evaluate(instance, state.place, state.asleep)
    assert kept[1:] == (value.left, value.goal)
    assert value[:5] <= evaluate(instance, start.place, start.asleep)[:5]
    assert state.totals[MIB] <= few.ceiling[0]


@settings(deadline=None, max_examples=150)
@given(instances(), st.integers(0, 2**31))
def test_sending_home_saves_moves_and_costs_nothing(instance: Instance, seed: int) -> None:
    """Moves that gain nothing are taken back, and none is made."""
    tables, state, _ = walked(instance, seed)
    before = evaluate(instance, state.place, state.asleep)
    taken_back = send_home(tables, state)
    check(instance, state)
    after = evaluate(instance, state.place, state.asleep)
    assert after[:5] <= before[:5]
    assert after.moves == before.moves - taken_back


@settings(deadline=None, max_examples=30)
@given(instances(), st.integers(0, 2**31))
def test_the_same_seed_uses_few_moves_the_same_way(instance: Instance, seed: int) -> None:
    """Two walks of the same seed end in the same placement, with the same price."""
    (_, one, few), (_, other, again) = walked(instance, seed), walked(instance, seed)
    assert np.array_equal(one.place, other.place)
    assert np.array_equal(few.price, again.price)
