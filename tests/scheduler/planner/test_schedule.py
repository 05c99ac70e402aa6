"""Schedules keep to slots and edges, lie between the bound and plain list scheduling, and are what the runner does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.config.settings import MigrationSettings, Settings
from cluster.guest import Guest, Usage
from cluster.host import Host
from cluster.migration.links import Links
from cluster.plan import Estimate, Migrate, Sleep
from cluster.snapshot import Snapshot
from scheduler.planner.activities import MOST_RESENT_RATIO, Activity, Slots, Workload, workload
from scheduler.planner.listing import list_schedule
from scheduler.planner.lower_bound import Loads, lower_bound_s
from scheduler.planner.schedule import URGENT_RATIO, schedule, timed

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SPEEDS_MIB_S = {"a": 100.0, "b": 100.0, "c": 25.0, "d": 50.0}
UPLINK = "link:r"


def activity(
    source: str,
    target: str,
    mib: float = 1000.0,
    dirty_mib_s: float = 0.0,
    overhead_s: float = 0.0,
    after: tuple[int, ...] = (),
    urgent: bool = False,
) -> Activity:
    """A migration between two of the four hosts; `a` and `b` are behind an uplink."""
    crosses = (source in "ab") != (target in "ab")
    path = (f"out:{source}", f"in:{target}", *((UPLINK,) if crosses else ()))
    rate = min(capacity()[link] for link in path)
    return Activity(source, target, path, mib, dirty_mib_s, overhead_s, rate, None, after, urgent)


def capacity() -> dict[str, float]:
    """What each link carries."""
    both = {f"{way}:{host}": speed for host, speed in SPEEDS_MIB_S.items() for way in ("out", "in")}
    return {**both, UPLINK: 80.0}


@st.composite
def workloads(draw: st.DrawFn, most: int = 9) -> Workload:
    """Some migrations among four hosts, waiting for any earlier ones, under some slots."""
    activities: list[Activity] = []
    for index in range(draw(st.integers(1, most))):
        source, target = draw(st.permutations("abcd"))[:2]
        activities.append(
            activity(
                source,
                target,
                float(draw(st.integers(1, 4000))),
                draw(st.sampled_from([0.0, 0.0, 2.0, 20.0])),
                draw(st.sampled_from([0.0, 0.5, 3.0])),
                tuple(one for one in range(index) if draw(st.integers(0, 4)) == 0),
                draw(st.integers(0, 5)) == 0,
            )
        )
    slots = Slots(draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 5)))
    return Workload(tuple(activities), slots, capacity())


@st.composite
def budgeted(draw: st.DrawFn) -> Workload:
    """The same under a budget on the uplink, with room for bursts."""
    work = draw(workloads(5))
    downtime_s, budget = draw(st.sampled_from([0.1, 0.3, 1.0])), draw(st.sampled_from([20.0, 70.0]))
    room = budget / (1 + downtime_s)
    activities = tuple(
        replace(
            one, downtime_s=downtime_s, rate_mib_s=min(one.rate_mib_s, room) if UPLINK in one.path else one.rate_mib_s
        )
        for one in work.activities
    )
    return replace(
        work, activities=activities, capacity_mib_s={**capacity(), UPLINK: budget}, budget_mib_s={UPLINK: budget}
    )


@given(work=workloads())
def test_a_timetable_keeps_to_slots_and_edges(work: Workload) -> None:
    """At every start no more run than may, and what a step waits for is done."""
    found = schedule(work).timetable
    for index, one in enumerate(work.activities):
        start = found.starts_s[index]
        assert found.ends_s[index] - start >= one.alone_s * (1 - 1e-9)
        assert all(found.ends_s[earlier] <= start + 1e-6 for earlier in one.after)
        running = [
            other
            for at, other in enumerate(work.activities)
            if found.starts_s[at] <= start + 1e-9 and found.ends_s[at] > start + 1e-6
        ]
        assert len(running) <= work.slots.per_cluster
        assert sum(other.source == one.source for other in running) <= work.slots.out_per_host
        assert sum(other.target == one.target for other in running) <= work.slots.in_per_host


@given(work=workloads(), spare=st.lists(st.integers(-2000, 5000), min_size=4, max_size=4))
def test_migrations_share_a_host_only_within_its_cpu(work: Workload, spare: list[int]) -> None:
    """At every start, what runs at each end fits beside the guests that are there then, or is the only one."""
    left = dict(zip("abcd", spare, strict=True))
    activities = tuple(replace(one, cpu_millicores=400) for one in work.activities)
    work = replace(work, activities=activities, overhead_millicores=1000, spare_millicores=left)
    found = schedule(work).timetable
    for index, one in enumerate(activities):
        start = found.starts_s[index]
        ended = [other for at, other in enumerate(activities) if found.ends_s[at] <= start + 1e-9 and at != index]
        under_way = [
            other
            for at, other in enumerate(activities)
            if found.starts_s[at] <= start and found.ends_s[at] > start + 1e-9
        ]
        for host in (one.source, one.target):
            there = sum(host in (other.source, other.target) for other in under_way)
            come = sum(other.target == host for other in ended) - sum(other.source == host for other in ended)
            assert there == 1 or there * 1000 <= left[host] - 400 * come


def test_a_plan_counts_the_cpu_of_one_guest_leaving_while_another_comes() -> None:
    """Both at once where the host has a core for each beside its guest, else one after the other."""
    moves = [step(1, "x", "a", "b"), step(2, "y", "c", "a")]

    def makespan_s(used_millicores: int) -> float:
        use = Usage(cpu_millicores=used_millicores, memory_mib=4096)
        return timed(moves, snapshot_of(replace(guest("x", "a"), usage=use), guest("y", "c")), Settings()).makespan_s

    # 80 % of 8 cores less one each.
    assert makespan_s(4400) == pytest.approx(35.7, rel=0.05)
    assert makespan_s(4401) == pytest.approx(2 * 35.7, rel=0.05)


@given(work=workloads())
def test_a_schedule_lies_between_its_bound_and_list_scheduling_in_plan_order(work: Workload) -> None:
    """Only urgent steps may cost a little."""
    found = schedule(work)
    took_s = found.timetable.makespan_s
    plain_s = list_schedule(work, range(len(work.activities))).makespan_s
    dearer = 1 + URGENT_RATIO if any(one.urgent for one in work.activities) else 1
    assert found.bound_s <= took_s * (1 + 1e-9)
    assert took_s <= plain_s * dearer * (1 + 1e-9)
    assert sorted(found.order) == list(range(len(work.activities)))
    assert list_schedule(found.work, found.order) == found.timetable


@settings(max_examples=40)
@given(work=workloads(most=5) | budgeted())
def test_no_order_beats_the_bound(work: Workload) -> None:
    """The bound holds for every order there is."""
    bound_s = lower_bound_s(Loads(work))
    for order in permutations(range(len(work.activities))):
        assert list_schedule(work, order).makespan_s >= bound_s * (1 - 1e-9)


@given(work=workloads())
def test_links_carry_no_more_than_they_can(work: Workload) -> None:
    """All bytes of a link fit into the time that the schedule takes."""
    took_s = schedule(work).timetable.makespan_s
    for link, mib_s in work.capacity_mib_s.items():
        sent = sum(one.alone_mib for one in work.activities if link in one.path)
        assert sent <= took_s * mib_s * (1 + 1e-9)


def test_steps_that_wait_for_each_other_have_no_schedule() -> None:
    """A circle is an error, not an empty timetable."""
    work = Workload((activity("a", "b", after=(1,)), activity("b", "a", after=(0,))), Slots(), capacity())
    with pytest.raises(ValueError, match="circle"):
        list_schedule(work, (0, 1))


def test_busy_writers_are_moved_one_after_the_other() -> None:
    """Two guests that would send much more side by side take turns on their link; quiet ones share it."""
    busy = Workload(tuple(activity("a", target, dirty_mib_s=20.0) for target in "bd"), Slots(2, 2, 4), capacity())
    quiet = Workload(tuple(activity("a", target) for target in "bd"), Slots(2, 2, 4), capacity())
    assert list_schedule(busy, (0, 1)).starts_s == pytest.approx((0.0, 12.5))
    assert list_schedule(quiet, (0, 1)).starts_s == (0.0, 0.0)


def test_the_least_rate_is_where_a_tenth_more_is_sent() -> None:
    """At that rate for the whole migration; a guest that writes nothing has none."""
    one = activity("a", "b", mib=800.0, dirty_mib_s=20.0)
    least = one.least_mib_s
    sent = least * one.drain_mib / one.speed_mib_s(least)
    assert sent == pytest.approx((1 + MOST_RESENT_RATIO) * one.alone_mib)
    assert activity("a", "b").least_mib_s == 0.0


def test_the_longest_chain_is_begun_first() -> None:
    """Six short steps and two long ones in turn: begun last, the chain would stick out."""
    short = [activity("c", "d", 250.0) for _ in range(6)]
    chain = [activity("a", "b", 3000.0), activity("b", "a", 3000.0, after=(6,))]
    work = Workload((*short, *chain), Slots(per_cluster=1), capacity())
    two = Workload(work.activities, Slots(per_cluster=2), capacity())
    assert schedule(work).timetable.makespan_s == pytest.approx(120.0)
    assert schedule(two).timetable.makespan_s == pytest.approx(60.0)


def test_urgent_steps_come_first_when_that_costs_little() -> None:
    """Of equal steps out of one host the urgent one is not the last."""
    work = Workload(tuple(activity("a", "b", urgent=index == 3) for index in range(4)), Slots(), capacity())
    assert schedule(work).order[0] == 3


def test_estimates_are_met_alone() -> None:
    """What is made of a step takes alone what its estimate says, and sends as much."""
    said = Estimate(mib=2200, seconds=22.5, downtime_ms=30, converges=0.99, mbit_s=839)
    step = Migrate("s1", "g", "a", "b", "", said, after=("wake",))
    one_guest = {"g": Guest("g", "a", 2, 4096, usage=Usage(cpu_millicores=100, memory_mib=2000))}
    links = Links({"a": 839, "b": 1000})
    (one,) = workload([step], one_guest, links, NOON, MigrationSettings()).activities
    assert one.alone_s == pytest.approx(said.seconds, rel=0.01)
    assert one.alone_mib == pytest.approx(said.mib, rel=0.01)
    assert one.after == ()


def snapshot_of(*guests: Guest, failing: str = "") -> Snapshot:
    """Three hosts with the guests."""
    hosts = tuple(Host(id_, 8000, 65536, migration_mbit_s=1000, failing=id_ == failing) for id_ in "abc")
    return Snapshot("s", NOON, hosts, tuple(guests))


def guest(name: str, host: str) -> Guest:
    """A guest with 4 GiB in use."""
    return Guest(name, host, 2, 8192, usage=Usage(cpu_millicores=100, memory_mib=4096))


def step(number: int, name: str, source: str, target: str, after: tuple[str, ...] = ()) -> Migrate:
    """A step that takes about 35 s."""
    return Migrate(f"s{number}", name, source, target, "", Estimate(4200, 35.7, 30, 0.99, 1000), after=after)


def test_a_plan_lists_its_steps_as_they_start_and_sleeps_last() -> None:
    """Ids follow the order, edges follow the ids, and each estimate says the least rate it holds for."""
    first, second, third = step(1, "x", "b", "c"), step(2, "y", "a", "b", ("s1",)), step(3, "z", "a", "c")
    sleep = Sleep("s4", "a", "empty", after=("s2", "s3"))
    snapshot = snapshot_of(guest("x", "b"), guest("y", "a"), guest("z", "a"), failing="a")
    found = timed((first, second, third, sleep), snapshot, Settings())
    assert [one.id for one in found.steps] == ["s1", "s2", "s3", "s4"]
    by_guest = {one.guest: one for one in found.steps if isinstance(one, Migrate)}
    assert by_guest["y"].after == (by_guest["x"].id,)
    assert found.steps[-1] == Sleep("s4", "a", "empty", after=("s2", "s3"))
    assert all((one.estimate.least_mbit_s or 0) > 0 for one in by_guest.values())
    assert found.makespan_bound_s <= found.makespan_s <= 3 * 36


def test_what_mends_goes_before_what_balances() -> None:
    """Three guests leave one host: the one that is moved for a rule goes first, with what it waits for."""
    moves = [step(1, "x", "a", "b"), step(2, "y", "c", "b"), step(3, "z", "a", "c", ("s2",)), step(4, "w", "a", "b")]
    snapshot = snapshot_of(*(guest(name, "c" if name == "y" else "a") for name in "xyzw"))

    def order(mending: str) -> list[str]:
        found = timed(moves, snapshot, Settings(), frozenset(mending))
        return [one.guest for one in found.steps if isinstance(one, Migrate)]

    assert order("w")[0] == "w"
    assert order("z").index("y") == 0
    assert order("z").index("z") < max(order("z").index("x"), order("z").index("w"))
    assert order("") == list("xyzw")


def test_failing_hosts_go_before_what_mends() -> None:
    """Both would be first: the guest of the failing host is."""
    moves = [step(1, "x", "a", "c"), step(2, "y", "b", "c")]
    snapshot = snapshot_of(guest("x", "a"), guest("y", "b"), failing="b")
    found = timed(moves, snapshot, Settings(), frozenset("x"))
    assert [one.guest for one in found.steps if isinstance(one, Migrate)] == ["y", "x"]


def test_a_plan_without_steps_takes_no_time() -> None:
    """Nothing to do is done at once."""
    assert timed((), snapshot_of(), Settings()).makespan_s == 0.0


def test_links_are_not_shared_where_slots_are_scarce() -> None:
    """Six from one host and six from another, four at once: sharing both links would hold the slots for nothing."""
    one = [activity("a", "d", 500.0) for _ in range(6)]
    other = [activity("c", "b", 250.0) for _ in range(6)]
    elsewhere = [activity("b", "a", 1000.0) for _ in range(6)]
    work = Workload((*one, *other, *elsewhere), Slots(6, 6, 3), capacity())
    found = schedule(work)
    plain_s = list_schedule(work, range(18)).makespan_s
    assert found.timetable.makespan_s < 0.9 * plain_s
    assert any(one.least_mib_s > 0 for one in found.work.activities)
