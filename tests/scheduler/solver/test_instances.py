"""What holds of every layer on random instances of the array form, with all that it has."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from ortools.sat.python import cp_model

from scheduler.solver import layers
from scheduler.solver.bounds.analytic import analytic
from scheduler.solver.evaluate import TIERS, Value, count, evaluate, occupied, why_not_valid
from scheduler.solver.forms import Bools, Index
from scheduler.solver.instance import Instance
from scheduler.solver.linear import Linear
from scheduler.solver.links import Links
from scheduler.solver.meter import Budget
from scheduler.solver.model import Model
from scheduler.solver.solve import solve_instance
from tests.scheduler.solver.brute import ENOUGH, every_valid, is_tiny
from tests.scheduler.solver.instances import instances, random_place

# Without shrinking: an instance is a function of one seed, of which none is simpler than another.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
FEW = settings(max_examples=60, deadline=None, phases=PHASES)


@FEW
@given(instance=instances())
def test_search_proves_what_trying_everything_finds(instance: Instance) -> None:
    """On tiny instances the search ends proven, at the best value there is in all tiers."""
    assume(is_tiny(instance))
    search = solve_instance(instance, ENOUGH)
    assert why_not_valid(instance, search.place, search.asleep) is None
    assert search.value == evaluate(instance, search.place, search.asleep)
    assert search.value == min(one.value for one in every_valid(instance))
    assert search.proven


@FEW
@given(instance=instances())
def test_bounds_hold(instance: Instance) -> None:
    """No valid placement is better in any tier than the bounds worked out without search."""
    assume(is_tiny(instance))
    always, none_left = analytic(instance), analytic(instance, none_left=True)
    for one in every_valid(instance):
        assert all(least <= value for least, value in zip(always, one.value, strict=True))
        if not one.value.left:
            assert all(least <= value for least, value in zip(none_left, one.value, strict=True))


@settings(max_examples=25, deadline=None, phases=PHASES)
@given(instance=instances(most_hosts=8, most_guests=16))
def test_parts_alone_stay_valid_and_within_bounds(instance: Instance) -> None:
    """Searched in parts only: the placement is valid, no worse than the start, and not under its bounds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "MOST_BOOLEANS", -1)
        search = solve_instance(instance, Budget(work_limit=0.02))
    assert why_not_valid(instance, search.place, search.asleep) is None
    assert search.value == evaluate(instance, search.place, search.asleep)
    assert search.value <= search.start
    assert all(bound <= value for bound, value in zip(search.bounds, search.value, strict=True))


@FEW
@given(instance=instances(), seed=st.integers(0, 2**32 - 1))
def test_recounting_what_changed_gives_what_counting_afresh_does(instance: Instance, seed: int) -> None:
    """After any change of any number of guests, the counts are those of the placement."""
    dice, links = Random(seed), Links(instance)
    place = instance.home
    counts = count(instance, place)
    for _ in range(4):
        many = dice.randint(0, instance.guests)
        then = np.concatenate((random_place(instance, dice)[:many], place[many:]))
        counts, place = links.recount(counts, place, then), then
        afresh = count(instance, place)
        for part in ("use", "costs", "overload", "broken"):
            assert np.array_equal(getattr(counts, part), getattr(afresh, part))


@FEW
@given(instance=instances(), seed=st.integers(0, 2**32 - 1))
def test_model_of_a_part_is_worth_what_the_placement_is(instance: Instance, seed: int) -> None:
    """A model with its guests held in place is feasible when that is valid, and each of its tiers is the true value."""
    dice = Random(seed)
    start = random_place(instance, dice)
    if why_not_valid(instance, start) is not None:
        start = instance.home
    positions = np.array([i for i in range(len(instance.movable)) if dice.random() < 0.7], dtype=np.intp)
    hosts = np.array([dice.random() < 0.8 for _ in range(instance.hosts)])
    place = _moved_within(instance, start, positions, hosts, random_place(instance, dice))
    model = Model(instance, start, positions, hosts)
    asleep = None
    if model.asleep is not None:
        asleep = model.asleep.copy()
        for host in model.on:
            asleep[host] = not occupied(instance, place)[host] and dice.random() < 0.5
    valid = why_not_valid(instance, place, asleep) is None
    values = _values_held_in(model, place, asleep)
    if values is None:
        assert not valid
    else:
        assert valid
        assert values == evaluate(instance, place, asleep)


@FEW
@given(instance=instances())
def test_start_of_a_model_is_a_solution(instance: Instance) -> None:
    """The values that variables are made with keep to every constraint and give the start's own value."""
    every = np.arange(len(instance.movable))
    model = Model(instance, instance.home, every, np.ones(instance.hosts, dtype=np.bool_))
    for variable, value in enumerate(model.program.start):
        model.program.keep(Linear(0, {variable: 1}), value, value)
    for tier in range(TIERS):
        assert _least(model, tier) == model.value[tier]


def _moved_within(instance: Instance, start: Index, positions: Index, hosts: Bools, wanted: Index) -> Index:
    """The start, with some guests on the seats wanted where those are on some hosts."""
    place = start.copy()
    for guest in instance.movable[positions].tolist():
        if hosts[wanted[guest] // instance.modes]:
            place[guest] = wanted[guest]
    return place


def _values_held_in(model: Model, place: Index, asleep: Bools | None) -> Value | None:
    """The least of every tier of a model with guests and sleeping hosts held where they are; none if infeasible."""
    for item, row in model.of_item.items():
        there = Counter(place[model.items[item]].tolist())
        if set(there) - set(row):
            return None
        for seat, variable in row.items():
            model.program.keep(Linear(0, {variable: 1}), there[seat], there[seat])
    for host, on in model.on.items():
        assert asleep is not None
        model.program.keep(Linear(0, {on: 1}), *(2 * [int(not asleep[host])]))
    values = [_least(model, tier) for tier in range(TIERS)]
    return None if None in values else Value(*(value for value in values if value is not None))


def _least(model: Model, tier: int) -> int | None:
    model.program.minimise(model.tiers[tier])
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    status = solver.solve(model.program.model)
    if status == cp_model.INFEASIBLE:
        return None
    assert status == cp_model.OPTIMAL
    return model.program.value(model.tiers[tier], list(solver.response_proto.solution))


@FEW
@given(instance=instances(), seed=st.integers(0, 2**32 - 1))
def test_put_in_order_a_placement_is_worth_the_same(instance: Instance, seed: int) -> None:
    """Whichever of guests that nothing tells apart move, every tier is the same, and the order is one of its own."""
    dice, links = Random(seed), Links(instance)
    place = random_place(instance, dice)
    assume(why_not_valid(instance, place) is None)
    ordered = links.in_order(place)
    assert why_not_valid(instance, ordered) is None
    assert evaluate(instance, ordered) == evaluate(instance, place)
    assert np.array_equal(links.in_order(ordered), ordered)
    for alike in links.alike(instance.movable):
        stays = [bool(ordered[guest] == instance.home[guest]) for guest in sorted(alike)]
        assert stays == sorted(stays)
