"""Guests that would not converge are left out of plans, by the bandwidth that links, budgets and the past allow."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cluster.config.settings import BudgetScope, BudgetSettings, LinkSettings, MigrationSettings, Settings
from cluster.guest import Dirty, Guest, MigrationPolicy, Usage
from cluster.host import Host
from cluster.migration.learned import Learned
from cluster.plan import Plan
from cluster.snapshot import Snapshot
from scheduler.planner.foresight import CODE, Foresight
from scheduler.planning import PlanRequest, make_plan

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
WRITER = Guest(id="writer", host="a", vcpus=1, memory_mib=8192, usage=Usage(500, 8000), dirty=Dirty(60.0, 1.0, 4000.0))
CALM = replace(WRITER, id="calm", dirty=Dirty(1.0, 1.0, 50.0))
HOSTS = tuple(Host(name, 16000, 65536, migration_mbit_s=1000) for name in "abc")
CLUSTER = Snapshot("s", AT, HOSTS, (WRITER, CALM))
NIGHT = BudgetSettings(BudgetScope.HOST_OUT, 200, "a")


def drain(snapshot: Snapshot, settings: Settings | None = None, learned: Learned | None = None) -> Plan:
    """Empty host a."""
    request = PlanRequest(policy="drain", drained=("a",), work_limit=0.2, learned=learned or Learned())
    return make_plan(snapshot, request, settings or Settings())


def moved(plan: Plan) -> set[str]:
    """Return who is moved."""
    return {step.guest for step in plan.migrations}


def with_policy(policy: MigrationPolicy) -> Snapshot:
    """Return the cluster with the writer moved as said."""
    return replace(CLUSTER, guests=(replace(WRITER, migration=policy), CALM))


def test_who_converges_is_moved() -> None:
    """60 MiB/s of dirtying under a link of 119."""
    plan = drain(CLUSTER)
    assert moved(plan) == {"writer", "calm"}
    assert all(step.estimate.converges > 0.9 for step in plan.migrations)


def test_who_would_not_converge_stays_with_the_figures() -> None:
    """Under a budget of 200 Mbit/s the writer stays where it is, though its host is drained; the calm guest leaves."""
    plan = drain(CLUSTER, Settings(budgets=(NIGHT,)))
    assert moved(plan) == {"calm"}
    (left,) = plan.not_moved
    assert (left.guest, left.code) == ("writer", CODE)
    for figure in ("60 MiB/s", "hot set 4000 MiB", "at most 18 MiB/s", "300 ms", "probability 1%", "wants 50%"):
        assert figure in left.text


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (Settings(migration=MigrationSettings(mbit_s=200)), "the cap"),
        (Settings(links=(LinkSettings("wan", 200, ("a",)),)), "a link it must cross"),
        (Settings(budgets=(BudgetSettings(BudgetScope.CLUSTER, 200),)), "the cluster's budget"),
    ],
    ids=["cap", "link", "cluster budget"],
)
def test_every_limit_of_the_bandwidth_counts(settings: Settings, why: str) -> None:
    """Whatever holds the bandwidth down keeps the writer from converging."""
    assert moved(drain(CLUSTER, settings)) == {"calm"}, why


def test_it_goes_where_the_link_is_fast_enough() -> None:
    """Host b is behind a slow link: the writer goes to c, however full that is."""
    settings = Settings(links=(LinkSettings("wan", 200, ("b",)),))
    fuller = replace(CLUSTER, guests=(*CLUSTER.guests, replace(CALM, id="on-c", host="c", usage=Usage(5000, 8000))))
    plan = drain(fuller, settings)
    assert {step.guest: step.target for step in plan.migrations}["writer"] == "c"


def test_post_copy_moves_who_may_be_moved_by_it() -> None:
    """The estimate says so; where the cluster forbids post-copy, or latency matters, the guest stays."""
    budget = Settings(budgets=(NIGHT,))
    allowed = with_policy(MigrationPolicy(allow_postcopy=True))
    plan = drain(allowed, budget)
    notes = {step.guest: step.estimate.note for step in plan.migrations}
    assert notes == {"writer": "by post-copy", "calm": ""}
    assert moved(drain(allowed, replace(budget, migration=MigrationSettings(postcopy=False)))) == {"calm"}
    tender = with_policy(MigrationPolicy(allow_postcopy=True, latency_sensitive=True))
    assert moved(drain(tender, budget)) == {"calm"}


def test_an_unmeasured_guest_is_not_left_out() -> None:
    """What is only assumed speaks in the estimate, not against the guest."""
    unknown = replace(CLUSTER, guests=(replace(WRITER, dirty=Dirty()), CALM))
    plan = drain(unknown, Settings(budgets=(NIGHT,)))
    assert moved(plan) == {"writer", "calm"}
    assert min(step.estimate.converges for step in plan.migrations) < 0.5


def test_the_bound_is_the_operators() -> None:
    """0 leaves none out; 1 leaves out whoever is not certain."""
    lax = Settings(budgets=(NIGHT,), migration=MigrationSettings(least_converges=0.0))
    assert moved(drain(CLUSTER, lax)) == {"writer", "calm"}
    strict = Settings(migration=MigrationSettings(least_converges=1.0))
    assert moved(drain(CLUSTER, strict)) == set()


def test_what_was_learned_of_a_pair_counts() -> None:
    """Hosts that never reach more than a third of their links' speed cannot take the writer."""
    slow = Learned(bandwidth_ratio={("a", "b"): 0.34, ("a", "c"): 0.34})
    assert moved(drain(CLUSTER, learned=slow)) == {"calm"}
    only_b = drain(CLUSTER, learned=Learned(bandwidth_ratio={("a", "b"): 0.34}))
    assert {step.guest: step.target for step in only_b.migrations}["writer"] == "c"
    heavy = drain(CLUSTER, learned=Learned(mib_ratio={"calm": 1.5}))
    plain = {step.guest: step.estimate for step in drain(CLUSTER).migrations}["calm"]
    corrected = {step.guest: step.estimate for step in heavy.migrations}["calm"]
    assert corrected.mib == pytest.approx(1.5 * plain.mib, rel=0.001)


def test_a_small_hot_set_converges_through_any_link() -> None:
    """What is dirtied again and again fits into the last moment."""
    small = replace(WRITER, dirty=Dirty(4.0, 1.0, 4.0))
    assert moved(drain(replace(CLUSTER, guests=(small, CALM)), Settings(budgets=(NIGHT,)))) == {"writer", "calm"}


def test_budgets_keep_room_for_the_switch_over_and_links_do_not() -> None:
    """Within a budget the rate and its burst share: 40 / 1.3; the bare line carries the burst."""
    foresight = Foresight(CLUSTER, Settings(budgets=(replace(NIGHT, mbit_s=335.5),)), Learned())
    assert foresight.lane("a", "b", 0.3).mib_s == pytest.approx(40 / 1.3, rel=0.001)
    assert foresight.lane("a", "b", 0.3).line_mib_s == pytest.approx(119.2, rel=0.001)
    assert foresight.lane("b", "c", 0.3).mib_s == pytest.approx(119.2, rel=0.001)
