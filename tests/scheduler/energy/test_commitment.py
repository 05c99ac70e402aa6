"""The horizon model: what each step needs, who sleeps through which gap, and the bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scheduler.energy.commitment import Keeps, commit, held_by_prefixes, needed
from tests.scheduler.energy.builders import demand, unit

PLAIN = Keeps(fill_ratio=1.0, reserve=0, losses=0)
LOWER, UPPER = Keeps(fill_ratio=0.8, reserve=0, losses=0), Keeps(fill_ratio=0.9, reserve=0, losses=0)


def test_hosts_are_needed_for_the_load_and_for_what_is_kept() -> None:
    """25 cores on hosts of 10: three; filled to 0.8: four; with one in reserve, or one that may be lost: one more."""
    fleet = [unit(name) for name in "abcdef"]
    load = demand(25)
    assert needed(fleet, load, PLAIN).tolist() == [3]
    assert needed(fleet, load, LOWER).tolist() == [4]
    assert needed(fleet, load, replace(LOWER, reserve=1)).tolist() == [5]
    assert needed(fleet, load, replace(PLAIN, losses=1)).tolist() == [4]


def test_the_reserve_and_the_loss_may_be_the_same_room() -> None:
    """What is kept free for one is there for the other: they do not add up."""
    fleet = [unit(name) for name in "abcdef"]
    assert needed(fleet, demand(25), Keeps(fill_ratio=0.8, reserve=1, losses=1)).tolist() == [5]


def test_memory_counts_as_cpu_does() -> None:
    """150 GiB on hosts of 64: three, whatever the CPU."""
    assert needed([unit(name) for name in "abcdef"], demand(1, gib=150), PLAIN).tolist() == [3]


def test_a_cell_may_be_lost_as_a_whole() -> None:
    """Two racks of two hosts: what is needed must fit without either rack."""
    fleet = [replace(unit(name), cell=rack) for name, rack in zip("abcd", "xxyy", strict=True)]
    keeps = Keeps(fill_ratio=1.0, reserve=0, losses=0, by_cell=True)
    assert needed(fleet, demand(18), keeps).tolist() == [4]


def test_where_all_hosts_fall_short_all_are_needed() -> None:
    """More cannot be woken than there are."""
    assert needed([unit("a"), unit("b")], demand(100), PLAIN).tolist() == [2]


def test_a_host_sleeps_through_a_gap_that_pays() -> None:
    """Needed now and again in two hours: it sleeps from when it is not needed for the next half hour."""
    fleet = [unit(name) for name in "abc"]
    load = demand(*[5] * 24, *[25] * 24)
    plan = commit(fleet, load, LOWER, UPPER, least_off_s=1800.0, lead_s=600.0)
    assert plan.pays.tolist() == [False, True, True]
    assert plan.asleep_for_s[2] == 23 * 300 - 120 - 600
    soon = commit(fleet, demand(*[5] * 5, *[25] * 24), LOWER, UPPER, least_off_s=1800.0, lead_s=600.0)
    assert not soon.pays.any()


def test_a_sleep_that_costs_more_than_it_saves_is_not_begun() -> None:
    """An hour asleep saves 95 W x 3600 s; emptying the host costs more than that."""
    fleet = [replace(unit(name), empty_joules=400_000.0) for name in "ab"]
    load = demand(*[5] * 12)
    assert not commit(fleet, load, PLAIN, PLAIN, 600.0, 0.0).pays.any()
    cheap = [fleet[0], replace(unit("b"), empty_joules=40_000.0)]
    assert commit(cheap, load, PLAIN, PLAIN, 600.0, 0.0).pays.tolist() == [False, True]


def test_who_must_stay_on_comes_first_and_carries_the_load() -> None:
    """The host that may not sleep is the one that the others sleep beside."""
    fleet = [unit("a"), unit("b"), unit("c", why_on="it holds what cannot move")]
    plan = commit(fleet, demand(*[5] * 48), LOWER, UPPER, 1800.0, 600.0)
    assert plan.order[0].id == "c"
    assert [one.id for one, pays in zip(plan.order, plan.pays, strict=True) if pays] == ["a", "b"]


def test_dear_energy_lets_a_shorter_sleep_pay() -> None:
    """The same hour at five times the price by the time it is slept through."""
    fleet = [replace(unit(name), empty_joules=400_000.0) for name in "ab"]
    load = demand(*[5] * 12)
    rising = replace(load, price=np.array([1.0, *[5.0] * 11]))
    assert not commit(fleet, load, PLAIN, PLAIN, 600.0, 0.0).pays.any()
    assert commit(fleet, rising, PLAIN, PLAIN, 600.0, 0.0).pays.any()


@given(
    st.lists(st.integers(1, 60), min_size=4, max_size=24),
    st.lists(st.tuples(st.integers(2, 20), st.booleans(), st.booleans()), min_size=1, max_size=8),
    st.integers(0, 2),
    st.integers(0, 2),
)
def test_laws_of_a_commitment(
    course: list[int], hosts: list[tuple[int, bool, bool]], reserve: int, losses: int
) -> None:
    """The bound is a bound, the lower threshold needs no less than the upper, and only awake, free hosts sleep."""
    fleet = [
        unit(f"h{i}", cores=cores, is_on=is_on, why_on="kept" if is_on and kept else None)
        for i, (cores, is_on, kept) in enumerate(hosts)
    ]
    lower, upper = (Keeps(ratio, reserve, losses) for ratio in (0.8, 0.9))
    plan = commit(fleet, demand(*course), lower, upper, 600.0, 300.0)
    assert plan.bound <= plan.value * (1 + 1e-9) or plan.to_wake.max() == len(fleet)
    assert (plan.to_sleep >= plan.to_wake).all()
    for one, pays in zip(plan.order, plan.pays.tolist(), strict=True):
        assert not pays or (one.is_on and one.why_on is None)
    stays = len(fleet) - int(plan.pays.sum()) - sum(not one.is_on for one in fleet)
    assert plan.pays.sum() == 0 or stays >= plan.to_sleep[:2].max()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=10), st.integers(0, 3), st.integers(0, 3))
def test_more_hosts_hold_more(sizes: list[int], reserve: int, losses: int) -> None:
    """What prefixes hold never falls, whatever is kept."""
    fleet = [unit(f"h{i}", cores=size) for i, size in enumerate(sizes)]
    held = held_by_prefixes(fleet, np.array(sizes, dtype=np.int64), Keeps(0.9, reserve, losses))
    assert (np.diff(held) >= 0).all()
