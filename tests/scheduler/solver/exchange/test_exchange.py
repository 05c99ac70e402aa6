"""What holds of exchanges on any instance: bounds hold, what is offered is valid, and what closes is the optimum."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import Phase, assume, given, note, settings
from hypothesis import strategies as st

from cluster.clock import SystemClock
from scheduler.solver.evaluate import GOAL, evaluate, why_not_valid
from scheduler.solver.exchange.aggregate import aggregate
from scheduler.solver.exchange.master import Columns
from scheduler.solver.exchange.places import exchanges_of, place_of
from scheduler.solver.exchange.run import exchange
from scheduler.solver.goal import Crowd, GoalArrays, PairPrice
from scheduler.solver.instance import Instance, make_instance
from scheduler.solver.meter import Budget, Meter
from scheduler.solver.search import Search
from scheduler.solver.solve import search_of
from scheduler.solver.terms import FreeSlots
from tests.scheduler.solver.brute import ENOUGH, every_valid, is_tiny
from tests.scheduler.solver.instances import random_instance, random_place

# Without shrinking: an instance is a function of one seed, of which none is simpler than another.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
MANY = settings(max_examples=120, deadline=None, phases=PHASES)


def lone_instance(seed: int, most_hosts: int = 4, most_guests: int = 5) -> Instance:
    """A random instance whose guests have nothing to do with each other, and whose moves are few or cost something."""
    instance, dice = random_instance(seed, most_hosts, most_guests), Random(seed)
    goal = replace(
        instance.goal,
        sleep=None,
        crowd=None,
        pair_price=None,
        soft_weights=(),
        left=np.zeros(instance.hosts, dtype=bool),
    )
    demand = np.maximum(instance.demand, dice.randint(0, 1))
    fitting = np.maximum(instance.cap, replace(instance, demand=demand).use(instance.home))
    return replace(
        instance,
        demand=demand,
        goal=goal,
        forms=(),
        move_caps=(),
        outside=-1,
        limit=fitting,
        cap=fitting,
        headroom=np.minimum(instance.headroom, fitting),
        max_moves=min(dice.randint(0, 4), len(instance.movable)),
    )


def exchanged(instance: Instance, budget: Budget = ENOUGH) -> Search:
    """The state of a search after exchanges alone."""
    search = search_of(instance)
    exchange(search, Meter(budget, SystemClock(), None), 1.0)
    return search


@st.composite
def lone_instances(draw: st.DrawFn) -> Instance:
    """Random instances that exchanges apply to."""
    seed = draw(st.integers(0, 2**32 - 1))
    note(f"seed {seed}")
    instance = lone_instance(seed)
    assume(aggregate(instance) is not None)
    return instance


@MANY
@given(instance=lone_instances())
def test_bound_holds_and_what_is_offered_is_valid(instance: Instance) -> None:
    """No valid placement has less of the goal than the bound, and the incumbent is one of them."""
    assume(is_tiny(instance))
    search = exchanged(instance)
    assert why_not_valid(instance, search.place) is None
    assert search.value == evaluate(instance, search.place)
    assert search.value <= search.start
    best = min(one.value.goal for one in every_valid(instance))
    assert search.bounds[GOAL] <= best <= search.value.goal


def test_most_small_instances_close_at_the_optimum() -> None:
    """The bound of exchanges meets their answer on nearly all small instances, which is then the optimum."""
    applied = closed = gained = 0
    for seed in range(400):
        instance = lone_instance(seed)
        if aggregate(instance) is None or not is_tiny(instance):
            continue
        search = exchanged(instance)
        applied += 1
        gained += search.changed
        if search.bounds[GOAL] == search.value.goal:
            closed += 1
            assert search.value.goal == min(one.value.goal for one in every_valid(instance))
    assert applied > 50
    assert gained > 20
    assert closed > 0.8 * applied


@MANY
@given(instance=lone_instances(), seed=st.integers(0, 2**32 - 1))
def test_exchanges_of_a_placement_add_up_and_lead_back_to_it(instance: Instance, seed: int) -> None:
    """Gains less prices are what the goal loses, and the same exchanges give a placement of the same worth."""
    whole = aggregate(instance)
    place = random_place(instance, Random(seed))
    assume(whole is not None and why_not_valid(instance, place) is None)
    assert whole is not None
    of, pattern, saved = exchanges_of(whole, place)
    columns = Columns(whole)
    again = place_of(whole, of, pattern, np.ones(len(of), dtype=np.int64))
    before, value = evaluate(instance, instance.home), evaluate(instance, place)
    columns.add(of, pattern, saved)
    if len(columns) == len(of):
        assert int(columns.gain.sum()) == before.goal - value.goal
        assert not columns.net.sum(axis=0).any()
    # A guest that stays is one move less, never one more.
    assert evaluate(instance, again).moves <= value.moves
    assert evaluate(instance, again).goal <= value.goal


@MANY
@given(instance=lone_instances())
def test_without_moves_nothing_moves_and_that_is_proven(instance: Instance) -> None:
    """With a cap of no moves the start is the answer, and its goal the bound."""
    search = exchanged(replace(instance, max_moves=0))
    assert np.array_equal(search.place, instance.home)
    assert search.bounds[GOAL] == search.start.goal


def slots(cap: int, *, memory: bool) -> Instance:
    """Hosts of 8 cores with a guest of 4 and one of 2 each, slots of 4; with `memory` there is none left to move to."""
    hosts, guests = 6, 12
    demand = np.array([[4, 3 if memory else 1], [2, 2]] * hosts, dtype=np.int64)
    return make_instance(
        demand=demand,
        capacity=np.full((hosts, 2), (8, 5), dtype=np.int64),
        home=np.repeat(np.arange(hosts), 2).astype(np.intp),
        goal=GoalArrays(
            terms=(FreeSlots(0, np.full(hosts, 8, dtype=np.int64), 4),),
            price=np.zeros(guests, dtype=np.int64),
            left=np.zeros(hosts, dtype=np.bool_),
            left_weight=np.ones(guests, dtype=np.int64),
        ),
        max_moves=cap,
    )


@pytest.mark.parametrize(("cap", "gain"), [(1, 1), (2, 2), (3, 3), (4, 3)])
def test_pieces_are_put_together(cap: int, gain: int) -> None:
    """Each guest of two cores that joins another leaves a slot: three pairs of six hosts."""
    search = exchanged(slots(cap, memory=False))
    assert search.start.goal - search.value.goal == gain
    assert search.bounds[GOAL] == search.value.goal


def test_memory_that_is_full_keeps_guests_where_they_are() -> None:
    """No room of memory is given up for slots of CPU: nothing moves, and that is proven."""
    search = exchanged(slots(4, memory=True))
    assert np.array_equal(search.place, search.instance.home)
    assert search.bounds[GOAL] == search.value.goal


def test_mib_is_capped_too() -> None:
    """With memory to move for two guests only, two slots are gained however many moves there are."""
    instance = slots(6, memory=False)
    search = exchanged(replace(instance, mib=np.full(instance.guests, 10, dtype=np.int64), max_mib=25))
    assert search.start.goal - search.value.goal == 2
    assert search.bounds[GOAL] == search.value.goal


def test_same_work_gives_the_same_placement() -> None:
    """With a work limit, two runs end in the same placement."""
    first, second = (exchanged(slots(4, memory=False)) for _ in range(2))
    assert np.array_equal(first.place, second.place)


@pytest.mark.parametrize(
    "change",
    [
        {"crowd": Crowd(np.zeros(12, dtype=np.int64), 1)},
        {"pair_price": PairPrice(np.zeros(6, dtype=np.int64), np.ones((1, 1), dtype=np.int64))},
    ],
    ids=["crowd", "pair price"],
)
def test_what_is_not_room_is_left_alone(change: dict[str, object]) -> None:
    """Costs of moves together are none of these exchanges' business: nothing is offered and no bound is raised."""
    instance = slots(4, memory=False)
    instance = replace(instance, goal=replace(instance.goal, **change))  # type: ignore[arg-type]
    assert aggregate(instance) is None
    search = exchanged(instance)
    assert np.array_equal(search.place, instance.home)
    assert search.bounds == search_of(instance).bounds


