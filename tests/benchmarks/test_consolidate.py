"""The greedy evacuation that plans are held against is itself sound."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.consolidate import EMPTIEST, gib_moved, greedy, headroom, mixed, task_of, watts
from benchmarks.generate import generate
from benchmarks.imbalance import CPU, MEMORY, used
from cluster.config.settings import ConsolidateSettings
from policies.registry import make_problem
from scheduler.solver.bounds.asleep import AsleepBound
from scheduler.solver.lower import lower_problem


@pytest.mark.parametrize("name", sorted(EMPTIEST))
@pytest.mark.parametrize("drawn", [False, True])
def test_greedy_keeps_limits_head_room_and_reserve(name: str, drawn: bool) -> None:
    """Hosts asleep are empty and may be; who receives keeps head-room; those on offer enough; fewer watts are drawn."""
    snapshot = generate(20, 150, seed=4)
    snapshot = mixed(snapshot, 4) if drawn else snapshot
    task = task_of(snapshot)
    placement, asleep = greedy(task, EMPTIEST[name])
    assert asleep
    assert asleep <= task.may_sleep
    assert not set(placement.tolist()) & asleep
    assert headroom(task, placement) >= ConsolidateSettings().headroom_ratio - 1e-3
    on = np.array([host not in asleep for host in range(20)])
    assert (task.most[on][:, [CPU, MEMORY]].sum(axis=0) >= task.need).all()
    assert watts(snapshot, task, placement, asleep) < watts(snapshot, task, task.fleet.home, frozenset())
    began = used(task.fleet.home, task.fleet.demand, 20)[sorted(asleep), MEMORY].sum() / 1024
    assert gib_moved(task, placement) >= began


def test_bounds_are_those_of_the_engine() -> None:
    """Counted here by what the hosts offer, there by all that is known: the same on plain clusters."""
    snapshot = generate(40, 400, seed=2)
    instance = lower_problem(make_problem("consolidate", snapshot)).instance
    assert task_of(snapshot).most_asleep == AsleepBound(instance).most
