"""How long a plan is said to take: never under its bound, and what limits on concurrent moves make of it."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.config.settings import MigrationSettings
from cluster.plan import Estimate, Migrate
from scheduler.planner.schedule import makespan_bound_s, makespan_s


def move(number: int, seconds: float, source: str, target: str, after: tuple[str, ...] = ()) -> Migrate:
    """A migration that takes so long."""
    return Migrate(f"s{number}", f"g{number}", source, target, "", Estimate(1, seconds, 1, 1.0, 1), after=after)


@st.composite
def schedules(draw: st.DrawFn) -> list[Migrate]:
    """Up to eight migrations among four hosts, waiting for any earlier ones."""
    steps: list[Migrate] = []
    for number in range(draw(st.integers(0, 8))):
        source, target = draw(st.permutations("abcd"))[:2]
        after = tuple(step.id for step in steps if draw(st.integers(0, 3)) == 0)
        steps.append(move(number, draw(st.integers(1, 600)) / 10, source, target, after))
    return steps


limits = st.builds(
    MigrationSettings, out_per_host=st.integers(1, 3), in_per_host=st.integers(1, 3), per_cluster=st.integers(1, 4)
)


@given(schedules(), limits)
def test_no_schedule_beats_the_bound(steps: list[Migrate], settings: MigrationSettings) -> None:
    """The makespan lies between the bound and doing one after the other."""
    took, bound = makespan_s(steps, settings), makespan_bound_s(steps, settings)
    assert bound <= took <= sum(step.estimate.seconds for step in steps) + 0.1


@given(schedules())
def test_a_chain_takes_the_sum(steps: list[Migrate]) -> None:
    """Steps that each wait for the one before take, and are bounded by, their sum."""
    last = ""
    chain = []
    for number, step in zip(count(), steps, strict=False):
        chain.append(move(number, step.estimate.seconds, step.source, step.target, (last,) if last else ()))
        last = f"s{number}"
    whole = sum(step.estimate.seconds for step in chain)
    assert makespan_s(chain, MigrationSettings()) == pytest.approx(whole, abs=0.1)
    assert makespan_bound_s(chain, MigrationSettings()) == pytest.approx(whole, abs=0.1)


def test_limits_of_hosts_and_cluster_count() -> None:
    """Two moves out of one host run one after the other; into different hosts from different ones, together."""
    apart = [move(1, 10, "a", "b"), move(2, 10, "c", "d")]
    shared = [move(1, 10, "a", "b"), move(2, 10, "a", "c")]
    assert makespan_s(apart, MigrationSettings()) == 10
    assert makespan_s(shared, MigrationSettings()) == makespan_bound_s(shared, MigrationSettings()) == 20
    assert makespan_s(shared, MigrationSettings(out_per_host=2)) == 10
    assert makespan_s(apart, MigrationSettings(per_cluster=1)) == 20


def test_waiting_for_a_host_to_wake_does_not_lose_the_move() -> None:
    """An edge to a step that is no migration counts as no time."""
    assert makespan_s([move(1, 10, "a", "b", ("wake",))], MigrationSettings()) == 10
