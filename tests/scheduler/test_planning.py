"""One planning run: what is left when moves cannot be ordered, and that re-planning gets there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cluster.config.settings import Settings
from cluster.errors import InputError
from cluster.limits import Limits
from cluster.plan import Plan, Sleep, Status
from cluster.rules import Enforcement, GroupMoveLimit, Pin, Rule
from cluster.snapshot import Snapshot
from scheduler.planning import CheckFailedError, PlanRequest, make_plan
from tests.scheduler.planner.moments import Leg, shuffles, unsafe_moments
from tests.scheduler.solver.clusters import cluster, guest, host, these
from tests.strategies import snapshots

PHASES = [Phase.explicit, Phase.reuse, Phase.generate]


def plan(snapshot: Snapshot, policy: str = "repair", level: int = 5, **asked: int | tuple[str, ...]) -> Plan:
    """A plan made quickly."""
    request = PlanRequest(policy=policy, level=level, work_limit=0.3, **asked)  # type: ignore[arg-type]
    return make_plan(snapshot, request, Settings())


def swap(*more: str, enforcement: Enforcement = Enforcement.REPAIR) -> Snapshot:
    """Two guests that fill their hosts are pinned to each other's host; `more` hosts are empty."""
    rules = [
        Pin(name="one", guests=these("g1"), hosts=these("b"), enforcement=enforcement),
        Pin(name="two", guests=these("g2"), hosts=these("a"), enforcement=enforcement),
    ]
    guests = [guest("g1", "a", gib=16), guest("g2", "b", gib=16)]
    return cluster([host(name, gib=16) for name in ("a", "b", *more)], guests, rules)


def carried_out(snapshot: Snapshot, made: Plan, steps: int | None = None) -> Snapshot:
    """The cluster after the first steps of a plan."""
    where = {move.guest: move.target for move in made.migrations[:steps]}
    return replace(
        snapshot,
        guests=tuple(replace(one, host=where.get(one.id, one.host)) for one in snapshot.guests),
    )


def test_what_cannot_be_ordered_is_left_out_with_its_code() -> None:
    """No third host: nothing to do, both guests named, and no goal claims to have got better."""
    made = plan(swap())
    assert (made.status, made.steps) == (Status.NOTHING_TO_DO, ())
    assert [(one.guest, one.code) for one in made.not_moved] == [("g1", "order_blocked"), ("g2", "order_blocked")]
    assert all(goal.after == goal.before for goal in made.goals)
    assert "2 moves could not be ordered safely" in made.why


def test_a_third_host_orders_it() -> None:
    """With room to park the same wish is a plan of three moves."""
    made = plan(swap("c"))
    assert (made.status, len(made.migrations)) == (Status.OPTIMAL, 3)
    assert [move.reason for move in made.migrations] == [
        "parked to make room for g2 on a",
        "pin:two broken on b",
        "pin:one broken on a",
    ]


def test_a_hard_rule_that_cannot_be_reached_is_infeasible() -> None:
    """No plan at all while it cannot hold: it is blamed, and not a step is proposed."""
    made = plan(swap(enforcement=Enforcement.HARD))
    assert (made.status, made.steps) == (Status.INFEASIBLE, ())
    assert made.blamed == ("pin:one", "pin:two")
    assert plan(swap("c", enforcement=Enforcement.HARD)).status is Status.OPTIMAL


def with_a_third(blocked: Snapshot) -> Snapshot:
    """The same with a guest on d that is pinned to e, where there is room for it, but not for those of the ring."""
    third = Pin(name="three", guests=these("g3"), hosts=these("e"))
    hosts = (*blocked.hosts, host("d", gib=12), host("e", gib=12))
    return replace(
        blocked, hosts=hosts, guests=(*blocked.guests, guest("g3", "d", gib=2)), rules=(*blocked.rules, third)
    )


def test_no_move_is_made_while_a_hard_rule_cannot_be_reached() -> None:
    """Not even one that has nothing to do with it: no plan at all."""
    made = plan(with_a_third(swap(enforcement=Enforcement.HARD)))
    assert (made.status, made.steps, made.blamed) == (Status.INFEASIBLE, (), ("pin:one", "pin:two"))


def test_what_can_be_ordered_is_kept() -> None:
    """A third guest's move has nothing to do with the ring: it is made, feasible, with bounds that still hold."""
    made = plan(with_a_third(swap()))
    assert (made.status, [move.guest for move in made.migrations]) == (Status.FEASIBLE, ["g3"])
    repair, *others = made.goals
    assert (repair.before, repair.after, repair.bound) == (3, 2, 0)
    assert repair.gap == pytest.approx(2 / 3)
    assert all(goal.bound == 0 for goal in others)


def test_caps_count_parking_in_plans() -> None:
    """Two moves allowed do not make a swap, neither by the request nor by a group's limit."""
    assert plan(swap("c"), max_moves=2).steps == ()
    few: Rule = GroupMoveLimit(name="few", guests=these("g1", "g2"), at_most=2)
    limited = replace(swap("c"), rules=(*swap("c").rules, few))
    assert plan(limited).steps == ()
    assert len(plan(swap("c"), max_moves=3).steps) == 3


