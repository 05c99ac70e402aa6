"""What the solver answers on clusters made by hand, one behaviour each."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from benchmarks.generate import generate
from cluster.config.settings import ConsolidateSettings
from cluster.limits import Limits
from cluster.plan import Status
from cluster.problem import Proposal
from cluster.rules import Affinity, AntiAffinity, Enforcement, Forbid, GroupMoveLimit, Near, Pin, Rule, Spread
from cluster.snapshot import Snapshot
from policies.registry import make_problem
from scheduler.solver import layers
from scheduler.solver.evaluate import why_not_valid
from scheduler.solver.lower import lower_problem
from scheduler.solver.solve import Budget, solve
from scheduler.solver.worth import Objective
from tests.scheduler.solver.clusters import GIB, cluster, guest, host, hosts_of, these

WORK = Budget(work_limit=5.0)


def answer(policy: str, snapshot: Snapshot, **wishes: object) -> Proposal:
    """The proven answer to a policy on a small cluster."""
    return solve(make_problem(policy, snapshot, **wishes), WORK)  # type: ignore[arg-type]


def skewed() -> Snapshot:
    """Three hosts, six guests, all on the first."""
    return cluster([host("a"), host("b"), host("c")], [guest(f"g{i}", "a") for i in range(6)])


def even() -> Snapshot:
    """Three hosts with two equal guests each."""
    return cluster([host("a"), host("b"), host("c")], [guest(f"g{i}", "abc"[i % 3]) for i in range(6)])


def test_balance_spreads_equal_guests_evenly() -> None:
    """Six equal guests on one of three hosts end two on each, proven, with the fewest moves there are."""
    proposal = answer("balance", skewed(), level=5)
    placed = sorted(proposal.placement.values())
    assert placed == ["a", "a", "b", "b", "c", "c"]
    assert proposal.status is Status.OPTIMAL
    assert {value.tier: value.after for value in proposal.values}["moves"] == 4


def test_balanced_cluster_rests_under_the_threshold() -> None:
    """With deviations under the level's threshold nothing is proposed, and the sentence says both figures."""
    proposal = answer("balance", even(), level=3)
    assert proposal.status is Status.NOTHING_TO_DO
    assert re.search(r"imbalance \(RMS\) 0 is under the threshold 0.08 of level 3", proposal.why)


def test_level_one_only_repairs() -> None:
    """Level 1 leaves an uneven cluster alone."""
    proposal = answer("balance", skewed(), level=1)
    assert proposal.status is Status.NOTHING_TO_DO


def test_under_the_threshold_only_what_is_broken_moves() -> None:
    """A broken rule in an even cluster costs the one move that mends it, and no balancing with it."""
    rule = AntiAffinity(name="apart", guests=these("g0", "g3"))
    proposal = answer("balance", replace(even(), rules=(rule,)), level=2)
    assert len(hosts_of(proposal.placement, "g0", "g3")) == 2
    moved = [one.id for one in even().guests if proposal.placement[one.id] != one.host]
    assert len(moved) == 1


def test_price_decides_whether_a_move_is_worth_it() -> None:
    """Level 2 moves less memory than level 4 on the same cluster."""
    moved = {
        level: {value.tier: value.after for value in answer("balance", skewed(), level=level).values}["moved_mib"]
        for level in (2, 4)
    }
    assert moved[2] < moved[4]


def test_cap_on_moves_takes_the_best_ones() -> None:
    """With two moves allowed, two guests go to the two empty hosts."""
    proposal = answer("balance", skewed(), level=5, max_moves=2)
    assert sorted(proposal.placement.values()) == ["a", "a", "a", "a", "b", "c"]


def test_no_moves_allowed_is_nothing_to_do() -> None:
    """With a cap of none, doing nothing is the answer."""
    assert answer("balance", skewed(), level=5, max_moves=0).status is Status.NOTHING_TO_DO


def test_group_move_limit_binds() -> None:
    """Of the limited group only one guest moves."""
    limited = GroupMoveLimit(name="few", guests=these("g0", "g1", "g2", "g3", "g4"), at_most=1)
    proposal = answer("balance", replace(skewed(), rules=(limited,)), level=5)
    assert sum(proposal.placement[f"g{i}"] != "a" for i in range(5)) == 1


def test_overload_is_mended_before_all_else() -> None:
    """A host over its CPU limit is relieved although the level only repairs."""
    busy = cluster([host("a", cores=8), host("b", cores=8)], [guest(f"g{i}", "a", cores=3.0) for i in range(3)])
    proposal = answer("balance", busy, level=1)
    assert sorted(proposal.placement.values()) == ["a", "a", "b"]
    assert proposal.values[0].before == pytest.approx(9 / 8 - 0.8)
    assert proposal.values[0].after == 0


def test_memory_held_back_by_limits_stays_free() -> None:
    """No guest goes where it would pass the memory limit, however uneven the cluster stays."""
    tight = cluster([host("a"), host("b", gib=4)], [guest(f"g{i}", "a") for i in range(6)])
    assert answer("balance", tight, level=5).status is Status.NOTHING_TO_DO


