"""Bounds on small instances made by hand, where they are tight."""

from __future__ import annotations

import numpy as np
import pytest

from scheduler.solver.bounds.analytic import analytic
from scheduler.solver.evaluate import Value
from scheduler.solver.goal import GoalArrays, SleepArrays
from scheduler.solver.instance import UNLIMITED, Instance, make_instance
from scheduler.solver.terms import EvenUse, Flat, FreeSlots, HostTerm, SoftLimit, SpareRatio


def bins_needed(*sizes: tuple[int, ...], room: int = 100) -> int:
    """The bound on bins for items of some sizes, all of them outside at first."""
    many, resources = len(sizes), len(sizes[0])
    capacity = np.full((many + 1, resources), room)
    capacity[many] = UNLIMITED
    inside = np.arange(many + 1) < many
    cost = inside.astype(np.int64)
    none = np.zeros(many + 1, dtype=np.int64)
    goal = GoalArrays(
        terms=(Flat(cost),),
        price=np.zeros(many, dtype=np.int64),
        left=~inside,
        left_weight=np.ones(many, dtype=np.int64),
        sleep=SleepArrays(inside, none, cost, none[:, None], none[:1]),
    )
    home = np.full(many, many, dtype=np.intp)
    packing = make_instance(
        demand=np.array(sizes), capacity=capacity, home=home, goal=goal, target=inside, outside=many
    )
    return analytic(packing, none_left=True).goal


@pytest.mark.parametrize(
    ("sizes", "bins"),
    [
        ([(50,)] * 4, 2),
        ([(51,)] * 4, 4),
        # By volume two; but no three of these fit, whatever else is done.
        ([(34,)] * 6, 3),
        ([(60,), (60,), (41,), (41,), (41,)], 4),
        # Volume, and each resource by itself, would let them meet.
        ([(60, 10), (50, 50), (10, 60)], 2),
        ([(60, 0), (50, 50), (45, 51)], 3),
    ],
)
def test_bins_are_bounded_by_what_does_not_fit_together(sizes: list[tuple[int, ...]], bins: int) -> None:
    """Items over half count whole, smaller ones by the number that fit, items that exclude each other each alone."""
    assert bins_needed(*sizes) == bins


def bound(terms: list[HostTerm], use: list[int], capacity: int, **limits: int) -> Value:
    """The bound for guests of one resource, each on a host of its own at first."""
    guests = len(use)
    goal = GoalArrays(
        terms=tuple(terms),
        price=np.zeros(guests, dtype=np.int64),
        left=np.zeros(guests, dtype=np.bool_),
        left_weight=np.ones(guests, dtype=np.int64),
    )
    return analytic(_single(use, capacity, goal, **limits))


def _single(use: list[int], capacity: int, goal: GoalArrays, **limits: int) -> Instance:
    return make_instance(
        demand=np.array(use)[:, None],
        capacity=np.full((len(use), 1), capacity),
        home=np.arange(len(use), dtype=np.intp),
        goal=goal,
        mib=np.ones(len(use), dtype=np.int64),
        **limits,  # type: ignore[arg-type]
    )


def test_soft_limits_are_exceeded_by_what_is_too_much_for_all() -> None:
    """Uncapped it is what all limits together cannot hold; with few moves at least what those cannot take away."""
    limit = SoftLimit(np.full((3, 1), 10), np.array([5]))
    assert bound([limit], [30, 4, 1], 50).goal == 5 * (35 - 30)
    assert bound([limit], [30, 4, 1], 50, max_moves=0).goal == 5 * 20


def test_free_slots_are_bounded_by_what_is_free_and_by_the_pieces_that_stay() -> None:
    """All that is free makes so many slots; with one move only two hosts can lose their pieces."""
    slots = FreeSlots(0, np.full(4, 16), 8)
    assert bound([slots], [6, 6, 6, 6], 16).goal == -(40 // 8)
    assert bound([slots], [6, 6, 6, 6], 16, max_moves=1).goal == -((40 - 2 - 2) // 8)
    assert bound([slots], [6, 6, 6, 6], 16, max_moves=0).goal == -4


def test_spare_ratio_is_bounded_by_all_hosts_as_one() -> None:
    """What is short of one resource over all hosts is short somewhere."""
    ratio = SpareRatio((0, 0), np.array([[10, 4], [10, 4]]), 1, 3)
    assert bound([ratio], [1, 2], 10).goal == 3 * (20 - 8)


def test_even_use_is_bounded_by_the_memory_that_may_move() -> None:
    """Nothing may move: the bound is nearly the present value; anything may: it is near 0."""
    counted = np.ones((2, 2), dtype=np.bool_)
    even = EvenUse((0, 0), np.full((2, 2), 100), counted, np.array([500_000, 500_000]))
    now = 4 * 300_000**2
    assert 0.99 * now < bound([even], [80, 20], 100, max_mib=0).goal <= now
    assert bound([even], [80, 20], 100).goal < 0.3 * now