@settings(max_examples=40, phases=PHASES)
@given(shuffles(), st.data())
def test_a_plan_cut_anywhere_is_safe_and_the_next_one_goes_on(
    case: tuple[Snapshot, dict[str, str]], data: st.DataObject
) -> None:
    """Guests are pinned to where they are wanted; each plan is stopped somewhere, and what is broken only falls."""
    snapshot, wanted = case
    pins = [Pin(name=f"p-{one}", guests=these(one), hosts=these(place)) for one, place in wanted.items()]
    here = replace(snapshot, rules=tuple(pins))
    last = float("inf")
    for _ in range(12):
        made = plan(here)
        number = {step.id: index for index, step in enumerate(made.migrations)}
        legs = [
            Leg(step.guest, step.source, step.target, tuple(number[one] for one in step.after))
            for step in made.migrations
        ]
        assert unsafe_moments(here, Limits(), legs) == []
        assert made.goals[0].before <= last
        if not made.steps:
            break
        last = made.goals[0].before
        whole = len(made.migrations)
        here = carried_out(here, made, data.draw(st.integers(1, whole)))
    else:
        pytest.fail("plan follows plan, and it never rests")


@settings(max_examples=25, phases=PHASES)
@given(snapshots(max_hosts=4, max_guests=7, min_hosts=2), st.sampled_from(["repair", "balance", "consolidate"]))
def test_the_same_question_has_the_same_answer(snapshot: Snapshot, policy: str) -> None:
    """Id, steps, edges and figures: all but the time it took."""
    first, second = (replace(plan(snapshot, policy, level=4), solve_s=0.0) for _ in range(2))
    assert first == second


@settings(max_examples=25, phases=PHASES)
@given(snapshots(max_hosts=4, max_guests=7, min_hosts=2))
def test_shares_of_the_gain_add_up(snapshot: Snapshot) -> None:
    """What the steps say they contribute is all of it."""
    made = plan(snapshot, "balance")
    if made.migrations and any(move.gain_share for move in made.migrations):
        assert sum(move.gain_share for move in made.migrations) == pytest.approx(1, abs=0.01)


def test_a_sleeping_host_sleeps_last() -> None:
    """After every step that leaves it, and counted in the figures."""
    guests = [guest("g1", "a"), guest("g2", "b"), guest("g3", "c", gib=2)]
    made = plan(cluster([host(name) for name in "abc"], guests), "consolidate")
    last = made.steps[-1]
    assert isinstance(last, Sleep)
    leaving = {move.id for move in made.migrations if last.host in (move.source, move.target)}
    assert leaving <= set(last.after) and leaving
    assert (made.before.hosts_on, made.after.hosts_on) == (3, 2)
    assert last.saves_watts == 95


def test_a_drain_says_who_stays_and_why() -> None:
    """No room for one, nowhere to run for another, a third cannot be moved at all."""
    guests = [
        guest("big", "a", gib=60),
        guest("bound", "a", gib=1, networks=("dmz",)),
        guest("fixed", "a", gib=1, movable=False, why_not="a device is passed through"),
        guest("free", "a", gib=1),
    ]
    made = plan(cluster([host("a"), host("b", gib=16, networks=("prod",))], guests), "drain", drained=("a",))
    assert [move.guest for move in made.migrations] == ["free"]
    assert {one.guest: one.code for one in made.not_moved} == {
        "big": "no_room",
        "bound": "incompatible",
        "fixed": "not_movable",
    }


def test_a_bad_request_is_refused() -> None:
    """Policy, level, cap and drained host are looked at before anything is solved."""
    for request in (
        PlanRequest(policy="dance"),
        PlanRequest(level=6),
        PlanRequest(max_moves=-1),
        PlanRequest(policy="drain"),
        PlanRequest(policy="drain", drained=("nowhere",)),
    ):
        with pytest.raises(InputError):
            make_plan(swap(), request, Settings())


def test_a_plan_that_the_checker_refuses_is_never_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever makes the planner err: what it made does not leave the room."""
    monkeypatch.setattr("scheduler.planner.edges._room_edges", lambda *_: None)
    with pytest.raises(CheckFailedError, match="overfilled in memory"):
        plan(swap("c"))


def test_a_pinned_guest_is_moved_before_those_that_only_balance() -> None:
    """One host is left by guests for two reasons; the first to go is the one whose rule is broken."""
    pin = Pin(name="p", guests=these("z"), hosts=these("b"), enforcement=Enforcement.REPAIR)
    guests = [guest(name, "a", cores=2.0) for name in "wxyz"]
    made = plan(cluster([host(name) for name in "abc"], guests, [pin]), "balance")
    assert len(made.migrations) > 1
    assert made.migrations[0].guest == "z"
