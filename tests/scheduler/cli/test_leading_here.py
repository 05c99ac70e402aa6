"""A verb that leads itself: what it finds left behind, and an operator who interrupts it."""

from __future__ import annotations

import signal
from datetime import UTC, datetime

import pytest

from cluster.plan import PlanState
from cluster.store.memory import MemoryStore
from scheduler.cli import emptying
from scheduler.cli.context import Context
from simulator.world import World
from tests.scheduler.cli.bench import plan_for
from tests.scheduler.cli.conftest import Call


def test_a_verb_does_not_go_on_with_a_plan_left_behind(simulated: Call, store: MemoryStore, world: World) -> None:
    """It refuses because of it, and has started none of its steps and taken none of the commands that wait."""
    plan = plan_for(world)
    lease = store.acquire_lease("a daemon that died", 60)
    assert lease is not None
    store.open_plan(plan, PlanState.ACTIVE, lease.token, datetime.now(UTC))
    store.release_lease(lease)
    ended = simulated("drain", "b")
    assert (ended.status, f"plan {plan.id} was left under way" in ended.err) == (1, True)
    record = store.plan(plan.id)
    assert record is not None
    assert (record.state, record.steps) == (PlanState.ACTIVE, {})


def test_an_interrupt_while_planning_begins_nothing(
    simulated: Call, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Start nothing more holds for the plan that is just being made, too."""
    make = emptying._plan

    def interrupted(context: Context, *rest: object) -> object:
        signal.raise_signal(signal.SIGINT)
        return make(context, *rest)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(emptying, "_plan", interrupted)
    ended = simulated("drain", "a")
    assert (ended.status, "finishing what runs" in ended.err) == (1, True)
    assert store.plans(9) == ()
    assert store.last_moves() == {}


def test_two_schedulers_never_share_a_name(world: World, store: MemoryStore) -> None:
    """Two containers may have one host name and one process id: the lease must still tell them apart."""
    from scheduler.parts import Parts
    from scheduler.wiring import build_loop
    from simulator.executor import SimMigrationExecutor
    from tests.scheduler.cli.bench import CLOCK, settings_of

    parts = Parts(store, None, SimMigrationExecutor(world), None)
    loops = [build_loop(parts, settings_of(world), CLOCK, print) for _ in range(2)]
    for loop in loops:
        loop.keep_lease()
    assert [loop.leadership.lease is None for loop in loops] == [False, True]
