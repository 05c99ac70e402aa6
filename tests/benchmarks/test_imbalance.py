"""Figures of a placement and plain steepest descent, against the contract's own words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.generate import generate
from benchmarks.imbalance import Fleet, figures, fleet_of, used
from benchmarks.integers import IntArray
from benchmarks.steepest import missed, steepest
from benchmarks.trimtab_plan import PlanRun


def small(seed: int, hosts: int = 4, guests: int = 12) -> Fleet:
    """A generated cluster as arrays."""
    return fleet_of(generate(hosts, guests, seed))


def imbalance_by_hand(fleet: Fleet, placement: IntArray) -> float:
    """I in plain loops, as the contract has it."""
    total = 0.0
    for resource in (0, 1):
        ideal = sum(fleet.demand[:, resource].tolist()) / sum(fleet.room[:, resource].tolist())
        for host, room in enumerate(fleet.room[:, resource].tolist()):
            demand = sum(fleet.demand[guest, resource] for guest in range(len(placement)) if placement[guest] == host)
            total += (demand / room - ideal) ** 2
    return total


@given(st.integers(1, 10_000), st.data())
def test_the_figures_are_those_of_the_contract(seed: int, data: st.DataObject) -> None:
    """I, moves and GiB of any placement equal what plain loops give."""
    fleet = small(seed)
    placement = np.array(data.draw(st.lists(st.integers(0, 3), min_size=12, max_size=12)), dtype=np.int64)
    found = figures(fleet, placement)
    moved = [guest for guest in range(12) if placement[guest] != fleet.home[guest]]
    assert found.imbalance == pytest.approx(imbalance_by_hand(fleet, placement))
    assert found.moves == len(moved)
    assert found.gib == pytest.approx(sum(int(fleet.demand[guest, 1]) for guest in moved) / 1024)
    assert found.memory_stdev**2 * 4 + found.cpu_stdev**2 * 4 == pytest.approx(found.imbalance)


@given(st.integers(1, 10_000))
def test_a_step_of_descent_is_the_best_single_shift(seed: int) -> None:
    """No other shift of one guest within the limits ends with a lower I."""
    fleet = small(seed)
    best = figures(fleet, fleet.home).imbalance
    for guest in range(12):
        for host in range(4):
            placement = fleet.home.copy()
            placement[guest] = host
            if (used(placement, fleet.load, 4)[host] <= fleet.most[host]).all():
                best = min(best, imbalance_by_hand(fleet, placement))
    assert figures(fleet, steepest(fleet, 1)).imbalance == pytest.approx(best, abs=1e-11)


@given(st.integers(1, 10_000))
def test_descent_ends_where_no_shift_helps_and_makes_no_host_too_full(seed: int) -> None:
    """A second descent from the end moves nothing, and only hosts over a limit at the start are over it."""
    fleet = small(seed)
    end = steepest(fleet, 200)
    again = Fleet(fleet.host_ids, fleet.guest_ids, fleet.demand, fleet.room, end, fleet.load, fleet.most)
    assert (steepest(again, 1) == end).all()
    over = (used(end, fleet.load, 4) > fleet.most) & ~(used(fleet.home, fleet.load, 4) > fleet.most)
    assert not over.any()


def test_guests_that_a_plan_does_not_name_stay_at_home() -> None:
    """A placement is made of the moves alone."""
    fleet = small(1)
    placement = fleet.placement({fleet.guest_ids[3]: "host-0002"})
    assert placement[3] == 2
    assert (np.delete(placement, 3) == np.delete(fleet.home, 3)).all()


def test_a_seed_is_missed_for_each_of_the_four_promises() -> None:
    """Equal I is a miss, equal GiB is not; seconds are judged by the clock asked for."""
    fleet = small(1)
    start, better = figures(fleet, fleet.home), figures(fleet, steepest(fleet, 3))
    quick = PlanRun({}, process_s=1.0, cpu_s=0.5, solve_s=0.1, status="feasible")
    slow = PlanRun({}, process_s=2.0, cpu_s=0.5, solve_s=0.6, status="feasible")
    assert missed(better, quick, better, "wall")[0].startswith("I ")
    assert missed(better, quick, start, "wall")[0].endswith("GiB is more than 0")
    assert [what.split()[0] for what in missed(start, slow, start, "wall")] == ["I", "process", "solving"]
    assert [what.split()[0] for what in missed(start, slow, start, "cpu")] == ["I", "solving"]
