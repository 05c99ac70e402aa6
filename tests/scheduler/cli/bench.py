"""A real loop that leads on a pretend cluster, on a thread of its own, as the verbs' tests need one to talk to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from cluster.clock import SystemClock
from cluster.config.settings import CollectSource, Mode, Settings
from cluster.plan import Plan, PlanState
from cluster.store.memory import MemoryStore
from scheduler.loop import Loop
from scheduler.parts import Parts
from scheduler.planning import PlanRequest, make_plan
from scheduler.turns import Turns
from simulator.executor import SimMigrationExecutor
from simulator.fleet import SimFleet
from simulator.world import World

CLOCK = SystemClock()


def settings_of(world: World, mode: Mode = Mode.OBSERVE) -> Settings:
    """Settings of a quick loop on a world, under its rules."""
    base = Settings(rules=world.rules)
    return replace(
        base,
        scheduler=replace(base.scheduler, mode=mode, interval_s=1.0, work_limit=0.2),
        gate=replace(base.gate, quiet_start_s=0.0, kill_switch="/nowhere/stop"),
        collect=replace(base.collect, source=CollectSource.SIMULATED, interval_s=0.5),
        reserve=replace(base.reserve, memory_mib=0, memory_ratio=0.0),
    )


@contextmanager
def leading(store: MemoryStore, world: World, mode: Mode = Mode.OBSERVE) -> Iterator[Loop]:
    """A real loop that leads on the world, on a thread of its own."""
    settings = settings_of(world, mode)
    parts = Parts(store, SimFleet(world, store, CLOCK, settings.collect), SimMigrationExecutor(world), None, world)
    loop = Loop(parts, settings, CLOCK, "a daemon", lambda _: None)
    turns = Turns(loop.jobs(), CLOCK, lambda _: None)
    over = threading.Event()
    thread = threading.Thread(target=lambda: turns.until(over.is_set))
    thread.start()
    deadline = time.monotonic() + 10
    while store.status() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    try:
        yield loop
    finally:
        over.set()
        thread.join()
        loop.leadership.release()


def plan_for(world: World, drained: str = "a") -> Plan:
    """A plan to empty a host of a world, made now."""
    request = PlanRequest(policy="drain", drained=(drained,), work_limit=0.2)
    return make_plan(replace(world.snapshot(), taken_at=datetime.now(UTC)), request, settings_of(world))


def wait_here(store: MemoryStore, plan: Plan) -> None:
    """Put a plan up for approval."""
    lease = store.acquire_lease("somebody", 60)
    assert lease is not None
    store.open_plan(plan, PlanState.WAITING, lease.token, datetime.now(UTC))
    store.release_lease(lease)


def until(holds: Callable[[], bool], most_s: float = 30) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + most_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
