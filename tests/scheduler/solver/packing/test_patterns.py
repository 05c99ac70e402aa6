"""Patterns of one host: pricing finds the best there are, and what is proven with them holds for every placement."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from random import Random

import numpy as np
from hypothesis import given, note, settings
from hypothesis import strategies as st

from cluster.clock import SystemClock
from scheduler.solver.evaluate import GOAL, why_not_valid
from scheduler.solver.forms import Index, Ints
from scheduler.solver.goal import GoalArrays, SleepArrays
from scheduler.solver.instance import UNLIMITED, Instance, make_instance
from scheduler.solver.kernels.tables import make_tables
from scheduler.solver.meter import Budget, Meter
from scheduler.solver.packing import applies, pack
from scheduler.solver.packing.generate import Generation
from scheduler.solver.packing.host_classes import HostClasses, host_classes, places_of
from scheduler.solver.packing.patterns import bound_of
from scheduler.solver.packing.pricing import (
    CUT,
    Items,
    list_patterns,
    make_found,
    make_items,
    make_listed,
    make_space,
    search_patterns,
)
from scheduler.solver.solve import search_of
from scheduler.solver.terms import Flat
from tests.scheduler.solver.brute import every_valid, is_tiny

ENOUGH = 1 << 40


@st.composite
def priced(draw: st.DrawFn) -> Items:
    """Up to seven guests with prices, and one class of hosts that takes some of them."""
    resources = draw(st.integers(1, 3))
    guest = st.tuples(*[st.integers(0, 10)] * resources)
    demand = draw(st.lists(guest, min_size=1, max_size=7))
    many = len(demand)
    room = draw(st.tuples(*[st.integers(0, 20)] * resources))
    allowed = draw(st.lists(st.booleans() | st.just(True), min_size=many, max_size=many))
    items = make_items(np.array(demand), np.array([room]), np.array([allowed]))
    items.price[:] = draw(st.lists(st.integers(0, 60), min_size=many, max_size=many))
    return items


def sets_that_fit(items: Items, of: int = 0) -> list[tuple[int, ...]]:
    """Every set of guests that a host of a class holds, the empty one too."""
    guests = np.flatnonzero(items.allowed[of]).tolist()
    every = (chosen for many in range(len(guests) + 1) for chosen in combinations(guests, many))
    return [chosen for chosen in every if (items.demand[list(chosen)].sum(axis=0) <= items.room[of]).all()]


def worth_of(items: Items, chosen: tuple[int, ...]) -> int:
    """What a set is worth."""
    return int(items.price[list(chosen)].sum())


def in_order(items: Items, space_share: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Ints:
    """The guests that the class takes by falling price over share, as pricing asks for them; fills in the shares."""
    space_share[:] = (items.demand / np.maximum(1, items.room[0])).mean(axis=1)
    guests = np.flatnonzero(items.allowed[0])
    return guests[np.argsort(-items.price[guests] / np.maximum(1e-12, space_share[guests]), kind="stable")]


@settings(deadline=None, max_examples=200)
@given(priced(), st.integers(0, 80))
def test_search_finds_the_set_worth_most_and_one_for_each_first_guest(items: Items, least: int) -> None:
    """The best of all first guests is the best of all sets worth more than asked for, and every set told fits."""
    space, found = make_space(items), make_found(items)
    guests = in_order(items, space.share)
    done = 0
    while done < len(guests):
        done = search_patterns(items, guests, 0, space, found, least, ENOUGH, done)
    assert not len(guests) or not space.told[CUT]
    fitting = sets_that_fit(items)
    best = max(worth_of(items, chosen) for chosen in fitting)
    assert int(found.worth[guests].max(initial=0)) == (best if best > least else 0)
    for guest in guests[found.worth[guests] > 0].tolist():
        pattern = found.pattern[guest]
        chosen = tuple(sorted(pattern[: int(np.argmax(pattern < 0))].tolist()))
        assert guest in chosen
        assert chosen in fitting
        assert worth_of(items, chosen) == found.worth[guest]


@settings(deadline=None, max_examples=200)
@given(priced(), st.integers(-1, 80))
def test_every_set_worth_enough_is_part_of_one_listed(items: Items, least: int) -> None:
    """No set worth more than asked for is left out but for such as are part of one listed, and all listed fit."""
    space, listed = make_space(items), make_listed(items, 200)
    guests = in_order(items, space.share)
    done = 0
    while done < len(guests):
        done = list_patterns(items, guests, 0, space, listed, least, done)
    patterns = [pattern[: int(np.argmax(pattern < 0))].tolist() for pattern in listed.pattern[: int(listed.many[0])]]
    fitting = sets_that_fit(items)
    assert all(tuple(sorted(pattern)) in fitting for pattern in patterns)
    for chosen in fitting:
        if chosen and worth_of(items, chosen) > least:
            assert any(set(chosen) <= set(pattern) for pattern in patterns), chosen


@st.composite
def consolidations(draw: st.DrawFn, most_hosts: int = 3, most_guests: int = 4) -> Instance:
    """Hosts of up to three kinds, each with its cost when on; guests at home or not yet placed, with prices of moves.

    Some hosts keep head-room, some guests may not move or go to some hosts only.
    """
    hosts = draw(st.integers(1, most_hosts))
    resources = draw(st.integers(1, 2))
    kind = draw(st.lists(st.integers(0, 2), min_size=hosts, max_size=hosts))
    room = draw(st.lists(st.tuples(*[st.integers(2, 14)] * resources), min_size=3, max_size=3))
    cost = np.array(draw(st.lists(st.integers(0, 9), min_size=3, max_size=3)))[kind]
    guest = st.tuples(*[st.integers(0, 8)] * resources)
    demand = np.array(draw(st.lists(guest, min_size=1, max_size=most_guests)), dtype=np.int64)
    guests = len(demand)
    outside = draw(st.booleans())
    capacity = np.array(room, dtype=np.int64)[kind]
    if outside:
        capacity = np.concatenate((capacity, np.full((1, resources), UNLIMITED)))
    inside = np.arange(len(capacity)) < hosts
    home = draw(st.lists(st.integers(0, len(capacity) - 1), min_size=guests, max_size=guests))
    idle = np.zeros(len(capacity), dtype=np.int64)
    idle[:hosts] = cost
    masks = np.array(draw(st.lists(st.lists(st.booleans(), min_size=hosts, max_size=hosts), min_size=2, max_size=2)))
    masks = np.concatenate((masks, np.zeros((2, len(capacity) - hosts), dtype=np.bool_)), axis=1)
    movable = np.array([one for one in range(guests) if draw(st.booleans() | st.just(True))], dtype=np.intp)
    may = np.array([draw(st.booleans() | st.just(True)) for _ in capacity]) & inside
    goal = GoalArrays(
        terms=(Flat(idle),),
        price=np.array(draw(st.lists(st.sampled_from((0, 0, 1)), min_size=guests, max_size=guests)), dtype=np.int64),
        left=~inside,
        left_weight=np.ones(guests, dtype=np.int64),
        sleep=SleepArrays(
            may=may,
            asleep_cost=np.zeros(len(capacity), dtype=np.int64),
            idle_cost=idle,
            offer=np.zeros((len(capacity), 1), dtype=np.int64),
            need=np.zeros(1, dtype=np.int64),
        ),
    )
    return make_instance(
        demand=demand,
        capacity=capacity,
        home=np.array(home, dtype=np.intp),
        goal=goal,
        headroom=capacity - draw(st.integers(0, 2)),
        target=inside,
        movable=movable,
        masks=masks,
        mask_of=np.array([draw(st.integers(0, 1)) for _ in movable], dtype=np.intp),
        outside=hosts if outside else -1,
    )


@settings(deadline=None, max_examples=150)
@given(consolidations(), st.integers(1, 100))
def test_what_packing_proves_of_unlike_hosts_holds_for_every_placement(instance: Instance, seed: int) -> None:
    """No valid placement with as few guests left costs less than the bound, and what is found is valid."""
    if not applies(instance) or not is_tiny(instance):
        return
    search = search_of(instance)
    pack(search, Meter(Budget(work_limit=0.05, seed=seed), SystemClock(), None))
    note(f"{search.start} -> {search.value}, bounds {search.bounds}")
    assert why_not_valid(instance, search.place, search.asleep) is None
    best = min(one.value[: GOAL + 1] for one in every_valid(instance))
    assert tuple(search.bounds[: GOAL + 1]) <= best
    if search.value[:GOAL] == best[:GOAL]:
        assert search.bounds[GOAL] <= best[GOAL]


@settings(deadline=None, max_examples=150)
@given(consolidations(), st.data())
def test_any_prices_give_a_bound_on_what_hosts_cost(instance: Instance, data: st.DataObject) -> None:
    """With the most that any set is worth on each class at prices drawn, no placement's hosts cost less than told."""
    classes = host_classes(instance, make_tables(instance))
    if classes is None or not is_tiny(instance):
        return
    scale = data.draw(st.sampled_from((1, 4, 1000)))
    price = np.array(data.draw(st.lists(st.integers(0, 9 * scale), min_size=classes.guests, max_size=classes.guests)))
    items = make_items(classes.demand, classes.room, classes.allowed)
    items.price[:] = price
    worth = [max(worth_of(items, chosen) for chosen in sets_that_fit(items, of)) for of in range(len(classes.hosts))]
    bound = bound_of(classes, price, scale, worth)
    for one in every_valid(instance):
        if not one.value.left:
            assert bound <= classes.cost_of(one.place)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(*[st.integers(1, 10)] * 2), min_size=1, max_size=9), st.integers(0, 1), st.randoms())