def test_drain_empties_the_host_with_affinity_groups_whole() -> None:
    """A group that must be together leaves together, although each member alone would break its rule."""
    rule = Affinity(name="pair", guests=these("g0", "g1", "g2"))
    crowded = cluster(
        [host("a"), host("b", gib=32), host("c", gib=32)], [guest(f"g{i}", "a") for i in range(4)], [rule]
    )
    proposal = answer("drain", crowded, drained=["a"])
    assert "a" not in proposal.placement.values()
    assert len(hosts_of(proposal.placement, "g0", "g1", "g2")) == 1


def test_drain_group_leaves_whole_in_the_descent_alone() -> None:
    """The same without any help of CP-SAT, as at sizes where it is only used in parts."""
    rule = Affinity(name="pair", guests=these("g0", "g1", "g2"))
    crowded = cluster([host("a"), host("b"), host("c")], [guest(f"g{i}", "a") for i in range(4)], [rule])
    proposal = solve(make_problem("drain", crowded, drained=["a"]), Budget(work_limit=0.004))
    assert "a" not in proposal.placement.values()


def test_drain_leaves_what_cannot_leave_and_says_so() -> None:
    """A guest that cannot be moved stays, counted and with its reason, and the others leave."""
    stuck = guest("stuck", "a", movable=False, why_not="a device is passed through")
    snapshot = cluster([host("a"), host("b")], [stuck, guest("free", "a")])
    problem = make_problem("drain", snapshot, drained=["a"])
    proposal = solve(problem, WORK)
    assert (proposal.placement["stuck"], proposal.placement["free"]) == ("a", "b")
    assert problem.why_fixed["stuck"] == ("not_movable", "stuck cannot be moved: a device is passed through")
    left = next(value for value in proposal.values if value.tier == "drain")
    assert (left.before, left.after, left.bound) == (2, 1, 1)


def test_drain_takes_nothing_onto_the_drained_host() -> None:
    """Balance after a drain never uses the drained host."""
    snapshot = cluster([host("a"), host("b"), host("c")], [guest(f"g{i}", "b") for i in range(6)])
    proposal = answer("drain", snapshot, drained=["a"], level=5)
    assert hosts_of(proposal.placement, *proposal.placement) == {"b", "c"}


NOTHING_KEPT = ConsolidateSettings(host_losses=0, reserve_hosts=0, headroom_ratio=0.2)


def test_consolidate_empties_hosts_and_puts_them_to_sleep() -> None:
    """Light guests gather on one host, the second stays on as the reserve, the third sleeps."""
    light = cluster([host("a"), host("b"), host("c")], [guest("g0", "a"), guest("g1", "b"), guest("g2", "c")])
    proposal = answer("consolidate", light)
    assert len(proposal.asleep) == 1
    assert proposal.asleep[0] not in proposal.placement.values()
    none = answer("consolidate", light, consolidate=ConsolidateSettings(host_losses=0, reserve_hosts=0))
    assert len(none.asleep) == 2


def test_consolidate_keeps_headroom_where_guests_are_added() -> None:
    """A host that receives a guest keeps a fifth of its memory limit free, so two of three guests meet at most."""
    third = cluster(
        [host("a", gib=30), host("b", gib=30), host("c", gib=30)],
        [guest(f"g{i}", h, gib=10) for i, h in enumerate("abc")],
    )
    proposal = answer("consolidate", third, consolidate=NOTHING_KEPT)
    assert len(proposal.asleep) == 1
    snug = answer("consolidate", third, consolidate=replace(NOTHING_KEPT, headroom_ratio=0.0))
    assert len(snug.asleep) == 2


def test_consolidate_sleeps_only_hosts_it_controls() -> None:
    """Without a host that may be put to sleep there is nothing to gain."""
    plain = [replace(host(name), power=replace(host(name).power, controllable=False)) for name in "ab"]
    assert answer("consolidate", cluster(plain, [guest("g0", "a"), guest("g1", "b")])).status is Status.NOTHING_TO_DO


def test_empty_host_goes_to_sleep_without_any_move() -> None:
    """A host that is empty already sleeps, the reserve allowing."""
    proposal = answer("consolidate", cluster([host("a"), host("b"), host("c")], [guest("g0", "a")]))
    assert len(proposal.asleep) == 1
    assert proposal.placement == {"g0": "a"}


