"""What holds for every answer of the solver, on random tiny problems of every policy."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from benchmarks.generate import generate
from cluster.plan import Status
from cluster.problem import Problem
from cluster.rules import Enforcement, GroupMoveLimit
from cluster.snapshot import Snapshot
from scheduler.solver import layers
from scheduler.solver.bounds.analytic import analytic
from scheduler.solver.evaluate import evaluate, why_not_valid
from scheduler.solver.lower import lower_problem
from scheduler.solver.meter import Budget
from scheduler.solver.search import Search
from scheduler.solver.solve import solve, solve_instance
from scheduler.solver.worth import Objective, objective
from tests.scheduler.solver.brute import ENOUGH, every_valid, is_tiny, moved_to, problem_of, problems
from tests.strategies import snapshots

POLICIES = ("repair", "balance", "consolidate", "drain")
# Without shrinking: a failing example costs a hundred solves more to shrink, and is small already.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
FEW = settings(max_examples=40, deadline=None, phases=PHASES)


def searched(problem: Problem) -> Search:
    """The state of a search with work enough to prove what is tiny."""
    return solve_instance(lower_problem(problem).instance, ENOUGH)


@pytest.mark.parametrize("policy", POLICIES)
@FEW
@given(data=st.data())
def test_search_proves_what_trying_everything_finds(policy: str, data: st.DataObject) -> None:
    """On tiny problems the search ends proven, at the best value there is in all tiers."""
    problem = data.draw(problems(policy))
    search = searched(problem)
    assume(is_tiny(search.instance))
    best = min(one.value for one in every_valid(search.instance))
    assert search.value == best
    assert search.proven


@pytest.mark.parametrize("policy", POLICIES)
@FEW
@given(data=st.data())
def test_analytic_bounds_hold(policy: str, data: st.DataObject) -> None:
    """No valid placement is better than the bound that was worked out without search, in any tier."""
    instance = lower_problem(data.draw(problems(policy))).instance
    assume(is_tiny(instance))
    bound = analytic(instance)
    for one in every_valid(instance):
        assert all(least <= value for least, value in zip(bound, one.value, strict=True))


@pytest.mark.parametrize("policy", POLICIES)
@FEW
@given(data=st.data())
def test_answer_is_valid_and_never_worse(policy: str, data: st.DataObject) -> None:
    """What is proposed keeps to limits, rules and caps, and is better than doing nothing or is doing nothing."""
    problem = data.draw(problems(policy))
    proposal = solve(problem, ENOUGH)
    case = lower_problem(problem)
    instance, place = case.instance, case.place_of(proposal.placement)
    assert why_not_valid(instance, place) is None
    moved = (place != instance.home).any()
    if proposal.status in (Status.NOTHING_TO_DO, Status.INFEASIBLE):
        assert not moved and not proposal.asleep
        assert all(value.before == value.after for value in proposal.values)
    else:
        assert moved or proposal.asleep
        assert [value.after for value in proposal.values] < [value.before for value in proposal.values]
    assert all(value.bound <= value.after and value.gap >= 0 for value in proposal.values)
    assume(is_tiny(instance))
    impossible = min(one.value for one in every_valid(instance)).hard > 0
    assert (proposal.status is Status.INFEASIBLE) == impossible


@pytest.mark.parametrize("policy", POLICIES)
@FEW
@given(data=st.data())
def test_objective_asked_again_and_again_says_what_a_fresh_one_does(policy: str, data: st.DataObject) -> None:
    """Whatever was asked before, value and validity are those of the placement alone."""
    problem = data.draw(problems(policy))
    worth, case = Objective(problem), lower_problem(problem)
    for _ in range(4):
        placement = {guest: data.draw(st.sampled_from(case.host_ids)) for guest in case.guest_ids}
        place = case.place_of(placement)
        assert worth(placement) == objective(problem, placement) == evaluate(case.instance, place)
        assert worth.is_valid(placement) == (why_not_valid(case.instance, place) is None)


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=15, deadline=None, phases=PHASES)
@given(data=st.data())
def test_same_work_and_seed_give_the_same_answer_whatever_the_order(policy: str, data: st.DataObject) -> None:
    """With a work limit the answer repeats exactly, and the order of hosts, guests and rules has no say."""
    problem = data.draw(problems(policy, level=4, capped=False))
    snapshot = problem.snapshot
    turned = replace(snapshot, hosts=snapshot.hosts[::-1], guests=snapshot.guests[::-1], rules=snapshot.rules[::-1])
    again = problem_of(policy, turned, level=4, max_moves=None, reserve_hosts=_reserve(problem))
    budget = Budget(work_limit=1.0, seed=7)
    first, second, third = solve(problem, budget), solve(problem, budget), solve(again, budget)
    assert replace(first, solve_s=0.0) == replace(second, solve_s=0.0) == replace(third, solve_s=0.0)


def _reserve(problem: Problem) -> int:
    return getattr(problem.goal, "reserve_hosts", 0)


@pytest.mark.parametrize("policy", ["repair", "balance", "drain"])
@settings(max_examples=25, deadline=None, phases=PHASES)
@given(data=st.data())
def test_solving_an_optimum_again_proposes_nothing(policy: str, data: st.DataObject) -> None:
    """Where moves have no price and nothing is capped, the answer to an applied optimum is to do nothing."""
    drawn = data.draw(problems(policy, level=5, capped=False)).snapshot
    kept = tuple(
        rule
        for rule in drawn.rules
        if rule.enforcement is not Enforcement.SOFT and not isinstance(rule, GroupMoveLimit)
    )
    problem = problem_of(policy, replace(drawn, rules=kept), level=5, max_moves=None, reserve_hosts=0)
    first = solve(problem, ENOUGH)
    if first.status is not Status.OPTIMAL:
        return
    after = moved_to(problem.snapshot, dict(first.placement))
    second = solve(problem_of(policy, after, level=5, max_moves=None, reserve_hosts=0), ENOUGH)
    assert second.status is Status.NOTHING_TO_DO


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=15, deadline=None, phases=PHASES)
@given(data=st.data())
def test_renaming_leaves_the_optimal_value(policy: str, data: st.DataObject) -> None:
    """Other ids, and with them another order, give a proven optimum of the same value in every tier."""
    problem = data.draw(problems(policy, level=4, capped=False))
    first, second = searched(problem), searched(_renamed(problem, policy))
    assert first.proven and second.proven
    assert first.value == second.value


def _renamed(problem: Problem, policy: str) -> Problem:
    """The same problem with the order of guest ids turned round; rules by ids keep their guests."""
    snapshot: Snapshot = problem.snapshot
    names = {guest.id: f"z-{len(snapshot.guests) - i}" for i, guest in enumerate(snapshot.guests)}
    rules = []
    for rule in snapshot.rules:
        changes = {}
        for part in ("guests", "to"):
            selector = getattr(rule, part, None)
            if selector is not None:
                changes[part] = replace(selector, ids=tuple(names.get(one, one) for one in selector.ids))
        rules.append(replace(rule, **changes))
    guests = tuple(replace(guest, id=names[guest.id], name="") for guest in snapshot.guests)
    renamed = replace(snapshot, guests=guests, rules=tuple(rules))
    return problem_of(policy, renamed, level=4, max_moves=None, reserve_hosts=_reserve(problem))


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=12, deadline=None, phases=PHASES)
@given(data=st.data())
def test_larger_problems_stay_valid_in_every_layer(policy: str, data: st.DataObject) -> None:
    """Whole or in parts: the placement is valid, no worse than the start, and not under its bounds."""
    snapshot = data.draw(snapshots(max_hosts=8, max_guests=20, min_hosts=3, max_rules=8))
    level, cap = data.draw(st.integers(1, 5)), data.draw(st.none() | st.integers(0, 8))
    instance = lower_problem(problem_of(policy, snapshot, level=level, max_moves=cap, reserve_hosts=1)).instance
    with pytest.MonkeyPatch.context() as patch:
        if data.draw(st.booleans()):
            patch.setattr(layers, "MOST_BOOLEANS", 0)
            patch.setattr(layers, "MOST_SQUARED_BOOLEANS", 0)
        search = solve_instance(instance, Budget(work_limit=0.2))
    assert why_not_valid(instance, search.place, search.asleep) is None
    assert search.value <= search.start
    assert all(bound <= value for bound, value in zip(search.bounds, search.value, strict=True))


@pytest.mark.parametrize("policy", POLICIES)
def test_work_limit_repeats_where_nothing_is_proven(policy: str) -> None:
    """A cluster too large to prove gets the same plan twice for the same work, seed and one worker."""
    snapshot = generate(10, 80, seed=5, rules=3)
    problem = problem_of(policy, snapshot, level=5, max_moves=None, reserve_hosts=1)
    budget = Budget(work_limit=0.4, seed=3)
    first, second = solve(problem, budget), solve(problem, budget)
    assert first.status is not Status.NOTHING_TO_DO
    assert replace(first, solve_s=0.0) == replace(second, solve_s=0.0)
