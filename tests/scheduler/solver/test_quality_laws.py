"""Laws of the engine's answers on random instances of the array form, against plain arithmetic and other orders."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from scheduler.solver.evaluate import evaluate, occupied, why_not_valid
from scheduler.solver.forms import Index
from scheduler.solver.instance import Instance, make_instance
from scheduler.solver.meter import Budget
from scheduler.solver.solve import solve_instance
from tests.scheduler.solver.brute import ENOUGH, every_valid, is_tiny
from tests.scheduler.solver.instances import instances, random_place
from tests.scheduler.solver.ledger import broken_of, value_of
from tests.scheduler.solver.shuffled import shuffled

# Without shrinking: an instance is a function of one seed, of which none is simpler than another.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
MANY = settings(max_examples=200, deadline=None, phases=PHASES)
SOME = Budget(work_limit=1.0)
"""Work that proves most tiny instances."""
FEW = settings(max_examples=25, deadline=None, phases=PHASES)


@MANY
@given(instance=instances(most_hosts=6, most_guests=12), seed=st.integers(0, 2**32 - 1))
def test_value_is_what_a_ledger_adds_up_to(instance: Instance, seed: int) -> None:
    """Every tier of any placement, valid or not, with any empty hosts asleep, equals plain arithmetic to the unit."""
    dice = Random(seed)
    place = random_place(instance, dice)
    asleep = None
    if instance.goal.sleep is not None:
        asleep = ~occupied(instance, place) & np.array([dice.random() < 0.5 for _ in range(instance.hosts)])
    assert tuple(evaluate(instance, place, asleep)) == value_of(instance, place, asleep)


@FEW
@given(instance=instances(most_hosts=6, most_guests=12))
def test_answer_is_worth_what_it_says_and_never_worse(instance: Instance) -> None:
    """The ledger agrees with the value reached; it is no worse than the start, and no rule that binds is."""
    search = solve_instance(instance, Budget(work_limit=0.3))
    assert tuple(search.value) == value_of(instance, search.place, search.asleep)
    assert tuple(search.start) == value_of(instance, instance.home, None)
    assert search.value <= search.start
    assert why_not_valid(instance, search.place, search.asleep) is None
    before, after = (_hosts(instance, place) for place in (instance.home, search.place))
    assert all(broken_of(form, after) <= broken_of(form, before) for form in instance.binding)


@FEW
@given(instance=instances())
def test_hard_rules_hold_where_they_can(instance: Instance) -> None:
    """A placement in which every hard rule holds is found when there is one."""
    assume(is_tiny(instance) and any(form.binding for form in instance.forms))
    search = solve_instance(instance, ENOUGH)
    assert search.value.hard == min(one.value.hard for one in every_valid(instance))


@FEW
@given(instance=instances(), seed=st.integers(0, 2**32 - 1))
def test_another_order_leaves_the_optimal_value(instance: Instance, seed: int) -> None:
    """Hosts, guests and rules under other numbers: a proven optimum of the same value in every tier."""
    first, second = (solve_instance(one, SOME) for one in (instance, shuffled(instance, Random(seed))))
    assume(first.proven and second.proven)
    assert first.value == second.value


@MANY
@given(instance=instances(most_hosts=6, most_guests=12), seed=st.integers(0, 2**32 - 1))
def test_another_order_is_the_same_problem(instance: Instance, seed: int) -> None:
    """The start under other numbers is worth the same: what the law above compares is one problem."""
    other = shuffled(instance, Random(seed))
    assert evaluate(other, other.home) == evaluate(instance, instance.home)


@FEW
@given(instance=instances())
def test_an_applied_optimum_is_left_alone(instance: Instance) -> None:
    """Uncapped, and with prices under which a detour is never cheaper, solving a proven optimum again does nothing."""
    first = solve_instance(_uncapped(instance, instance.home), SOME)
    assume(first.proven)
    applied = _uncapped(instance, first.place)
    second = solve_instance(applied, ENOUGH)
    assert second.proven
    assert np.array_equal(second.place, first.place)


def _hosts(instance: Instance, place: Index) -> list[int]:
    hosts: list[int] = instance.host_of(place).tolist()
    return hosts


def _uncapped(instance: Instance, home: Index) -> Instance:
    """The instance from another start, without caps, resources counted at both ends, and prices between zones."""
    goal = replace(instance.goal, pair_price=None)
    return make_instance(
        demand=instance.demand,
        usable=instance.usable,
        capacity=instance.capacity,
        limit=instance.limit,
        home=home,
        goal=goal,
        overload_scale=instance.overload_scale,
        overload_room=instance.overload_room,
        plannable=instance.plannable,
        target=instance.target,
        movable=instance.movable,
        mask_of=instance.mask_of,
        masks=instance.masks,
        mib=instance.mib,
        forms=instance.forms,
        outside=instance.outside,
    )
