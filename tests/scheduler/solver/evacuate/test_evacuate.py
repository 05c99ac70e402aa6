"""Emptying hosts: what holds of every instance, and what comes out where the answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings

from benchmarks.generate import generate
from cluster.clock import SystemClock
from cluster.config.settings import ConsolidateSettings
from cluster.host import PowerModel
from cluster.limits import Limits
from cluster.rules import Affinity, AntiAffinity, Rule
from cluster.snapshot import Snapshot
from policies.registry import make_problem
from scheduler.solver.bounds.asleep import AsleepBound
from scheduler.solver.evacuate import applies, empty_cheaply
from scheduler.solver.evaluate import GOAL, MIB, evaluate, why_not_valid
from scheduler.solver.instance import Instance
from scheduler.solver.lower import Case, lower_problem
from scheduler.solver.meter import Budget, Meter
from scheduler.solver.search import Search
from scheduler.solver.solve import search_of
from tests.scheduler.solver.brute import every_valid, is_tiny
from tests.scheduler.solver.clusters import POWER, cluster, guest, host, these
from tests.scheduler.solver.instances import instances

PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
SLEEPY = settings(max_examples=60, deadline=None, phases=PHASES)


def sleepy(instance: Instance) -> bool:
    """Whether hosts of an instance can sleep."""
    return instance.goal.sleep is not None


def emptied(instance: Instance, work_limit: float = 0.5) -> Search:
    """A search after nothing but emptying."""
    search = search_of(instance)
    empty_cheaply(search, Meter(Budget(work_limit=work_limit), SystemClock(), None))
    return search


def case_of(snapshot: Snapshot, reserve_hosts: int = 0, headroom_ratio: float = 0.0) -> Case:
    """The array form of consolidating a cluster whose hosts may be filled to the brim."""
    settings = ConsolidateSettings(headroom_ratio=headroom_ratio, reserve_hosts=reserve_hosts, host_losses=0)
    return lower_problem(
        make_problem("consolidate", snapshot, limits=Limits(cpu=1.0, memory=1.0), consolidate=settings)
    )


def asleep_of(case: Case, search: Search) -> set[str]:
    """The ids of the hosts put to sleep."""
    assert search.asleep is not None
    return {case.host_ids[one] for one in np.flatnonzero(search.asleep)}


@SLEEPY
@given(instance=instances(most_hosts=6, most_guests=12).filter(sleepy))
def test_emptying_is_valid_and_never_worse(instance: Instance) -> None:
    """Whatever an instance has: limits and rules are kept, the value is the placement's own and within its bounds."""
    search = emptied(instance)
    assert why_not_valid(instance, search.place, search.asleep) is None
    assert search.value == evaluate(instance, search.place, search.asleep)
    assert search.value <= search.start
    assert all(bound <= value for bound, value in zip(search.bounds, search.value, strict=True))


@SLEEPY
@given(instance=instances().filter(sleepy))
def test_no_placement_is_under_the_bounds_of_sleeping(instance: Instance) -> None:
    """Goals are no less than their bound, and no goal is reached with less memory or fewer moves than is said of it."""
    bound = AsleepBound(instance)
    assume(bound.applies and is_tiny(instance))
    for one in every_valid(instance):
        mib, moves = bound.least_moved(one.value.goal)
        assert bound.goal <= one.value.goal
        assert mib <= one.value.mib
        assert moves <= one.value.moves
        assert one.asleep is not None
        assert one.asleep.sum() <= bound.most or (one.asleep & ~bound.able).any()


@SLEEPY
@given(instance=instances(most_hosts=5, most_guests=8).filter(sleepy))
def test_same_work_gives_the_same_placement(instance: Instance) -> None:
    """With a work limit nothing depends on the clock."""
    assert np.array_equal(emptied(instance, 0.05).place, emptied(instance, 0.05).place)


@pytest.mark.parametrize("seed", [1, 2])
def test_hosts_and_memory_reach_their_bounds_where_others_need_not_move(seed: int) -> None:
    """As many hosts sleep as the bound allows, and the memory of the lightest of them is all that moves."""
    case = lower_problem(make_problem("consolidate", generate(30, 300, seed)))
    search = emptied(case.instance, 2.0)
    assert len(asleep_of(case, search)) == AsleepBound(case.instance).most > 5
    assert search.value.mib == search.bounds[MIB]
    assert search.value.goal - search.bounds[GOAL] < 0.02 * (search.start.goal - search.value.goal)


def test_hosts_that_draw_most_sleep_even_if_more_memory_moves() -> None:
    """Watts come first: of two hosts the one that draws more is emptied, though its guests are the larger ones."""
    hungry = PowerModel(controllable=True, watts=((0.0, 250.0), (1.0, 400.0)), sleep_watts=5.0)
    hosts = [host("h1", power=hungry), host("h2"), host("h3")]
    guests = [guest("g1", "h1", gib=24), guest("g2", "h2", gib=8), guest("g3", "h3", gib=24)]
    case = case_of(cluster(hosts, guests), reserve_hosts=1)
    search = emptied(case.instance)
    assert asleep_of(case, search) == {"h1"}
    equal = case_of(cluster([replace(one, power=POWER) for one in hosts], guests), reserve_hosts=1)
    assert asleep_of(equal, emptied(equal.instance)) == {"h2"}


def test_guests_of_other_hosts_make_room() -> None:
    """A guest that fits nowhere as things are goes to a host that one smaller guest leaves for another."""
    always_on = replace(POWER, controllable=False)
    hosts = [host("h1", gib=40), host("h2", gib=40, power=always_on), host("h3", gib=40, power=always_on)]
    guests = [guest("large", "h1", gib=20, overhead_mib=0)]
    guests += [guest(f"{on}-{i}", on, gib=8, overhead_mib=0) for on in ("h2", "h3") for i in range(3)]
    case = case_of(cluster(hosts, guests))
    search = emptied(case.instance)
    assert asleep_of(case, search) == {"h1"}
    assert search.value.mib == (20 + 8) * 1024


def test_guests_that_belong_together_leave_together() -> None:
    """A host is emptied though a rule keeps its guests on one host: they go to one that takes both."""
    rules: list[Rule] = [
        Affinity(name="pair", guests=these("g1", "g2")),
        AntiAffinity(name="apart", guests=these("g1", "g3")),
    ]
    hosts = [host("h1"), host("h2"), host("h3")]
    guests = [guest("g1", "h1"), guest("g2", "h1"), guest("g3", "h2", gib=40), guest("g4", "h3", gib=44)]
    case = case_of(cluster(hosts, guests, rules))
    search = emptied(case.instance)
    assert asleep_of(case, search) == {"h1"}
    assert search.value.broken == 0


@pytest.mark.parametrize("cap", [5, 20])
def test_few_moves_empty_the_hosts_with_fewest_guests(cap: int) -> None:
    """Under a cap as many hosts sleep as the bound allows, but for one whose guests are too large for any other."""
    case = lower_problem(make_problem("consolidate", generate(30, 150, 3), max_moves=cap))
    search = emptied(case.instance, 2.0)
    assert search.value.moves <= cap
    assert len(asleep_of(case, search)) >= AsleepBound(case.instance).most - 1 > 3


def test_nothing_applies_without_sleep() -> None:
    """A goal in which no host can sleep is none for emptying."""
    case = lower_problem(make_problem("balance", generate(4, 10)))
    assert not applies(case.instance)
