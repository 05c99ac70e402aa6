"""Plans of the energy policy: wakes, consolidations that keep room for losses, and what sharing load out could save."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cluster.limits import Limits
from cluster.plan import Migrate, Sleep, Wake
from policies.request import PowerTerms
from scheduler.check import check_plan
from scheduler.energy.sharing import watts_to_save
from scheduler.energy.wake_plan import wake_plan
from scheduler.planning import PlanRequest, make_plan
from tests.scheduler.energy.builders import night, settings
from tests.scheduler.solver.clusters import cluster, guest, host

CHOSEN = settings(reserve_hosts=0, host_losses=0)


def request(awake_at_least: int = 0, **planned: int) -> PlanRequest:
    """A consolidation in which all hosts may sleep, with planned millicores by guest."""
    terms = PowerTerms(frozenset("abcd"), awake_at_least, planned)
    return PlanRequest(policy="consolidate", work_limit=2.0, power=terms)


def test_a_wake_plan_is_checked_and_moves_nothing() -> None:
    """Two hosts woken at once, each with its reason; what it says of itself is true."""
    snapshot = night("ab", "cd")
    plan = wake_plan(snapshot, (("c", "needed by 01:15"), ("d", "needed by 01:20")), CHOSEN)
    assert [(one.host, one.reason, one.after) for one in plan.steps if isinstance(one, Wake)] == [
        ("c", "needed by 01:15", ()),
        ("d", "needed by 01:20", ()),
    ]
    assert (plan.before.hosts_on, plan.after.hosts_on) == (2, 4)
    assert check_plan(plan, snapshot, CHOSEN.limits) == []


def test_hosts_are_filled_by_what_is_planned_not_by_what_is_used() -> None:
    """Four guests use a core each; planned at 10, two of them fill a host of 25.6 to nine tenths."""
    light = make_plan(night(), request(), CHOSEN)
    assert sum(isinstance(step, Sleep) for step in light.steps) == 3
    planned = {f"g-{one}-0": 10_000 for one in "abcd"}
    assert sum(isinstance(step, Sleep) for step in make_plan(night(), request(**planned), CHOSEN).steps) == 2


def test_as_many_stay_awake_as_the_horizon_needs() -> None:
    """Whatever would fit on fewer."""
    plan = make_plan(night(), request(awake_at_least=3), CHOSEN)
    assert sum(isinstance(step, Sleep) for step in plan.steps) == 1


def test_a_host_planned_too_full_is_relieved_before_it_is() -> None:
    """Three guests planned at 10 cores on one host: one leaves, though they use one each now."""
    hosts = [host("a"), host("b")]
    snapshot = cluster(hosts, [guest(f"g{k}", "a", gib=4) for k in range(3)])
    terms = PowerTerms(frozenset(), 0, {f"g{k}": 10_000 for k in range(3)})
    plan = make_plan(snapshot, PlanRequest(policy="consolidate", work_limit=2.0, power=terms), CHOSEN)
    assert [(move.source, move.target) for move in plan.migrations] == [("a", "b")]
    assert plan.goals[0].after < plan.goals[0].before


def test_hosts_woken_beside_moves_wait_for_nothing() -> None:
    """A plan with moves takes the wakes along; one without any step stays without."""
    snapshot = night("ab", "cd")
    snapshot = replace(snapshot, guests=tuple(replace(one, host="a") for one in snapshot.guests))
    terms = PowerTerms(frozenset(), 0, {one.id: 14_000 for one in snapshot.guests})
    relief = replace(request(), power=terms, wake=(("c", "needed"),))
    plan = make_plan(snapshot, relief, CHOSEN)
    assert {type(step) for step in plan.steps} == {Migrate, Wake}
    assert all(step.after == () for step in plan.steps if isinstance(step, Wake))
    assert make_plan(snapshot, replace(relief, power=replace(terms, planned_millicores={})), CHOSEN).steps == ()


def test_the_checker_refuses_a_plan_that_leaves_no_room_for_a_loss() -> None:
    """Made without reckoning with losses, one host takes in everybody: with one lost there would be nobody left."""
    plan = make_plan(night(), request(), CHOSEN)
    assert sum(isinstance(step, Sleep) for step in plan.steps) == 3
    reckoning = replace(CHOSEN.consolidate, host_losses=1)
    planned: dict[str, int] = {}
    assert check_plan(plan, night(), CHOSEN.limits, consolidate=CHOSEN.consolidate, planned=planned) == []
    findings = check_plan(plan, night(), CHOSEN.limits, consolidate=reckoning, planned=planned)
    assert any("the hosts that are on have no room for" in one for one in findings), findings


def test_room_for_a_loss_in_small_pieces_keeps_one_host_more_awake() -> None:
    """Guests of 30 GiB on hosts of 57.6 filled: by the sum two hosts could sleep, piece by piece one may."""
    hosts = [host(one, gib=64) for one in "abcd"]
    snapshot = cluster(hosts, [guest(f"g{k}", one, gib=30) for k, one in enumerate("abcd")])
    none = make_plan(snapshot, request(), settings(reserve_hosts=0, host_losses=0, headroom_ratio=0.05))
    kept = make_plan(snapshot, request(), settings(reserve_hosts=0, host_losses=1, headroom_ratio=0.05))
    slept = [sum(isinstance(step, Sleep) for step in plan.steps) for plan in (none, kept)]
    assert slept == [2, 1]


@given(st.lists(st.integers(0, 20), min_size=2, max_size=5))
def test_no_sharing_out_draws_less_than_the_bound(cores: list[int]) -> None:
    """Whatever the loads are now, and however they are turned over the hosts."""
    hosts = [
        host(
            f"h{i}",
            cores=32,
            power=replace(night().hosts[0].power, watts=((0.0, 50.0 + 20 * i), (0.5, 150.0), (1.0, 200.0 + 60 * i))),
        )
        for i in range(len(cores))
    ]
    limits = Limits(cpu=1.0)
    best = []
    for turn in range(len(cores)):
        guests = [guest(f"g{i}", f"h{(i + turn) % len(cores)}", cores=one) for i, one in enumerate(cores)]
        now, saved = watts_to_save(cluster(hosts, guests), limits, 0.9)
        best.append(now - saved)
        assert saved >= 0
    for turn in range(len(cores)):
        guests = [guest(f"g{i}", f"h{(i + turn) % len(cores)}", cores=one) for i, one in enumerate(cores)]
        now, _ = watts_to_save(cluster(hosts, guests), limits, 0.9)
        assert now >= max(best) - 1e-6
