"""The planner with perfect foresight: its plan is the cheapest there is, and keeps what it has to."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.thirty_days.course import Course
from benchmarks.thirty_days.judge import energy_kwh
from benchmarks.thirty_days.load import SLOT_S, Weeks
from benchmarks.thirty_days.perfect import Keeps, perfect
from cluster.limits import Limits
from tests.benchmarks.thirty_days.made_up import host, night, weeks

BARE = Keeps(Limits(cpu=1.0), headroom_ratio=0.0, reserve_hosts=0, spare_hosts=0)


def of_loads(*loads: int, hosts: int = 3) -> Weeks:
    """Return equal hosts and one guest that wants so many millicores, slot by slot."""
    here = weeks([0], [0], hosts=hosts, slots=len(loads), memory_mib=0)
    return replace(here, wanted=np.array([loads], dtype=np.int64))


def test_one_host_stays_on_where_one_is_enough() -> None:
    """Two of three sleep from the first slot on; each draws 90 W more for the minute it takes to go down."""
    found = perfect(of_loads(*[5000] * 12), BARE)
    assert found.hosts_on.tolist() == [[1] * 12]
    assert found.kwh * 3.6e6 == pytest.approx(12 * SLOT_S * (150 + 2 * 10) + 2 * 60 * 90)


def test_a_short_dip_is_not_worth_a_sleep() -> None:
    """A host is woken for what it saves in more than the time that sleeping and waking take."""
    quick, slow = host(0), host(0)
    slow = replace(slow, power=replace(slow.power, wake_s=300.0))
    for kind, lowest in ((quick, 1), (slow, 2)):
        here = of_loads(15000, 5000, 15000, hosts=2)
        here = replace(here, hosts=tuple(replace(kind, id=f"h{i}") for i in range(2)))
        assert perfect(here, BARE).hosts_on.min() == lowest


def test_head_room_reserve_and_spare_keep_hosts_on() -> None:
    """9 of 10 cores: one host alone; two with head-room, or one to lose, or one in reserve; three with the last two."""
    here = of_loads(*[9000] * 4, hosts=4)

    def fewest(keeps: Keeps) -> int:
        return int(perfect(here, keeps).hosts_on.min())

    assert fewest(BARE) == 1
    assert fewest(replace(BARE, headroom_ratio=0.2)) == 2
    assert fewest(replace(BARE, limits=Limits(cpu=0.8))) == 2
    assert fewest(replace(BARE, reserve_hosts=1)) == 2
    assert fewest(replace(BARE, spare_hosts=1)) == 2
    assert fewest(replace(BARE, headroom_ratio=0.2, reserve_hosts=1)) == 3
    assert fewest(replace(BARE, spare_hosts=2)) == 3


def test_memory_keeps_hosts_on() -> None:
    """Guests that want no CPU still need room for their memory."""
    here = weeks([0, 0, 1, 1, 2], [0] * 5, memory_mib=400)
    assert perfect(here, BARE).hosts_on.min() == 2


def test_demand_over_everything_has_all_on() -> None:
    """No plan can hold it with head-room: then everything is on, and the rest of the time is still planned."""
    found = perfect(of_loads(1000, 30000, 1000), replace(BARE, headroom_ratio=0.2))
    assert found.hosts_on.tolist() == [[1, 3, 1]]


def test_a_course_that_follows_the_plan_costs_what_the_plan_says() -> None:
    """The judge's energy of two hosts asleep from the start, load on the third, is the plan's."""
    course = Course(of_loads(*[5000] * 12), (), (*night(1, 0, 1e9)[:2], *night(2, 0, 1e9)[:2]), 3600.0)
    course = replace(course, power=tuple(sorted(course.power, key=lambda one: one.at_s)))
    assert energy_kwh(course, 300.0) == pytest.approx(perfect(course.weeks, BARE).kwh)


@settings(max_examples=40, deadline=None)
@given(
    loads=st.lists(st.integers(0, 40000), min_size=1, max_size=4),
    small=st.integers(1, 2),
    big=st.integers(1, 2),
    headroom=st.sampled_from([0.0, 0.2]),
    reserve=st.integers(0, 1),
)
def test_no_plan_is_cheaper(loads: list[int], small: int, big: int, headroom: float, reserve: int) -> None:
    """Trying every number of hosts of both kinds in every slot finds nothing cheaper, and the plan costs that."""
    kinds = [host(0), replace(host(0, cores=20), power=replace(host(0).power, watts=((0.0, 120.0), (1.0, 220.0))))]
    counts = (small, big)
    hosts = [replace(kinds[kind], id=f"h{kind}-{i}") for kind in (0, 1) for i in range(counts[kind])]
    here = replace(of_loads(*loads), hosts=tuple(hosts))
    keeps = replace(BARE, headroom_ratio=headroom, reserve_hosts=reserve, spare_hosts=1)
    found = perfect(here, keeps)

    def holds(state: tuple[int, ...], load: int) -> bool:
        offers = sorted((10000.0,) * state[0] + (20000.0,) * state[1], reverse=True)
        kept = sum(offers[reserve:]) * (1 - headroom)
        return state == counts or load <= min(kept, sum(offers[1:]))

    def joules(state: tuple[int, ...], load: int) -> float:
        # The slopes are 10 W and 5 W for each core: the second kind is filled first.
        second = min(load, state[1] * 20000.0)
        first = min(load - second, state[0] * 10000.0)
        asleep = 10 * (sum(counts) - sum(state))
        return SLOT_S * (100 * state[0] + 120 * state[1] + asleep + first * 0.01 + second * 0.005)

    def cost(plan: tuple[tuple[int, ...], ...]) -> float:
        total, before = 0.0, counts
        for state, load in zip(plan, loads, strict=True):
            changes = [abs(now - was) for now, was in zip(state, before, strict=True)]
            total += 60 * (90 * changes[0] + 110 * changes[1]) + joules(state, load)
            before = (state[0], state[1])
        return total

    states = [[state for state in product(range(small + 1), range(big + 1)) if holds(state, load)] for load in loads]
    assert found.kwh * 3.6e6 == pytest.approx(min(cost(plan) for plan in product(*states)))
    assert found.kwh * 3.6e6 == pytest.approx(cost(tuple((int(a), int(b)) for a, b in found.hosts_on.T)))