def test_every_rule_kind_is_mended() -> None:
    """One broken rule of each kind, all mendable at once, all mended."""
    racks = {"a": "r1", "b": "r1", "c": "r2", "d": "r2"}
    hosts = [host(name, domains={"rack": rack}) for name, rack in racks.items()]
    guests = [guest(name, "a", gib=2) for name in ("s1", "s2", "t1", "w1", "w2", "p1", "f1", "n1")]
    guests += [guest("t2", "b", gib=2), guest("n2", "c", gib=2)]
    rules: list[Rule] = [
        AntiAffinity(name="1", guests=these("s1", "s2")),
        Affinity(name="2", guests=these("t1", "t2")),
        Spread(name="3", guests=these("w1", "w2"), domain="rack", at_least=2),
        Pin(name="4", guests=these("p1"), hosts=these("d")),
        Forbid(name="5", guests=these("f1"), hosts=these("a")),
        Near(name="6", guests=these("n1"), to=these("n2"), domain="rack"),
    ]
    proposal = answer("repair", cluster(hosts, guests, rules))
    assert (proposal.values[0].before, proposal.values[0].after) == (6, 0)
    assert proposal.status is Status.OPTIMAL


def test_soft_rule_weighs_against_the_goal() -> None:
    """A heavy soft affinity keeps two guests together that balance alone would part, a light one does not."""
    two = cluster([host("a"), host("b")], [guest("g0", "a"), guest("g1", "a")])
    for weight, hosts in ((10.0, 1), (0.01, 2)):
        rule = Affinity(name="near", guests=these("g0", "g1"), enforcement=Enforcement.SOFT, weight=weight)
        proposal = answer("balance", replace(two, rules=(rule,)), level=5)
        assert len(hosts_of(proposal.placement, "g0", "g1")) == hosts


def test_guest_on_a_cordoned_host_moves_only_for_repair() -> None:
    """Balance leaves the guests of a cordoned host alone; a broken rule of theirs is mended."""
    cordoned = cluster([host("a", cordoned=True), host("b"), host("c")], [guest("g0", "a"), guest("g1", "a")])
    assert answer("balance", cordoned, level=5).status is Status.NOTHING_TO_DO
    apart = AntiAffinity(name="apart", guests=these("g0", "g1"))
    proposal = answer("balance", replace(cordoned, rules=(apart,)), level=5)
    assert len(hosts_of(proposal.placement, "g0", "g1")) == 2


def test_what_cannot_be_mended_is_said() -> None:
    """Where no allowed move mends a rule, nothing is proposed and the sentence says so."""
    pinned = [guest("g0", "a", movable=False), guest("g1", "a", movable=False)]
    rule = AntiAffinity(name="apart", guests=these("g0", "g1"))
    proposal = answer("repair", cluster([host("a"), host("b")], pinned, [rule]))
    assert proposal.status is Status.NOTHING_TO_DO
    assert proposal.why == "repair: broken rules 1, which no allowed move mends"


def test_nothing_known_of_an_empty_cluster_is_nothing_to_do() -> None:
    """No guest, no host: still an answer."""
    for policy in ("repair", "balance", "consolidate"):
        assert answer(policy, cluster([], [])).status is Status.NOTHING_TO_DO


@pytest.mark.parametrize("policy", ["balance", "consolidate", "drain", "repair"])
def test_parts_alone_give_valid_answers_within_the_deadline(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At sizes beyond CP-SAT as a whole the answer is valid, better, and there in time."""
    monkeypatch.setattr(layers, "MOST_BOOLEANS", 10)
    monkeypatch.setattr(layers, "MOST_SQUARED_BOOLEANS", 10)
    snapshot = generate(12, 100, seed=3, rules=3)
    problem = make_problem(policy, snapshot, drained=["host-0000"] if policy == "drain" else ())
    proposal = solve(problem, Budget(time_limit_s=1.5))
    case = lower_problem(problem)
    assert why_not_valid(case.instance, case.place_of(proposal.placement)) is None
    assert [value.after for value in proposal.values] < [value.before for value in proposal.values]
    assert proposal.solve_s < 4.0


def test_stop_returns_the_best_so_far() -> None:
    """Asked to stop at once, the solver still answers, with something no worse than the start."""
    problem = make_problem("balance", generate(12, 100, seed=3), level=5)
    proposal = solve(problem, Budget(time_limit_s=60.0), stop=lambda: True)
    assert proposal.status in (Status.FEASIBLE, Status.NOTHING_TO_DO)
    assert proposal.solve_s < 5.0


def test_objective_agrees_with_the_proposal() -> None:
    """The values of a proposal are those of its placement by the objective others use."""
    problem = make_problem("balance", skewed(), level=4)
    proposal = solve(problem, WORK)
    worth = Objective(problem)
    assert worth.floats(proposal.placement) == {value.tier: value.after for value in proposal.values}
    assert worth.floats({}) == {value.tier: value.before for value in proposal.values}


def test_limits_are_the_callers() -> None:
    """A lower CPU limit makes the same cluster overloaded."""
    snapshot = cluster(
        [host("a", cores=8), host("b", cores=8)], [guest("g0", "a", cores=2.0), guest("g1", "a", cores=2.0)]
    )
    assert answer("repair", snapshot).status is Status.NOTHING_TO_DO
    assert answer("repair", snapshot, limits=Limits(cpu=0.4)).status is Status.OPTIMAL
    assert snapshot.guests[0].memory_mib == 8 * GIB
