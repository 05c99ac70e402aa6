"""Impossible hard rules name a minimal set to blame, on conflicts made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cluster.clock import SystemClock
from cluster.guest import Guest
from cluster.host import Host
from cluster.plan import Status
from cluster.rules import Affinity, AntiAffinity, Enforcement, Forbid, GroupMoveLimit, Near, Pin, Rule, Spread
from policies.registry import make_problem
from scheduler.solver.blame import blame
from scheduler.solver.meter import Meter
from scheduler.solver.solve import Budget, solve
from tests.scheduler.solver.clusters import cluster, guest, host, these

HARD = Enforcement.HARD
TWO = (host("a"), host("b"))
PAIR = (guest("g0", "a"), guest("g1", "a"))
BYSTANDERS: tuple[Rule, ...] = (
    AntiAffinity(name="other", guests=these("x0", "x1")),
    Pin(name="elsewhere", guests=these("x0"), hosts=these("a", "b")),
)

CONFLICTS: dict[str, tuple[Sequence[Host], Sequence[Guest], Sequence[Rule], tuple[str, ...]]] = {
    "pin against compatibility": (
        (host("a"), host("b", storage=())),
        (guest("g0", "a", storage=("ceph",)),),
        (Pin(name="there", guests=these("g0"), hosts=these("b"), enforcement=HARD),),
        ("pin:there",),
    ),
    "pin of a guest that cannot move": (
        TWO,
        (guest("g0", "a", movable=False),),
        (Pin(name="there", guests=these("g0"), hosts=these("b"), enforcement=HARD),),
        ("pin:there",),
    ),
    "affinity against anti-affinity": (
        TWO,
        PAIR,
        (
            Affinity(name="together", guests=these("g0", "g1")),
            AntiAffinity(name="apart", guests=these("g0", "g1"), enforcement=HARD),
        ),
        ("affinity:together", "anti_affinity:apart"),
    ),
    "three apart on two hosts": (
        TWO,
        (*PAIR, guest("g2", "b")),
        (AntiAffinity(name="apart", guests=these("g0", "g1", "g2"), enforcement=HARD),),
        ("anti_affinity:apart",),
    ),
    "pin against memory": (
        (host("a"), host("b", gib=4)),
        (guest("g0", "a"),),
        (Pin(name="there", guests=these("g0"), hosts=these("b"), enforcement=HARD),),
        ("limits", "pin:there"),
    ),
    "spread over more racks than there are": (
        TWO,
        PAIR,
        (Spread(name="wide", guests=these("g0", "g1"), domain="host", at_least=3, enforcement=HARD),),
        ("spread:wide",),
    ),
    "two pins and anti-affinity": (
        TWO,
        PAIR,
        (
            Pin(name="one", guests=these("g0"), hosts=these("a")),
            Pin(name="two", guests=these("g1"), hosts=these("a")),
            AntiAffinity(name="apart", guests=these("g0", "g1"), enforcement=HARD),
        ),
        ("anti_affinity:apart", "pin:one", "pin:two"),
    ),
    "forbid everywhere": (
        TWO,
        (guest("g0", "a"),),
        (Forbid(name="nowhere", guests=these("g0"), hosts=these("a", "b"), enforcement=HARD),),
        ("forbid:nowhere",),
    ),
    "together on hosts too small": (
        (host("a", gib=10), host("b", gib=10)),
        (guest("g0", "a"), guest("g1", "b")),
        (Affinity(name="together", guests=these("g0", "g1"), enforcement=HARD),),
        ("affinity:together", "limits"),
    ),
    "near a guest that is pinned where there is no room": (
        (host("a", domains={"rack": "r1"}), host("b", labels={"rack": "r2"}, gib=6)),
        (guest("g0", "a"), guest("g1", "b", movable=False)),
        (Near(name="beside", guests=these("g0"), to=these("g1"), domain="rack", enforcement=HARD),),
        ("limits", "near:beside"),
    ),
    "near one guest and apart from its rack's other": (
        (host("a", domains={"rack": "r1"}), host("b", labels={"rack": "r2"})),
        (guest("g0", "a"), guest("g1", "b", movable=False), guest("g2", "b", movable=False)),
        (
            Near(name="beside", guests=these("g0"), to=these("g1"), domain="rack", enforcement=HARD),
            AntiAffinity(name="apart", guests=these("g0", "g2"), domain="rack", enforcement=HARD),
        ),
        ("anti_affinity:apart", "near:beside"),
    ),
    "forbidden where its partner is pinned": (
        (host("a"), host("b"), host("c")),
        (guest("g0", "a"), guest("g1", "b")),
        (
            Affinity(name="together", guests=these("g0", "g1"), enforcement=HARD),
            Pin(name="there", guests=these("g1"), hosts=these("b", "c"), enforcement=HARD),
            Forbid(name="away", guests=these("g0"), hosts=these("b", "c"), enforcement=HARD),
        ),
        ("affinity:together", "forbid:away", "pin:there"),
    ),
    "a group that may not move": (
        TWO,
        PAIR,
        (
            GroupMoveLimit(name="still", guests=these("g0", "g1"), at_most=0),
            AntiAffinity(name="apart", guests=these("g0", "g1"), enforcement=HARD),
        ),
        ("anti_affinity:apart", "group_move_limit:still"),
    ),
}


@pytest.mark.parametrize("name", sorted(CONFLICTS))
def test_conflict_names_its_parts(name: str) -> None:
    """The blamed set is the conflict's parts and nothing else, and the placement stays."""
    hosts, guests, rules, blamed = CONFLICTS[name]
    others = (guest("x0", "a", gib=1), guest("x1", "b", gib=1))
    snapshot = cluster(hosts, (*guests, *others), (*rules, *BYSTANDERS))
    proposal = solve(make_problem("balance", snapshot), Budget(work_limit=5.0))
    assert proposal.status is Status.INFEASIBLE
    assert proposal.blamed == blamed
    assert proposal.placement == {one.id: one.host for one in snapshot.guests}
    assert all(value.before == value.after for value in proposal.values)
    assert all(part in proposal.why for part in blamed)


