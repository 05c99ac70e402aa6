"""What people ask of the leader: the plan they mean and no other, and an answer whatever goes wrong."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.errors import StoreUnavailableError
from cluster.formats.plan_file import write_plan
from cluster.plan import PlanState
from cluster.store.memory import MemoryStore
from cluster.store.protocol import Command
from scheduler.loop import Loop
from scheduler.parts import Parts
from simulator.executor import SimMigrationExecutor
from simulator.fleet import SimFleet
from simulator.world import World
from tests.scheduler.cli.bench import CLOCK, plan_for, settings_of, wait_here
from tests.simulator.worlds import make_guest, make_host


class Leader:
    """A loop that leads and is told to tick, with what it says."""

    def __init__(self, store: MemoryStore, world: World) -> None:
        settings = settings_of(world)
        parts = Parts(store, SimFleet(world, store, CLOCK, settings.collect), SimMigrationExecutor(world), None, world)
        self.said: list[str] = []
        self.loop = Loop(parts, settings, CLOCK, "a daemon", self.said.append)
        self.loop.keep_lease()
        self.loop.collect()

    def told(self, verb: str, argument: str) -> str:
        """Ask for something and return the answer."""
        store = self.loop.parts.store
        store.push_command(Command(os.urandom(4).hex(), verb, argument, "a person", CLOCK.now()))
        self.loop.tick()
        return next(line for line in self.said if line.startswith(verb))


@pytest.fixture
def world() -> World:
    """Two hosts and a guest on one of them."""
    return World([make_host("a"), make_host("b")], [make_guest("g1", "a")], CLOCK)


def test_an_abort_is_for_the_plan_that_was_seen(world: World) -> None:
    """One that lay about until another plan ran does not stop that one."""
    leader = Leader(MemoryStore(CLOCK), world)
    plan = plan_for(world)
    leader.loop.runner.begin(plan)
    assert "is not under way any more" in leader.told("abort", "an older plan")
    record = leader.loop.parts.store.plan(plan.id)
    assert record is not None
    assert record.state is PlanState.ACTIVE
    leader.said.clear()
    assert "stopping what runs" in leader.told("abort", plan.id)


def test_an_edited_plan_does_not_set_the_one_going_that_waits_under_its_id(world: World) -> None:
    """What was checked is the file's plan; what the journal holds under that id is another."""
    store = MemoryStore(CLOCK)
    plan = plan_for(world)
    wait_here(store, plan)
    edited = replace(plan, steps=tuple(replace(step, reason="edited") for step in plan.migrations))
    leader = Leader(store, world)
    assert "another plan" in leader.told("apply", write_plan(edited))
    assert store.active_plan() is None
    leader.said.clear()
    assert "is under way" in leader.told("apply", write_plan(plan))


def test_a_look_that_fails_is_the_answer_and_loses_no_other_command(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A taken command is gone from the store: each gets its own answer, and an abort needs no look."""
    store = MemoryStore(CLOCK)
    leader = Leader(store, world)
    plan = plan_for(world)
    leader.loop.runner.begin(plan)

    def blind(_: object) -> None:
        raise StoreUnavailableError("the store does not answer")

    monkeypatch.setattr(leader.loop, "view", blind)
    store.push_command(Command("1", "reject", "no plan", "a person", CLOCK.now()))
    assert "stopping what runs" in leader.told("abort", plan.id)


def test_the_kill_switch_holds_back_an_approval(world: World, tmp_path: Path) -> None:
    """A person's approval does not overrule the file that stops everything."""
    store = MemoryStore(CLOCK)
    plan = plan_for(world)
    wait_here(store, plan)
    leader = Leader(store, world)
    gate = leader.loop.settings.gate
    (tmp_path / "stop").touch()
    leader.loop.settings = replace(leader.loop.settings, gate=replace(gate, kill_switch=str(tmp_path / "stop")))
    assert "the kill switch" in leader.told("approve", plan.id)
    assert store.active_plan() is None
