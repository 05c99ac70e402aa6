"""The daemon killed at every point where it writes its journal, on a pretend cluster: nothing is done twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cluster.plan import PlanState
from cluster.store.memory import MemoryStore
from scheduler.replay.simulated import SimulatedLoop
from simulator.clock import SimClock
from simulator.executor import SimMigrationExecutor
from simulator.scenario_file import load_scenario
from simulator.world import World

SCENARIO = Path(__file__).parent / "crash_mid_plan"
JOURNAL_WRITES = ("open_plan", "set_plan_state", "write_step")
MOST_WRITES = 8
"""Of three steps: the plan opened, each step begun and ended, the plan ended. Progress is written in between."""


class Killed(BaseException):
    """The process is gone: nothing handles it."""


class DeadlyStore(MemoryStore):
    """A store at whose n-th journal write (progress not counted) the daemon dies, just before it or just after."""

    def __init__(self, clock: SimClock, at_write: int, after: bool) -> None:
        super().__init__(clock)
        self.at_write, self.after, self.writes = at_write, after, 0

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return self._deadly(name, found) if name in JOURNAL_WRITES else found

    def _deadly(self, name: str, write: Any) -> Any:
        def dying(*arguments: Any, **named: Any) -> Any:
            if name == "write_step" and arguments[2] is arguments[3].state:
                return write(*arguments, **named)  # progress alone
            self.writes += 1
            if self.writes != self.at_write:
                return write(*arguments, **named)
            if self.after:
                write(*arguments, **named)
            raise Killed

        return dying


def live_through(world: World, clock: SimClock, store: DeadlyStore) -> int:
    """Run the loop for ten minutes, a new one after each death; return how often it died."""
    settings = load_scenario(SCENARIO).settings_for(world)
    deaths = 0
    while True:
        loop = SimulatedLoop(world, settings, clock, store, f"loop-{deaths}")
        try:
            while clock.monotonic_s() < 600:
                clock.advance_to(max(loop.next_due_s, clock.monotonic_s() + 0.01))
                loop.step()
        except Killed:
            deaths += 1
            continue
        return deaths


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at_write", range(1, MOST_WRITES + 1))
def test_killed_at_a_journal_write_the_next_one_finishes_and_nothing_runs_twice(
    at_write: int, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each guest moves at most once, the plan ends or another does its work, and no guest is doubled or lost."""
    started: Counter[str] = Counter()
    begin = SimMigrationExecutor.start

    def counted(self: SimMigrationExecutor, step: Any, *rest: Any) -> None:
        started[step.guest] += 1
        begin(self, step, *rest)

    monkeypatch.setattr(SimMigrationExecutor, "start", counted)
    scenario = load_scenario(SCENARIO)
    clock = SimClock(scenario.start)
    world, store = scenario.world(clock), DeadlyStore(clock, at_write, after)
    assert live_through(world, clock, store) == 1
    assert world.violations() == ()
    assert len(world.snapshot().guests) == len(world.guests)
    assert max(started.values()) == 1
    assert world.tally().moves_done == sum(started.values()) == 3
    assert {record.state for record in store.plans(10)} == {PlanState.ENDED}
    assert store.unresolved() == {}
