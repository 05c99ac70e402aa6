"""Budgets and rate limits in the real loop on a pretend cluster: kept at every moment, and told to people."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from cluster.config.settings import (
    BudgetScope,
    BudgetSettings,
    GroupSettings,
    HostSettings,
    LinkSettings,
    MigrationSettings,
    RateSettings,
    Settings,
)
from cluster.host import Host
from cluster.migration.links import MIB_S_PER_MBIT_S
from cluster.plan import PlanState, StepState
from cluster.rules import Selector
from scheduler.limits_now import links_of
from scheduler.loop import TICK_S
from tests.scheduler.stage import QUICK, Stage

WIDE = MigrationSettings(out_per_host=4, in_per_host=4, per_cluster=8)
CAP_MIB_S = 200.0
BUDGET = BudgetSettings(BudgetScope.HOST_OUT, CAP_MIB_S / MIB_S_PER_MBIT_S, "a")


def with_limits(**sections: object) -> Settings:
    """Quick settings with several migrations at once and these sections."""
    return replace(QUICK, migration=WIDE, **sections)  # type: ignore[arg-type]


def test_the_world_never_carries_more_than_the_budget() -> None:
    """Looked at between all passes: what leaves the host in the simulator's own physics stays under its cap."""
    stage = Stage(with_limits(budgets=(BUDGET,)))
    busiest = 0.0
    for _ in range(int(150 / TICK_S)):
        stage.run(TICK_S)
        with stage.world.present():
            leaving = [one for one in stage.world.migrations.values() if one.source == "a"]
            used = sum(one.rate_mib_s for one in leaving)
        assert used <= CAP_MIB_S * (1 + 1e-9)
        busiest = max(busiest, used)
    assert busiest > 0.75 * CAP_MIB_S
    assert stage.on("a") < 6


@pytest.mark.parametrize(("overhead_millicores", "together"), [(10**6, 1), (0, 4)])
def test_migrations_share_a_host_only_within_its_cpu_limit(overhead_millicores: int, together: int) -> None:
    """Slots for four: with no CPU for a second one they go one by one, without overhead all four at once."""
    stage = Stage(replace(QUICK, migration=replace(WIDE, cpu_overhead_millicores=overhead_millicores)))
    most = 0
    for _ in range(int(200 / TICK_S)):
        stage.run(TICK_S)
        with stage.world.present():
            most = max(most, sum("a" in (one.source, one.target) for one in stage.world.migrations.values()))
    assert most == together
    assert stage.on("a") == 2


def test_a_rate_limit_holds_a_plan_back_and_status_says_why() -> None:
    """Two moves in the hour; the others wait with their reason, and the plan's expiry ends them."""
    stage = Stage(with_limits(rates=RateSettings(cluster_per_hour=2)))
    stage.run(60)
    assert stage.on("a") == 4
    plan = stage.loop.status()["plan"]
    assert isinstance(plan, dict)
    assert {step["detail"] for step in plan["steps"] if step["state"] == "waiting"} == {
        "rate limit: no more than 2 moves in the cluster in an hour"
    }
    stage.run(stage.settings.scheduler.plan_expires_s)
    states = [state.state for record in stage.plans(PlanState.ENDED) for state in record.steps.values()]
    assert states.count(StepState.DONE) == 2
    assert StepState.REFUSED in states


def test_a_guest_that_has_used_up_its_day_is_left_out_with_its_code() -> None:
    """Drained back and forth, it goes once; the plan says why it stays."""
    stage = Stage(with_limits(rates=RateSettings(guest_per_day=1)), guests=1)
    stage.store.set_flag("drain:a", "ann")
    stage.run(30)
    assert stage.on("a") == 0
    stage.store.set_flag("drain:a", None)
    here = next(host for host in ("b", "c") if stage.on(host))
    stage.store.set_flag(f"drain:{here}", "ann")
    stage.run(300)
    assert stage.on(here) == 1
    made = stage.loop.latest_plan
    assert made is not None
    assert [(one.guest, one.code) for one in made.not_moved] == [("g0", "rate_limit")]
    assert "rates.guest_per_day" in made.not_moved[0].text


def test_a_group_is_moved_one_at_a_time() -> None:
    """However many slots there are, never are two of its guests under way."""
    group = GroupSettings("all", Selector(ids=tuple(f"g{number}" for number in range(6))), 1)
    stage = Stage(with_limits(groups=(group,)))
    most = 0
    for _ in range(int(60 / TICK_S)):
        stage.run(TICK_S)
        most = max(most, len(stage.world.migrations))
    assert most == 1
    assert stage.on("a") < 6


@pytest.mark.parametrize(("host", "mib_s"), [("known", 100.0), ("by-network", 50.0), ("unknown", math.inf)])
def test_a_speed_that_nobody_knows_does_not_bind(host: str, mib_s: float) -> None:
    """The migration link's, else the network's, else none; a configured host that was never seen has budgets, too."""
    hosts = [
        Host("known", 1, 1, net_mbit_s=1.0, migration_mbit_s=100 / MIB_S_PER_MBIT_S),
        Host("by-network", 1, 1, net_mbit_s=50 / MIB_S_PER_MBIT_S),
        Host("unknown", 1, 1),
    ]
    settings = Settings(
        hosts=(HostSettings("never-seen"),),
        links=(LinkSettings("up", 1000.0, ("known",)),),
        budgets=(BudgetSettings(BudgetScope.HOST_IN, 10 / MIB_S_PER_MBIT_S),),
    )
    links = links_of(hosts, settings)
    capacity = links.capacity_mib_s(Stage().clock.now())
    assert capacity[f"out:{host}"] == pytest.approx(mib_s)
    assert capacity[f"in:{host}"] == capacity["in:never-seen"] == pytest.approx(10.0)