def test_all_patterns_of_a_choice_that_costs_little_are_listed(
    sizes: list[tuple[int, int]], more: int, dice: Random
) -> None:
    """Every host's guests, in any placement found that costs no more than asked for, are part of a pattern known."""
    instance = _bins(np.array(sizes), 12)
    classes = host_classes(instance, make_tables(instance))
    assert classes is not None
    places = [_first_fit(instance, dice) for _ in range(40)]
    generation = Generation(search_of(instance), classes, Meter(Budget(work_limit=10.0), SystemClock(), None))
    assert generation.relaxation.add_placement(places[0])
    most = min(classes.cost_of(place) for place in places) + more
    assert generation.list_all(most, 0.0)
    patterns = [set(guests.tolist()) for guests in generation.relaxation.patterns.guests]
    for place in places:
        if classes.cost_of(place) <= most:
            for host in np.unique(place).tolist():
                here = set(np.flatnonzero(place == host).tolist())
                assert any(here <= guests for guests in patterns)


def _first_fit(instance: Instance, dice: Random) -> Index:
    """A placement of guests in any order, each on some host that it fits."""
    place = instance.home.copy()
    free = instance.capacity.copy()
    for guest in dice.sample(range(instance.guests), instance.guests):
        size = instance.demand[guest, 0]
        fits = (free[: instance.outside] >= size).all(axis=1)
        used = fits & np.isin(np.arange(instance.outside), place)
        place[guest] = dice.choice(np.flatnonzero(used if used.any() else fits).tolist())
        free[place[guest]] -= size
    return place


