"""What each policy asks for, as data: goals by level, who may move and where, and why the others stay."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cluster.errors import InputError
from cluster.host import PowerState
from cluster.plan import EMPTYING
from cluster.problem import BalanceGoal, ConsolidateGoal, DrainGoal, RepairGoal
from cluster.rules import Ignore
from policies.registry import POLICIES, make_problem
from tests.scheduler.solver.clusters import POWER, cluster, guest, host, these

PAIR = cluster([host("b"), host("a")], [guest("g1", "a"), guest("g0", "b")])


@pytest.mark.parametrize(
    ("level", "threshold", "price"), [(2, 0.15, 4.0), (3, 0.08, 1.0), (4, 0.04, 0.25), (5, 0.0, 0.0)]
)
def test_levels_are_those_of_the_contract(level: int, threshold: float, price: float) -> None:
    """Each level has its threshold and price."""
    goal = make_problem("balance", PAIR, level=level).goal
    assert isinstance(goal, BalanceGoal)
    assert (goal.rms_threshold, goal.price) == (threshold, price)


@pytest.mark.parametrize("policy", ["balance", "consolidate", "repair"])
def test_level_one_is_repair(policy: str) -> None:
    """At level 1 every policy but drain only repairs."""
    assert make_problem(policy, PAIR, level=1).goal == RepairGoal()


def test_drain_cordons_and_counts_the_drained() -> None:
    """The drained host is no target, is cordoned in the problem's snapshot, and its guests count in the mean."""
    problem = make_problem("drain", PAIR, drained=["a"])
    assert isinstance(problem.goal, DrainGoal)
    assert problem.goal.drained == ("a",)
    assert (problem.goal.balance.hosts, problem.goal.balance.emptied) == (("b",), ("a",))
    assert problem.targets == ("b",)
    assert problem.snapshot.host_by_id["a"].cordoned
    assert problem.movable == ("g0", "g1")


def test_consolidate_puts_only_usable_controllable_hosts_to_sleep() -> None:
    """Cordoned and uncontrolled hosts stay on; those asleep already are not counted."""
    hosts = [
        host("a"),
        host("b", cordoned=True),
        host("c", power=replace(POWER, controllable=False)),
        host("d", power=replace(POWER, state=PowerState.ASLEEP)),
    ]
    goal = make_problem("consolidate", cluster(hosts, [])).goal
    assert isinstance(goal, ConsolidateGoal)
    assert (goal.hosts, goal.may_sleep) == (("a", "b", "c"), ("a",))


def test_who_stays_is_said_with_a_reason() -> None:
    """Every guest that may not move carries a code and a sentence."""
    hosts = [host("a"), host("b"), host("silent", reachable=False)]
    guests = [
        guest("free", "a"),
        guest("device", "a", movable=False, why_not="a device is passed through"),
        guest("left-alone", "a"),
        guest("far", "silent"),
        guest("rests", "a"),
    ]
    snapshot = cluster(hosts, guests, [Ignore(name="mine", guests=these("left-alone"))])
    problem = make_problem("balance", snapshot, frozen={"rests": ("cooldown", "rests moved 5 min ago")})
    assert problem.movable == ("free",)
    assert problem.why_fixed == {
        "device": ("not_movable", "device cannot be moved: a device is passed through"),
        "left-alone": ("ignored", "left-alone is never touched (rule ignore:mine)"),
        "far": ("unplannable_host", "far stays: host silent is unreachable"),
        "rests": ("cooldown", "rests moved 5 min ago"),
    }


def test_targets_are_usable_and_compatible() -> None:
    """A guest may go only to usable hosts that can run it."""
    hosts = [host("a"), host("b", storage=("nfs",)), host("c", failing=True), host("d", storage=("ceph", "nfs"))]
    problem = make_problem("balance", cluster(hosts, [guest("g0", "a", storage=("ceph",)), guest("g1", "a")]))
    assert problem.targets == ("a", "b", "d")
    assert problem.allowed == {"g0": frozenset("ad"), "g1": frozenset("abd")}


def test_stale_host_is_neither_source_nor_target() -> None:
    """Old figures are no ground for a move."""
    snapshot = cluster([host("a"), host("b")], [guest("g0", "a"), guest("g1", "b")])
    old = replace(snapshot.hosts[0], measured_at=snapshot.taken_at - timedelta(seconds=300))
    problem = make_problem("balance", replace(snapshot, hosts=(old, snapshot.hosts[1])))
    assert (problem.movable, problem.targets) == (("g1",), ("b",))


@pytest.mark.parametrize(
    ("policy", "wishes", "line"),
    [
        ("spread", {}, "policy: found 'spread'; allowed: balance, consolidate, drain, evacuate, repair"),
        ("balance", {"level": 6}, "level: found 6; allowed: 1 to 5"),
        ("balance", {"max_moves": -1}, "max_moves: found -1; allowed: 0 and more"),
        ("drain", {}, "drain: no host given; name the host to empty"),
        ("drain", {"drained": ["z"]}, "drain: host z is not in the cluster; hosts: a, b"),
    ],
)
def test_bad_wishes_are_refused_on_one_line(policy: str, wishes: dict[str, int], line: str) -> None:
    """What cannot be meant is refused with what is allowed."""
    with pytest.raises(InputError) as refused:
        make_problem(policy, PAIR, **wishes)  # type: ignore[arg-type]
    assert str(refused.value) == line


def test_every_policy_answers_for_an_empty_cluster() -> None:
    """No hosts and no guests is a problem like any other; only what empties hosts needs to know them."""
    for policy in sorted(POLICIES):
        if policy not in EMPTYING:
            assert make_problem(policy, cluster([], [])).movable == ()
