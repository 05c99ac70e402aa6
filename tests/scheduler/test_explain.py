"""Why a guest cannot go to a host, reason by reason; and the answers are those that planning gives."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings

from cluster.limits import Limits
from cluster.rules import AntiAffinity, Ignore, Pin
from cluster.rules.selector import Selector
from cluster.snapshot import Snapshot
from policies.registry import make_problem
from scheduler.explain import Reach, Target
from tests.scheduler.solver.clusters import cluster, guest, host
from tests.strategies import snapshots

ONE = cluster([host("a"), host("b"), host("c")], [guest("g", "a"), guest("other", "b")])


def target(reach: Reach, name: str = "b") -> Target:
    """What is said of one host."""
    return next(one for one in reach.targets(ONE.guest_by_id["g"]) if one.host == name)


def test_an_open_host_is_open() -> None:
    """Nothing in the way; the guest's own host is not listed."""
    reach = Reach(ONE, Limits())
    assert [one.host for one in reach.targets(ONE.guest_by_id["g"])] == ["b", "c"]
    assert target(reach) == Target("b")
    assert reach.why_stays(ONE.guest_by_id["g"]) is None


def test_each_reason_is_named() -> None:
    """A closed host, a thing it lacks, a rule that would be newly broken, and too little room."""
    cordoned = replace(ONE, hosts=tuple(replace(one, cordoned=one.id == "b") for one in ONE.hosts))
    assert target(Reach(cordoned, Limits())) == Target("b", "host b is cordoned", for_good=True)
    lacking = replace(ONE, guests=tuple(replace(one, storage=("ceph",)) for one in ONE.guests))
    lacking = replace(lacking, hosts=tuple(replace(one, storage=()) for one in ONE.hosts))
    reach = Reach(lacking, Limits())
    assert next(iter(reach.targets(lacking.guest_by_id["g"]))).why_not == "host b does not reach storage ceph"
    apart = replace(ONE, rules=(AntiAffinity(name="apart", guests=Selector(ids=("g", "other"))),))
    assert target(Reach(apart, Limits())).why_not == "rule anti_affinity:apart would be broken"
    assert target(Reach(apart, Limits()), "c").why_not is None
    tight = target(Reach(ONE, Limits(memory=0.0001)))
    assert (tight.for_good, "no room on host b now: memory" in (tight.why_not or "")) == (False, True)


def test_who_stays_and_why() -> None:
    """A rule that forbids all moves, the guest's own reason, a host that is not seen, and what the journal says."""
    one = ONE.guest_by_id["g"]
    ignored = replace(ONE, rules=(Ignore(name="mine", guests=Selector(ids=("g",))),))
    assert Reach(ignored, Limits()).why_stays(one) == "rule ignore:mine: it is never touched"
    bound = replace(one, movable=False, why_not="has a passthrough device")
    assert Reach(ONE, Limits()).why_stays(bound) == "has a passthrough device"
    silent = replace(ONE, hosts=tuple(replace(each, reachable=False) for each in ONE.hosts))
    assert Reach(silent, Limits()).why_stays(one) == "host a is unreachable"
    assert Reach(ONE, Limits(), {"g": "unresolved: nobody knows"}).why_stays(one) == "unresolved: nobody knows"


def test_rules_that_name_a_guest_are_listed() -> None:
    """Broken or not."""
    pinned = replace(ONE, rules=(Pin(name="home", guests=Selector(ids=("g",)), hosts=Selector(ids=("c",))),))
    reach = Reach(pinned, Limits())
    assert [rule.title for rule in reach.rules_of(pinned.guest_by_id["g"])] == ["pin:home"]
    assert reach.rules_of(pinned.guest_by_id["other"]) == ()
    assert reach.broken_now(pinned.rules[0]) == 1


@settings(deadline=None, max_examples=60)
@given(snapshots())
def test_what_is_open_for_good_is_what_planning_allows(snapshot: Snapshot) -> None:
    """A host named as closed by itself or by what it lacks is none that a plan may use, and the other way round."""
    problem = make_problem("balance", snapshot)
    reach = Reach(replace(snapshot, rules=()), Limits())
    for one in snapshot.guests:
        if one.id in problem.allowed:
            open_to = {each.host for each in reach.targets(one) if not each.for_good}
            assert open_to == problem.allowed[one.id] - {one.host}