@settings(deadline=None, max_examples=150)
@given(consolidations(), st.data())
def test_patterns_become_placements_with_each_on_one_host_of_its_class(instance: Instance, data: st.DataObject) -> None:
    """Guests of a pattern that are in none before share one host of the class, and no two patterns share one."""
    classes = host_classes(instance, make_tables(instance))
    if classes is None:
        return
    used = _drawn_patterns(classes, data)
    place = places_of(classes, used)
    if place is None:
        assert any(sum(of == one for of, _ in used) > len(hosts) for one, hosts in enumerate(classes.hosts))
        return
    hosts = instance.host_of(place)
    seen: set[int] = set()
    taken: set[int] = set()
    for of, positions in used:
        fresh = [one for one in positions.tolist() if one not in seen]
        seen |= set(fresh)
        on = {int(hosts[instance.movable[one]]) for one in fresh}
        assert len(on) <= 1
        assert all(classes.of[host] == of for host in on)
        assert not on & taken
        taken |= on
    stay = np.setdiff1d(np.arange(instance.guests), instance.movable[sorted(seen)])
    assert (place[stay] == instance.home[stay]).all()


def _drawn_patterns(classes: HostClasses, data: st.DataObject) -> list[tuple[int, Index]]:
    pattern = st.tuples(
        st.integers(0, len(classes.hosts) - 1),
        st.sets(st.integers(0, classes.guests - 1), min_size=1).map(lambda one: np.array(sorted(one), dtype=np.intp)),
    )
    return data.draw(st.lists(pattern, max_size=4))


