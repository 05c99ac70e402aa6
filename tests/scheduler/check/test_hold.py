"""Whether a plan or a step still holds: every change that must refuse it, and drift that must not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cluster.guest import Usage
from cluster.host import PowerModel, PowerState
from cluster.limits import Limits
from cluster.plan import Migrate, Plan, Sleep
from cluster.rules import Affinity, AntiAffinity, Ignore, Pin, Rule
from cluster.snapshot import Snapshot
from scheduler.check import why_plan_no_longer_holds, why_step_no_longer_holds
from tests.scheduler.check.test_check_plan import Good, emptied, night, spread_out, swap
from tests.scheduler.solver.clusters import GIB, guest, these

World = Callable[[Snapshot], Snapshot]


def why_plan(good: Good, seen: World = lambda same: same, late_s: float = 1.0) -> str | None:
    """What the plan's own look says in a world that has changed so."""
    now = good.plan.made_at + timedelta(seconds=late_s)
    return why_plan_no_longer_holds(good.plan, seen(good.snapshot), Limits(), now)


def why_step(
    good: Good,
    number: int = 0,
    seen: World = lambda same: same,
    late_s: float = 1.0,
    under_way: tuple[Migrate, ...] = (),
) -> str | None:
    """What one step's own look says, the steps before it done."""
    snapshot = seen(good.snapshot)
    done = {move.guest: move.target for move in good.plan.steps[:number] if isinstance(move, Migrate)}
    guests = tuple(replace(one, host=done.get(one.id, one.host)) for one in snapshot.guests)
    now = good.plan.made_at + timedelta(seconds=late_s)
    step = good.plan.steps[number]
    return why_step_no_longer_holds(good.plan, step, replace(snapshot, guests=guests), Limits(), now, under_way)


def with_guest(name: str, **changes: Any) -> World:
    """A guest has changed."""
    return lambda seen: replace(
        seen, guests=tuple(replace(one, **changes) if one.id == name else one for one in seen.guests)
    )


def with_host(name: str, **changes: Any) -> World:
    """A host has changed."""
    return lambda seen: replace(
        seen, hosts=tuple(replace(one, **changes) if one.id == name else one for one in seen.hosts)
    )


def with_rule(rule: Rule) -> World:
    """A rule has come."""
    return lambda seen: replace(seen, rules=(*seen.rules, rule))


def gone(seen: Snapshot) -> Snapshot:
    """Guest g1 is gone."""
    return replace(seen, guests=tuple(one for one in seen.guests if one.id != "g1"))


def without_b(seen: Snapshot) -> Snapshot:
    """Host b is gone."""
    return replace(seen, hosts=tuple(one for one in seen.hosts if one.id != "b"))


def crowded(seen: Snapshot) -> Snapshot:
    """Somebody has started a guest of 60 GiB on b."""
    return replace(seen, guests=(*seen.guests, guest("new", "b", gib=60)))


def stale(seen: Snapshot) -> Snapshot:
    """Host b has not reported for an hour."""
    return with_host("b", measured_at=seen.taken_at - timedelta(hours=1))(seen)