def test_different_guests_are_too_many_shapes() -> None:
    """Where hardly two guests are alike there is nothing to aggregate."""
    instance = slots(4, memory=False)
    demand = np.tile(np.arange(1, 101, dtype=np.int64)[:, None, None], (1, 1, 2))
    assert aggregate(instance) is not None
    many = make_instance(
        demand=demand,
        capacity=np.full((6, 2), 10_000, dtype=np.int64),
        home=np.zeros(100, dtype=np.intp),
        goal=replace(instance.goal, price=np.zeros(100, dtype=np.int64), left_weight=np.ones(100, dtype=np.int64)),
        max_moves=4,
    )
    assert aggregate(many) is None


INTERRUPTED = """
import os, signal
from tests.scheduler.solver.exchange import test_exchange
for seed in range(40):
    instance = test_exchange.lone_instance(seed)
    if test_exchange.aggregate(instance) is not None:
        test_exchange.exchanged(instance)
signal.signal(signal.SIGINT, lambda *_: print("heard"))
for seed in range(40):
    instance = test_exchange.lone_instance(seed)
    if test_exchange.aggregate(instance) is not None:
        test_exchange.exchanged(instance)
os.kill(os.getpid(), signal.SIGINT)
"""


def test_sigint_stays_the_programs() -> None:
    """After whole exchanges were chosen, SIGINT is still heard by whoever asked for it."""
    run = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "heard\n"), run.stderr
