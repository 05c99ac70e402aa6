"""The checker accepts what the planner makes, finds each kind of fault planted in a good plan, and stands alone."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cluster.config.settings import ConsolidateSettings, Settings
from cluster.guest import Usage
from cluster.host import Host, PowerState
from cluster.limits import Limits
from cluster.plan import Migrate, Plan, Sleep, Status, Wake
from cluster.rules import AntiAffinity, Enforcement, Forbid, GroupMoveLimit, Ignore, Pin, Rule, Spread
from cluster.snapshot import Snapshot
from scheduler.check import check_plan
from scheduler.planning import PlanRequest, make_plan
from tests.scheduler.solver.clusters import cluster, guest, host, these
from tests.strategies import snapshots

CHECK = Path(__file__).resolve().parents[3] / "scheduler" / "check"


@settings(max_examples=60, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    snapshots(max_hosts=4, max_guests=8, min_hosts=2),
    st.sampled_from(["repair", "balance", "consolidate", "drain"]),
    st.integers(1, 5),
    st.none() | st.integers(0, 3),
)
def test_what_the_planner_makes_is_accepted(snapshot: Snapshot, policy: str, level: int, most: int | None) -> None:
    """All four policies, all levels, on clusters as odd as they come: `make_plan` raises when the checker refuses."""
    drained = (snapshot.hosts[0].id,) if policy == "drain" else ()
    request = PlanRequest(policy=policy, level=level, drained=drained, max_moves=most, work_limit=0.05)
    plan = make_plan(snapshot, request, Settings())
    assert bool(plan.steps) == (plan.status in (Status.OPTIMAL, Status.FEASIBLE))


def test_the_checker_shares_nothing_with_what_makes_plans() -> None:
    """No module of the check imports the solver, the policies or the planner, nor the arithmetic they rest on."""
    for path in sorted(CHECK.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                assert not name.startswith(("policies", "scheduler.solver", "scheduler.plann", "cluster.problem"))
                assert name not in ("cluster.limits.demand", "cluster.limits.limit", "cluster.limits.room"), path


@dataclass(frozen=True)
class Good:
    """A good plan, what it was made from, and what was asked for."""

    plan: Plan
    snapshot: Snapshot
    drained: tuple[str, ...] = ()
    max_moves: int | None = None
    frozen: tuple[str, ...] = ()

    @property
    def findings(self) -> list[str]:
        """What the checker says."""
        return check_plan(
            self.plan,
            self.snapshot,
            Limits(),
            self.max_moves,
            drained=self.drained,
            consolidate=ConsolidateSettings(headroom_ratio=0.2, host_losses=0),
            frozen=self.frozen,
        )

    def step(self, number: int, **changes: Any) -> Good:
        """The same with one step changed; `Migrate` fields by their names."""
        steps = list(self.plan.steps)
        steps[number] = replace(steps[number], **changes)
        return self.claim(steps=tuple(steps))

    def claim(self, **changes: Any) -> Good:
        """The same with other fields of the plan."""
        return replace(self, plan=replace(self.plan, **changes))

    def without(self, number: int) -> Good:
        """The same without one step, and without what waits for it."""
        gone = self.plan.steps[number].id
        kept = [step for step in self.plan.steps if step.id != gone]
        return self.claim(
            steps=tuple(replace(step, after=tuple(one for one in step.after if one != gone)) for step in kept)
        )

    def host(self, name: str, **changes: Any) -> Good:
        """The same in a cluster where that host is different."""
        hosts = tuple(replace(one, **changes) if one.id == name else one for one in self.snapshot.hosts)
        return replace(self, snapshot=replace(self.snapshot, hosts=hosts))

    def guest(self, name: str, **changes: Any) -> Good:
        """The same in a cluster where that guest is different."""
        guests = tuple(replace(one, **changes) if one.id == name else one for one in self.snapshot.guests)
        return replace(self, snapshot=replace(self.snapshot, guests=guests))

    def rule(self, rule: Rule) -> Good:
        """The same in a cluster with one rule more."""
        return replace(self, snapshot=replace(self.snapshot, rules=(*self.snapshot.rules, rule)))

    def goal(self, number: int, **changes: Any) -> Good:
        """The same with one goal changed."""
        goals = list(self.plan.goals)
        goals[number] = replace(goals[number], **changes)
        return self.claim(goals=tuple(goals))


def planned(snapshot: Snapshot, policy: str, drained: tuple[str, ...] = (), level: int = 5) -> Good:
    """The plan for it, made quickly."""
    request = PlanRequest(policy=policy, level=level, drained=drained, work_limit=1.0)
    return Good(make_plan(snapshot, request, Settings()), snapshot, drained)


def swap() -> Good:
    """Two guests that fill their hosts change places: s1 parks g1 on c, s2 brings g2 to a, s3 brings g1 to b."""
    pins = [
        Pin(name="one", guests=these("g1"), hosts=these("b")),
        Pin(name="two", guests=these("g2"), hosts=these("a")),
    ]
    guests = [guest("g1", "a", gib=16), guest("g2", "b", gib=16)]
    good = planned(cluster([host(name, gib=16) for name in "abc"], guests, pins), "repair")
    assert [(m.guest, m.source, m.target, m.parking, m.after) for m in good.plan.migrations] == [
        ("g1", "a", "c", True, ()),
        ("g2", "b", "a", False, ("s1",)),
        ("g1", "c", "b", False, ("s2",)),
    ]
    return good


def spread_out() -> Good:
    """Three guests on a go apart: s1 brings g1 to b, s2 g2 to c."""
    guests = [guest(f"g{number}", "a", cores=2) for number in range(1, 4)]
    good = planned(cluster([host(name, cores=8) for name in "abc"], guests), "balance")
    assert [(m.source, m.target, m.after) for m in good.plan.migrations] == [("a", "b", ()), ("a", "c", ())]
    return good


def night() -> Good:
    """One of three hosts is emptied, s1, and put to sleep, s2; one is needed and one kept in reserve."""
    guests = [guest("g1", "a"), guest("g2", "b"), guest("g3", "c", gib=2, cores=0.2)]
    good = planned(cluster([host(name) for name in "abc"], guests), "consolidate")
    move, sleep = good.plan.steps
    assert isinstance(move, Migrate) and (move.guest, move.source, move.target) == ("g3", "c", "a")
    assert isinstance(sleep, Sleep) and (sleep.host, sleep.after) == ("c", ("s1",))
    return good


def emptied() -> Good:
    """Host a is drained: s1 and s2 bring its guests to b and c."""
    guests = [guest("g1", "a"), guest("g2", "a"), guest("g3", "b", gib=2)]
    return planned(cluster([host(name) for name in "abc"], guests), "drain", ("a",), level=3)


@pytest.mark.parametrize("make", [swap, spread_out, night, emptied])
def test_the_good_plans_are_good(make: Callable[[], Good]) -> None:
    """Nothing is wrong before something is planted."""
    good = make()
    assert good.findings == []
    assert good.plan.steps


def asleep(good: Good, name: str) -> Good:
    """The same with that host asleep, its power controllable."""
    power = good.snapshot.host_by_id[name].power
    return good.host(name, power=replace(power, state=PowerState.ASLEEP))


def with_wake(good: Good, name: str, *, first: bool) -> Good:
    """The same with that host asleep and a step that wakes it, which the moves to it wait for, or not."""
    wake = Wake("w", name, "a test")
    steps = [replace(one, after=(*one.after, "w")) if first else one for one in good.plan.steps]
    return asleep(good, name).claim(steps=(wake, *steps))


def second_final_move(good: Good) -> Good:
    """The same with a guest moved on after its final move."""
    last = good.plan.migrations[-1]
    again = replace(last, id="again", source=last.target, target="a", after=(last.id,))
    return good.claim(steps=(*good.plan.steps, again))


FAULTS: dict[str, tuple[Callable[[], Good], str]] = {
    "another snapshot": (lambda: swap().claim(snapshot="other"), "made from snapshot other"),
    "unknown guest": (lambda: swap().step(1, guest="nobody"), "unknown guest nobody"),
    "unknown target": (lambda: swap().step(1, target="nowhere"), "unknown host nowhere"),
    "unknown sleeper": (lambda: night().step(1, host="nowhere"), "unknown host nowhere"),
    "wrong source": (lambda: swap().step(1, source="c"), "but it is on b"),
    "to where it is": (lambda: swap().step(1, target="b"), "moves g2 from b to b"),
    "id twice": (lambda: swap().step(1, id="s1"), "id s1 stands twice"),
    "waits for nobody": (lambda: swap().step(2, after=("ghost",)), "waits for a step that does not come before it"),
    "waits in a circle": (lambda: swap().step(0, after=("s2",)), "waits for a step that does not come before it"),
    "waits for itself": (lambda: swap().step(1, after=("s2",)), "waits for a step that does not come before it"),
    "second final move": (lambda: second_final_move(swap()), "moves g1 again"),
    "parks twice": (lambda: swap().step(2, parking=True), "moves g1 again"),
    "parked for good": (lambda: swap().without(2), "parks g1, and no final move follows"),
    "final move does not wait for parking": (lambda: swap().step(2, after=()), "moves g1 again"),
    "steps of a plan that does nothing": (lambda: swap().claim(status=Status.NOTHING_TO_DO), "nothing_to_do has steps"),
    "steps of an infeasible plan": (lambda: swap().claim(status=Status.INFEASIBLE), "infeasible has steps"),
    "missing edge overfills": (
        lambda: swap().step(1, after=()).step(2, after=("s1", "s2")),
        "host a may be overfilled in memory",
    ),
    "too big at the end": (
        lambda: spread_out().guest("g1", memory_mib=65 * 1024),
        "host b ends over its memory limit",
    ),
    "CPU over its limit": (lambda: spread_out().guest("g1", usage=Usage(6500)), "host b ends over its cpu limit"),
    "vCPUs over their limit": (lambda: spread_out().guest("g1", vcpus=65), "host b ends over its vcpus limit"),
    "network over its limit": (
        lambda: spread_out().host("b", net_mbit_s=100).guest("g1", usage=Usage(0, net_mbit_s=101)),
        "host b ends over its network limit",
    ),
    "huge pages overfilled": (
        lambda: spread_out().host("b", hugepages_mib=10).guest("g1", hugepages_mib=11),
        "host b may be overfilled in huge pages",
    ),
    "local disk overfilled": (
        lambda: spread_out().host("b", local_disk_mib=10).guest("g1", local_disk_mib=11),
        "host b may be overfilled in local disk",
    ),
    "anti-affinity broken in transit": (
        lambda: (
            swap()
            .host("a", memory_mib=65536)
            .rule(AntiAffinity(name="apart", guests=these("g1", "g2")))
            .step(1, after=())
            .step(2, after=("s1", "s2"))
        ),
        "anti_affinity:apart gets worse",
    ),
    "anti-affinity broken for good": (
        lambda: emptied().rule(AntiAffinity(name="apart", guests=these("g1", "g3"))),
        "anti_affinity:apart ends worse: 1 broken, 0 before",
    ),
    "pin broken in transit": (
        lambda: swap().rule(Pin(name="there", guests=these("g1"), hosts=these("a", "b"))),
        "pin:there gets worse",
    ),
    "forbid broken in transit": (
        lambda: swap().rule(Forbid(name="away", guests=these("g1"), hosts=these("c"))),
        "forbid:away gets worse",
    ),
    "spread broken in transit": (
        lambda: (
            swap()
            .rule(Spread(name="wide", guests=these("g1", "g2"), domain="rack", at_least=2))
            .host("c", domains={"rack": "b"})
        ),
        "spread:wide gets worse after",
    ),
    "pin broken at the end": (
        lambda: spread_out().rule(Pin(name="stay", guests=these("g1"), hosts=these("a"))),
        "pin:stay ends worse: 1 broken, 0 before",
    ),
    "a hard rule that does not hold": (
        lambda: spread_out().rule(Pin(name="must", guests=these("g3"), hosts=these("b"), enforcement=Enforcement.HARD)),
        "pin:must is hard and does not hold",
    ),
    "sleep of a host that is not empty": (lambda: night().without(0), "puts c to sleep with guests on it"),
    "sleep does not wait": (lambda: night().step(1, after=()), "puts c to sleep without waiting for s1"),
    "sleep of what cannot be controlled": (
        lambda: night().host("c", power=replace(night().snapshot.host_by_id["c"].power, controllable=False)),
        "whose power cannot be controlled",
    ),
    "sleep of a cordoned host": (lambda: night().host("c", cordoned=True), "puts a host to sleep that may not be"),
    "no wake": (lambda: asleep(spread_out(), "b"), "moves to where nothing may be moved: host b is asleep"),
    "move does not wait for the wake": (
        lambda: with_wake(spread_out(), "b", first=False),
        "moves to b without waiting for it to wake",
    ),
    "wake of what cannot be controlled": (
        lambda: with_wake(spread_out(), "b", first=True).host("b", power=replace(host("b").power, controllable=False)),
        "wakes b, whose power cannot be controlled",
    ),
    "over the cap": (lambda: replace(swap(), max_moves=2), "3 moves, 2 allowed"),
    "over a group's cap": (
        lambda: swap().rule(GroupMoveLimit(name="few", guests=these("g1"), at_most=1)),
        "group_move_limit:few: 2 moves, 1 allowed",
    ),
    "not movable": (lambda: swap().guest("g2", movable=False, why_not="a device"), "not movable: a device"),
    "ignored": (lambda: swap().rule(Ignore(name="hands-off", guests=these("g2"))), "which a rule says to ignore"),
    "frozen": (lambda: replace(swap(), frozen=("g2",)), "moves g2, which is not to be moved now"),
    "CPU use unknown": (lambda: spread_out().guest("g1", usage=Usage(None)), "whose CPU use is unknown"),
    "source unreachable": (lambda: spread_out().host("a", reachable=False), "host a is unreachable"),
    "target unreachable": (lambda: spread_out().host("b", reachable=False), "host b is unreachable"),
    "target cordoned": (lambda: spread_out().host("b", cordoned=True), "host b is cordoned"),
    "target failing": (lambda: spread_out().host("b", failing=True), "host b is failing"),
    "target stale": (
        lambda: spread_out().host("b", measured_at=spread_out().snapshot.taken_at.replace(hour=1)),
        "host b is stale",
    ),
    "target to be emptied": (
        lambda: emptied().step(0, source="a", target="b").step(0, guest="g3", source="b", target="a"),
        "moves to a, which is to be emptied",
    ),
    "incompatible target": (
        lambda: spread_out().host("b", networks=()).guest("g1", networks=("prod",)),
        "does not reach network prod",
    ),
    "goals of another policy": (lambda: swap().claim(goals=()), "the goals are none"),
    "wrong repair before": (lambda: swap().goal(0, before=3.0), "goal repair says 3 before, it is 2"),
    "wrong repair after": (lambda: swap().goal(0, after=0.5, bound=0.5), "goal repair says 0.5 after, it is 0"),
    "wrong balance before": (lambda: spread_out().goal(1, before=0.5), "goal balance says 0.5 before, it is 0.46875"),
    "wrong balance after": (lambda: spread_out().goal(1, after=1e-4, bound=1e-4), "goal balance says 0.0001 after"),
    "price left out": (lambda: spread_out().claim(level=3), "goal balance says 0 after, it is"),
    "wrong watts": (lambda: night().goal(1, after=200.0, bound=200.0), "goal consolidate says 200 after"),
    "energy of moves left out": (
        lambda: night().goal(1, after=night().plan.goals[1].after - 0.2, bound=0.0, gap=0.0),
        "goal consolidate says",
    ),
    "wrong count of guests left": (lambda: emptied().goal(1, after=1.0, bound=1.0), "goal drain says 1 after, it is 0"),
    "wrong balance of a drain": (
        lambda: emptied().goal(2, after=0.03, bound=0.03),
        "goal balance says 0.03 after",
    ),
    "wrong memory moved": (lambda: swap().goal(1, after=1.0, bound=1.0), "goal moved_mib says 1 after, it is 32768"),
    "wrong number of moves": (lambda: swap().goal(2, after=3.0, bound=3.0), "goal moves says 3 after, it is 2"),
    "bound above the value": (lambda: spread_out().goal(1, bound=0.1), "the bound 0.1 is above the value 0"),
    "wrong gap": (lambda: spread_out().goal(1, gap=0.5), "says a gap of 0.5, it is 0"),
    "wrong gap of the plan": (lambda: spread_out().claim(gap=0.5), "the plan says a gap of 0.5"),
    "optimal with a gap": (
        lambda: swap().goal(2, bound=1.0, gap=1.0),
        "the plan says it is optimal, and goal moves has a gap of 1",
    ),
    "worse for nothing": (
        lambda: emptied().goal(0, before=0.0, after=1.0, bound=1.0),
        "goal repair gets worse, 0 to 1, and nothing before it gets better",
    ),
    "head-room used up": (
        lambda: night().host("a", memory_mib=12 * 1024),
        "is all that head-room leaves",
    ),
    "reserve used up": (
        lambda: (
            night()
            .claim(steps=(*night().plan.steps, Sleep("s3", "b", "a test", saves_watts=95.0)))
            .guest("g2", host="a")
        ),
        "with the reserve",
    ),
    "wrong figures before": (
        lambda: spread_out().claim(before=replace(spread_out().plan.before, cpu_max=0.1)),
        "before.cpu_max says 0.1",
    ),
    "wrong figures after": (
        lambda: night().claim(after=replace(night().plan.after, hosts_on=3)),
        "after.hosts_on says 3, it is 2",
    ),
    "wrong watts saved": (lambda: night().step(1, saves_watts=500.0), "says it saves 500 W, it is 95 W"),
    "wrong sum of memory": (lambda: swap().claim(moved_mib=1), "moved_mib says 1, its steps' estimates sum to"),
    "makespan under its bound": (lambda: swap().claim(makespan_s=0.1), "makespan_s says 0.1, under its bound"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    """Among the findings is the one that names the fault."""
    make, says = FAULTS[fault]
    findings = make().findings
    assert any(says in finding for finding in findings), findings


@pytest.mark.parametrize("snapshot_size", [3, 200])
def test_an_almost_level_cluster_is_not_refused_for_the_solver_s_rounding(snapshot_size: int) -> None:
    """Differences in the sixth place of many hosts' use are the solver's rounding, not a fault."""
    hosts = [Host(f"h{number}", 7919 + number, 65537 + 3 * number) for number in range(snapshot_size)]
    guests = [guest(f"g{number}", one.id, gib=8, cores=1.0 + number % 3 / 1000) for number, one in enumerate(hosts)]
    make_plan(cluster(hosts, guests), PlanRequest(level=5, work_limit=0.01), Settings())