CHANGES: dict[str, tuple[World, str]] = {
    "guest elsewhere": (with_guest("g1", host="c"), "guest g1 is on c, not on a"),
    "guest gone": (gone, "guest g1 is gone"),
    "more memory": (with_guest("g1", memory_mib=9 * GIB), "guest g1 was resized"),
    "fewer vCPUs": (with_guest("g1", vcpus=1), "guest g1 was resized"),
    "guest not movable": (with_guest("g1", movable=False, why_not="a backup runs"), "a backup runs"),
    "host gone": (without_b, "host b is gone"),
    "host stale": (stale, "host b is stale"),
    "host unreachable": (with_host("b", reachable=False), "host b is unreachable"),
    "target cordoned": (with_host("b", cordoned=True), "host b is cordoned"),
    "target failing": (with_host("b", failing=True), "host b is failing"),
    "target asleep": (with_host("b", power=PowerModel(PowerState.ASLEEP)), "host b is asleep"),
    "source unreachable": (with_host("a", reachable=False), "host a is unreachable"),
    "target lost a network": (
        lambda seen: with_host("b", networks=())(with_guest("g1", networks=("prod",))(seen)),
        "does not reach network prod",
    ),
    "pinned meanwhile": (with_rule(Pin(name="here", guests=these("g1"), hosts=these("a"))), "pin:here"),
    "affinity meanwhile": (with_rule(Affinity(name="pair", guests=these("g1", "g3"))), "affinity:pair"),
    "no room": (crowded, "host b"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_refuses_plan_and_step(change: str) -> None:
    """Both looks say what has changed."""
    seen, says = CHANGES[change]
    for why in (why_plan(spread_out(), seen), why_step(spread_out(), 0, seen)):
        assert why is not None and says in why


@pytest.mark.parametrize("make", [swap, spread_out, night, emptied])
def test_nothing_changed_refuses_nothing(make: Callable[[], Good]) -> None:
    """The plan holds as a whole, and each step does once those before it are done."""
    good = make()
    assert why_plan(good) is None
    assert [why_step(good, number) for number in range(len(good.plan.steps))] == [None] * len(good.plan.steps)


def test_an_expired_plan_is_refused_with_the_time() -> None:
    """At its very end it is over; a moment before it is not."""
    lasts_s = (spread_out().plan.expires_at - spread_out().plan.made_at).total_seconds()
    assert "expired at 20:15:00 UTC" in (why_plan(spread_out(), late_s=lasts_s) or "")
    assert "expired at 20:15:00 UTC" in (why_step(spread_out(), late_s=lasts_s) or "")
    assert why_plan(spread_out(), late_s=lasts_s - 0.1) is None


def test_drift_of_usage_alone_refuses_nothing() -> None:
    """Everything is busier than any limit allows: the plan still holds, and so does each step."""

    def busy(seen: Snapshot) -> Snapshot:
        usage = Usage(9000, memory_mib=9 * GIB, net_mbit_s=1e6, disk_mib_s=1e6)
        hosts = tuple(replace(one, net_mbit_s=1000, disk_mib_s=1000) for one in seen.hosts)
        return replace(seen, guests=tuple(replace(one, usage=usage) for one in seen.guests), hosts=hosts)

    assert why_plan(spread_out(), busy) is None
    assert why_step(spread_out(), 0, busy) is None


def test_a_source_may_be_cordoned_or_failing() -> None:
    """That is what drains and failing hosts are emptied for."""
    for mark in ("cordoned", "failing"):
        seen = with_host("a", **{mark: True})
        assert why_plan(emptied(), seen) is None
        assert why_step(emptied(), 0, seen) is None


def test_a_host_with_guests_is_not_put_to_sleep() -> None:
    """A guest started there since the plan was made keeps it on."""
    good = night()

    def settled_on(seen: Snapshot) -> Snapshot:
        return replace(seen, guests=(*seen.guests, guest("new", "c")))

    assert isinstance(good.plan.steps[1], Sleep)
    assert why_step(good, 1, settled_on) == "host c has guests: new"


def test_what_is_under_way_to_the_same_host_takes_room_and_breaks_rules() -> None:
    """A guest on its way counts at both ends for the next step's look."""
    good = spread_out()
    other = replace(good.plan.migrations[1], target="b")
    small = with_host("b", memory_mib=12 * GIB)
    assert why_step(good, 0, small) is None
    assert "host b has no room for g1" in (why_step(good, 0, small, under_way=(other,)) or "")
    apart = with_rule(AntiAffinity(name="apart", guests=these("g1", "g2")))
    parted = lambda seen: with_guest("g2", host="c")(apart(seen))  # noqa: E731
    going_back = replace(good.plan.migrations[1], source="c", target="b")
    assert why_step(good, 0, parted) is None
    assert "anti_affinity:apart" in (why_step(good, 0, parted, under_way=(going_back,)) or "")


def test_affinity_is_waived_while_its_group_moves() -> None:
    """A pair on its way together may be apart in between, and a step alone is no breach."""
    pair = with_rule(Affinity(name="pair", guests=these("g1", "g2")))
    good = emptied()
    together = good.claim(steps=tuple(replace(step, target="c") for step in good.plan.migrations))
    assert why_plan(together, pair) is None
    assert [why_step(together, number, pair) for number in (0, 1)] == [None, None]
    assert "affinity:pair" in (why_step(good, 0, pair) or "")


@pytest.mark.parametrize(
    ("edited", "says"),
    [
        (lambda: swap().step(1, after=()).step(2, after=("s1", "s2")), "host a may be overfilled in memory"),
        (lambda: swap().step(2, after=()), "moves g1 again"),
        (lambda: night().step(1, after=()), "without waiting for s1"),
    ],
)
def test_an_edited_plan_is_refused_whatever_it_claims(edited: Callable[[], Good], says: str) -> None:
    """A file from outside is checked for safety as if nobody had."""
    assert says in (why_plan(edited()) or "")


def test_an_ignored_guest_is_not_moved_by_a_saved_plan() -> None:
    """A rule that came after the plan counts."""
    assert "which a rule says to ignore" in (why_plan(swap(), with_rule(Ignore(name="off", guests=these("g2")))) or "")


def test_a_plan_from_before_sizes_were_written_is_not_held_against_them() -> None:
    """Absent figures compare equal."""
    old: Plan = spread_out().plan
    bare = tuple(replace(step, guest_memory_mib=None, guest_vcpus=None) for step in old.migrations)
    good = spread_out().claim(steps=bare)
    assert why_plan(good, with_guest("g1", memory_mib=9 * GIB)) is None
