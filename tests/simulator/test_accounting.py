"""Both ways of accounting agree with what can be worked out by hand, and with each other where they have to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.host import Host
from simulator.accounting import AccountLedger
from simulator.clock import SimClock
from simulator.loads import LoadMatrix
from simulator.published_accounting import PublishedLedger
from simulator.world import World
from tests.simulator.worlds import START, make_guest, make_host

HOUR_S = 3600.0


def watched(
    values: list[list[float]], hosts: list[str], *, linear: bool = False, names: str = "ab"
) -> tuple[World, SimClock, PublishedLedger, AccountLedger]:
    """A world of small hosts (1000 millicores, 100 to 300 W) with one guest per row, and both ledgers on it."""
    clock = SimClock(START)
    made: list[Host] = [replace(make_host(name), cpu_millicores=1000) for name in names]
    loads = LoadMatrix(values, slot_s=600.0, linear=linear).loads()
    guests = [make_guest(f"g{number}", host, load=loads[number]) for number, host in enumerate(hosts)]
    published, account = PublishedLedger(), AccountLedger()
    world = World(made, guests, clock, sample_s=300.0, load_start_s=0.0, ledgers=(published, account))
    return world, clock, published, account


def pass_time(world: World, clock: SimClock, seconds: float) -> None:
    """Let time pass, counted to the end."""
    clock.advance(seconds)
    world.settle_accounts()


def test_an_hour_at_half_load_draws_what_the_curve_says() -> None:
    """200 W on one host; the empty one draws 100 W, which the literature does not count."""
    world, clock, published, account = watched([[500.0]], ["a"])
    pass_time(world, clock, HOUR_S)
    assert published.figures().kwh == pytest.approx(0.2)
    assert account.figures().kwh == pytest.approx(0.3)
    assert account.figures().host_on_s == pytest.approx(2 * HOUR_S)
    assert published.figures().active_host_s == pytest.approx(HOUR_S)


def test_what_is_wanted_beyond_a_host_is_not_served() -> None:
    """Two guests want 1600 of 1000 millicores for half of the time: 600 of 2200 in all are missing."""
    world, clock, published, account = watched([[800.0, 300.0], [800.0, 300.0]], ["a", "a"])
    pass_time(world, clock, 1200.0)
    assert account.figures().unserved_ratio == pytest.approx(600 / 2200)
    assert published.figures().unserved_ratio == pytest.approx(600 / 2200)
    assert published.figures().slatah_ratio == pytest.approx(0.5)
    assert account.figures().host_overload_s == {"a": pytest.approx(600.0)}
    assert account.figures().guest_overload_s == {"g0": pytest.approx(600.0), "g1": pytest.approx(600.0)}


def test_a_move_costs_a_tenth_of_its_guest_while_it_lasts() -> None:
    """PDM is the moved share alone; the target counts as short, since it has not taken the guest over yet."""
    world, clock, published, account = watched([[500.0], [500.0]], ["a", "a"])
    world.start_migration("g0", "a", "b")
    pass_time(world, clock, 600.0)
    result = world.last_result("g0")
    assert result is not None and not result.error
    lasted_s = result.ended_s - result.began_s
    assert published.figures().pdm_ratio == pytest.approx(0.1 * lasted_s * 500 / (600 * 1000), rel=1e-6)
    assert published.figures().unserved_ratio == published.figures().pdm_ratio
    # The target is active from the start of the move.
    assert published.figures().slatah_ratio == pytest.approx(lasted_s / (2 * 600.0), rel=1e-6)
    assert account.figures().moving_ratio == pytest.approx(published.figures().pdm_ratio, rel=1e-6)


def test_slav_and_esv_are_the_products() -> None:
    """As Beloglazov and Buyya define them."""
    world, clock, published, _ = watched([[800.0], [800.0]], ["a", "a"])
    world.start_migration("g0", "a", "b")
    pass_time(world, clock, 600.0)
    found = published.figures()
    assert found.slav == found.slatah_ratio * found.pdm_ratio > 0
    assert found.esv == found.kwh * found.slav


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(st.floats(0, 1500), min_size=1, max_size=6),
    steps=st.lists(st.floats(1.0, 400.0), min_size=1, max_size=6),
)
def test_it_does_not_matter_how_often_one_looks(values: list[float], steps: list[float]) -> None:
    """One long wait and many short ones come to the same, by both ways, while loads stay."""
    hosts = ["ab"[number % 2] for number in range(len(values))]
    world, clock, published, account = watched([[value] for value in values], hosts)
    for seconds in steps:
        pass_time(world, clock, seconds)
    other, other_clock, other_published, other_account = watched([[value] for value in values], hosts)
    pass_time(other, other_clock, sum(steps))
    mine, theirs = account.figures(), other_account.figures()
    assert mine.kwh == pytest.approx(theirs.kwh) and mine.unserved_ratio == pytest.approx(theirs.unserved_ratio)
    assert mine.overload_ratio == pytest.approx(theirs.overload_ratio)
    held, others = published.figures(), other_published.figures()
    assert held.kwh == pytest.approx(others.kwh) and held.slatah_ratio == pytest.approx(others.slatah_ratio)
    assert held.unserved_ratio == pytest.approx(others.unserved_ratio)
    assert mine.kwh >= held.kwh - 1e-9


def test_sleeping_and_waking_draw_what_they_do_and_a_wake_under_overload_is_late() -> None:
    """10 s down and 60 s up at the idle figure, asleep at 5 W; overload before the host is on makes its wake late."""
    world, clock, _, account = watched([[900.0, 300.0, 1200.0]], ["a"])
    world.sleep_host("b")
    pass_time(world, clock, 1200.0)
    assert account.figures().wakes == 0
    world.wake_host("b")
    pass_time(world, clock, 600.0)
    found = account.figures()
    assert (found.wakes, found.late_wakes) == (1, 1)
    down_j, asleep_j, up_j, on_j = 10 * 100, 1190 * 5, 60 * 100, 540 * 100
    busy_j = 600 * 280 + 600 * 160 + 600 * 300
    assert found.kwh * 3.6e6 == pytest.approx(down_j + asleep_j + up_j + on_j + busy_j)


def test_one_core_bounds_a_guest() -> None:
    """A guest of one virtual core gets no more than a core gives, on a host that is not full."""
    clock = SimClock(START)
    published = PublishedLedger(np.array([400.0]))
    guest = make_guest("g", load=LoadMatrix([[800.0]]).loads()[0])
    world = World([replace(make_host("a"), cpu_millicores=1000)], [guest], clock, sample_s=300.0, ledgers=(published,))
    pass_time(world, clock, 600.0)
    assert published.figures().unserved_ratio == pytest.approx(0.5)
    assert published.figures().slatah_ratio == 1.0


def test_nothing_is_counted_before_its_time() -> None:
    """Figures begin where they are told to."""
    clock = SimClock(START)
    account = AccountLedger(from_s=300.0)
    guest = make_guest("g", load=LoadMatrix([[0.0]]).loads()[0])
    world = World([make_host("a")], [guest], clock, sample_s=300.0, ledgers=(account,))
    pass_time(world, clock, 900.0)
    assert account.figures().host_on_s == pytest.approx(600.0)