def test_cap_on_moves_is_blamed() -> None:
    """When only the cap stands in the way, it is named."""
    rule = AntiAffinity(name="apart", guests=these("g0", "g1"), enforcement=HARD)
    proposal = solve(make_problem("balance", cluster(TWO, PAIR, [rule]), max_moves=0), Budget(work_limit=5.0))
    assert proposal.blamed == ("anti_affinity:apart", "max_moves")


def test_a_conflict_is_named_in_a_large_cluster() -> None:
    """With a thousand guests more, whose rules have nothing to do with it, the same set is named."""
    hosts, guests, rules, blamed = CONFLICTS["two pins and anti-affinity"]
    many = [host(f"h{number:03}") for number in range(100)]
    others = [guest(f"x{number}", f"h{number % 100:03}", gib=1, cores=0.1) for number in range(1000)]
    snapshot = cluster((*hosts, *many), (*guests, *others), (*rules, *BYSTANDERS))
    proposal = solve(make_problem("balance", snapshot), Budget(time_limit_s=1.0))
    assert proposal.status is Status.INFEASIBLE
    assert proposal.blamed == blamed


def test_hard_rule_that_can_hold_is_no_conflict() -> None:
    """The same rule without the cap is simply mended."""
    rule = AntiAffinity(name="apart", guests=these("g0", "g1"), enforcement=HARD)
    proposal = solve(make_problem("repair", cluster(TWO, PAIR, [rule])), Budget(work_limit=5.0))
    assert proposal.status is Status.OPTIMAL
    assert proposal.blamed == ()
    soft = replace(rule, enforcement=Enforcement.REPAIR)
    assert solve(make_problem("repair", cluster(TWO, PAIR, [soft]), max_moves=0)).status is Status.NOTHING_TO_DO


def test_without_time_more_is_blamed_than_need_be() -> None:
    """Narrowing down ends with the deadline: the set is then too large, but what it holds is impossible together."""
    hosts, guests, rules, blamed = CONFLICTS["affinity against anti-affinity"]
    problem = make_problem("repair", cluster(hosts, guests, [*rules, *BYSTANDERS]))
    spent = Meter(Budget(time_limit_s=1.0), _Hurrying(), None)
    assert set(blame(problem, spent)) > set(blamed)
    assert blame(problem, Meter(Budget(work_limit=1.0), _Hurrying(), None)) == blamed


class _Hurrying(SystemClock):
    """A clock on which an hour passes between any two looks."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def monotonic_s(self) -> float:
        """Return an hour more than last time."""
        self._now_s += 3600.0
        return self._now_s
