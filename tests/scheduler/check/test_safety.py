"""The checker's look at every moment agrees with brute force, on any steps, safe or not."""

from __future__ import annotations

from itertools import combinations, count

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cluster.limits import Limits
from cluster.plan import Estimate, Migrate
from cluster.rules import Spread
from cluster.snapshot import Snapshot
from scheduler.check import safety
from scheduler.check.safety import greatest_closure, unsafe_room, unsafe_rules
from tests.scheduler.planner.moments import Leg, shuffles, unsafe_moments
from tests.scheduler.solver.clusters import cluster, guest, host, these


@settings(max_examples=300)
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)),
    st.dictionaries(st.sampled_from("uvwxyz"), st.integers(0, 9)),
    st.data(),
)
def test_greatest_closure_is_the_greatest(takes: dict[str, int], gives: dict[str, int], data: st.DataObject) -> None:
    """Over all choices of arrivals: what they take less what the departures that they need give back."""
    some = st.sets(st.sampled_from(sorted(gives))) if gives else st.just(set[str]())
    needs = {one: sorted(data.draw(some)) for one in takes}
    best = max(
        sum(takes[one] for one in chosen) - sum(gives[one] for one in {need for one in chosen for need in needs[one]})
        for many in range(len(takes) + 1)
        for chosen in combinations(sorted(takes), many)
    )
    assert greatest_closure(takes, gives, needs) == best


@st.composite
def any_steps(draw: st.DrawFn) -> tuple[Snapshot, list[Migrate]]:
    """Moves of a tight cluster in any order, with any edges: mostly unsafe somewhere."""
    snapshot, _ = draw(shuffles())
    where = {one.id: one.host for one in snapshot.guests}
    steps: list[Migrate] = []
    for number in range(draw(st.integers(1, 5))):
        moving = draw(st.sampled_from(sorted(where)))
        target = draw(st.sampled_from([one.id for one in snapshot.hosts]))
        if target == where[moving]:
            continue
        earlier = {step.id for step in steps if step.guest == moving}
        after = tuple(step.id for step in steps if step.id in earlier or draw(st.booleans()))
        steps.append(Migrate(f"s{number}", moving, where[moving], target, "", Estimate(1, 1.0, 1, 1.0, 1), after=after))
        where[moving] = target
    assume(steps)
    return snapshot, steps


@settings(max_examples=300)
@given(any_steps())
def test_what_is_found_unsafe_is_unsafe_and_nothing_is_missed(case: tuple[Snapshot, list[Migrate]]) -> None:
    """Rooms and rules, each found when and only when some moment breaks them."""
    snapshot, steps = case
    number = dict(zip([step.id for step in steps], count(), strict=False))
    legs = [Leg(step.guest, step.source, step.target, tuple(number[one] for one in step.after)) for step in steps]
    wrong = unsafe_moments(snapshot, Limits(), legs)
    rules = {rule.name for rule in snapshot.rules}
    assert bool(list(unsafe_room(snapshot, Limits(), steps))) == any(one.split()[0] not in rules for one in wrong)
    found = {text.split()[0].partition(":")[2] for text in unsafe_rules(snapshot, steps)}
    assert found == {one.split()[0] for one in wrong} & rules


def test_too_many_moments_are_a_finding_not_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule whose states cannot all be looked at is reported, though none of those looked at is bad."""
    guests = [guest(f"g{number}", f"h{number}") for number in range(3)]
    rule = Spread(name="wide", guests=these("g0", "g1", "g2"), domain="host", at_least=2)
    snapshot = cluster([host(f"h{number}") for number in range(6)], guests, [rule])
    estimate = Estimate(1, 1.0, 1, 1.0, 1)
    steps = [Migrate(f"s{number}", f"g{number}", f"h{number}", f"h{number + 3}", "", estimate) for number in range(3)]
    assert list(unsafe_rules(snapshot, steps)) == []
    monkeypatch.setattr(safety, "MOST_STATES", 3)
    assert list(unsafe_rules(snapshot, steps)) == ["spread:wide: too many moments to look at (over 3)"]