@settings(deadline=None, max_examples=50)
@given(consolidations(), st.integers(0, 40))
def test_packing_stopped_at_any_time_is_valid_and_never_worse(instance: Instance, asked: int) -> None:
    """Whenever it is told to stop: the placement is valid and no worse than the start."""
    if not applies(instance):
        return
    times = iter(range(asked))
    search = search_of(instance)
    pack(search, Meter(Budget(work_limit=0.05), SystemClock(), lambda: next(times, None) is None))
    assert search.value <= search.start
    assert why_not_valid(instance, search.place, search.asleep) is None


def test_what_is_proven_already_takes_no_work() -> None:
    """Packing again what packing has proven does nothing at all."""
    instance = _bins(np.array([[6], [6], [4], [4]]), 10)
    search = search_of(instance)
    pack(search, Meter(Budget(work_limit=1.0), SystemClock(), None))
    assert (search.value.goal, search.bounds[GOAL]) == (2, 2)
    again = Meter(Budget(work_limit=1.0), SystemClock(), None)
    pack(search, again)
    assert again.left == 1.0


def test_patterns_prove_what_sizes_added_up_do_not() -> None:
    """Guests of which any two fit one resource but no three fit both: the bound is that of pairs."""
    sizes = np.array([[4, 3], [3, 4], [4, 4], [4, 4], [4, 3], [3, 4]])
    search = search_of(_bins(sizes, 10))
    assert search.bounds[GOAL] < 3
    pack(search, Meter(Budget(work_limit=1.0), SystemClock(), None))
    assert (search.value.goal, search.bounds[GOAL]) == (3, 3)


def test_a_host_less_is_refuted_where_only_parts_of_patterns_would_do() -> None:
    """Two lots of three guests of which pairs fit, each with hosts of its own: three hosts in parts, four whole."""
    instance = _bins(np.full((6, 1), 4), 10)
    masks = np.zeros((2, 7), dtype=np.bool_)
    masks[0, :3], masks[1, 3:6] = True, True
    instance = replace(instance, masks=masks, mask_of=np.array([0, 0, 0, 1, 1, 1]))
    search = search_of(instance)
    pack(search, Meter(Budget(work_limit=1.0), SystemClock(), None))
    assert (search.value.goal, search.bounds[GOAL]) == (4, 4)


def _bins(sizes: Ints, capacity: int) -> Instance:
    """Items to be put into bins of one size."""
    many = len(sizes)
    inside = np.arange(many + 1) < many
    goal = GoalArrays(
        terms=(Flat(inside.astype(np.int64)),),
        price=np.zeros(many, dtype=np.int64),
        left=~inside,
        left_weight=np.ones(many, dtype=np.int64),
        sleep=SleepArrays(
            may=inside,
            asleep_cost=np.zeros(many + 1, dtype=np.int64),
            idle_cost=inside.astype(np.int64),
            offer=np.zeros((many + 1, 1), dtype=np.int64),
            need=np.zeros(1, dtype=np.int64),
        ),
    )
    room = np.where(inside[:, None], capacity, UNLIMITED) + np.zeros((1, sizes.shape[1]), dtype=np.int64)
    return make_instance(
        demand=sizes.astype(np.int64),
        capacity=room,
        home=np.full(many, many, dtype=np.intp),
        goal=goal,
        target=inside,
        outside=many,
    )
