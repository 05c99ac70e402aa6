"""The benchmark of makespans: what it makes is the same every time, and what it carries out keeps to its limits."""

from __future__ import annotations

from itertools import count

from benchmarks.makespan import measure
from benchmarks.random_plans import random_case


def small_plans(most_moves: int) -> list[int]:
    """The first three seeds with plans so small."""
    seeds = (seed for seed in count(1) if 0 < len(random_case(seed).plan.migrations) <= most_moves)
    return [next(seeds) for _ in range(3)]


def test_a_random_plan_is_the_same_every_time() -> None:
    """A seed names one plan, with edges, budgets and all."""
    assert random_case(3) == random_case(3)
    assert random_case(3).plan != random_case(4).plan


def test_small_plans_are_carried_out_near_their_bound_and_within_budgets() -> None:
    """By the real runner in the simulator: every step done, no link too full, no worse than a quarter over promise."""
    for seed in small_plans(25):
        line = measure(seed)
        assert line.failed == ""
        assert line.fullest <= 1 + 1e-6
        assert line.bound_s <= line.promised_s
        assert 0.8 * line.bound_s < line.took_s < 1.25 * line.promised_s + 5
        assert line.batches_s >= line.bound_s
