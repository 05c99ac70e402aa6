"""Two runners of one plan, the first standing still at any of its calls while the second takes over.

The one call that no token can guard is the last: from the store's word to the host's answer. It is told apart here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from cluster.errors import ConflictError, FencedError
from cluster.plan import PlanState, Sleep, Step, StepState, Wake
from cluster.store.protocol import Lease
from executors.protocol import MayBegin, always
from executors.runner import PlanRunner
from tests.executors.world import CONFIRM_S, LEASE_S, SETTLE_S, FaultyStore, Power, Stage, migrate, outage, plan, stage

MOST_CALLS = 400
STEPS = (migrate("s1", "g1", "a", "c"), migrate("s2", "g2", "b", "a", after=("s1",)))
SLEEPING = (Sleep("s1", "c", "empty"),)


class Duel:
    """A leader whose clock stands still with it, so that it never counts itself out, and who takes over from it."""

    def __init__(self, at_call: int, passes: int, steps: tuple[Step, ...], power: Power | None = None) -> None:
        self.stage: Stage = stage({"g1": "a", "g2": "b"}, power=power)
        self.steps = steps
        self.at_call, self.passes = at_call, passes
        self.calls = 0
        self.who = "a"
        self.taken_over = False
        self.started_by: list[str] = []
        self.stood_at = ""
        self.calls_since = 0
        self.stage.store.hook = self.call
        self.stage.world.hook = self.call_of_world
        self.rival_lease: Lease | None = None
        self.rival = self.runner(FaultyStore(self.stage.inner), lambda: self.rival_lease)

    def runner(self, store: FaultyStore, lease: Callable[[], Lease | None]) -> PlanRunner:
        """A runner on the stage."""
        return PlanRunner(
            store,
            self.stage.world,
            self.stage.power,
            self.stage.clock,
            self.stage.world.settings,
            lambda _plan, _step: None,
            lambda: None,
            lease,
            settle_s=SETTLE_S,
            confirm_s=CONFIRM_S,
        )

    def call(self, name: str) -> None:
        """A call of whoever is at work: the first one stands still at the chosen one."""
        if self.who != "a":
            return
        if self.taken_over:
            self.calls_since += 1
            return
        self.calls += 1
        if self.calls == self.at_call:
            self.who, self.stood_at = "b", name
            self.take_over()
            self.who = "a"

    def call_of_world(self, name: str) -> None:
        """The executor's calls count as well, up to the permit."""
        if name == "started":
            self.started_by.append(self.who_acts())
        else:
            self.call(name)

    def who_acts(self) -> str:
        """Who sets something going now, and whether it may: the leader, or the deposed one in the last window."""
        if self.who == "b" or not self.taken_over:
            return self.who
        return "window" if (self.stood_at, self.calls_since) == ("after write_step", 0) else "deposed"

    def take_over(self) -> None:
        """The lease runs out while the first stands still; the second leads and does some passes."""
        self.taken_over = True
        self.stage.world.advance(LEASE_S + 1)
        self.let_rival_work(self.passes)

    def let_rival_work(self, passes: int) -> None:
        """Passes of the second."""
        for _ in range(passes):
            self.rival_lease = self.stage.inner.acquire_lease("b", LEASE_S)
            self.rival.tick()
            self.stage.world.advance(1.0)

    def fight(self) -> None:
        """The first begins and goes on after it stood still; then the second finishes."""
        with suppress(FencedError, ConflictError):
            self.stage.runner.begin(plan(*self.steps))
        for _ in range(12):
            if not self.taken_over and self.stage.lease is not None:
                self.stage.inner.acquire_lease(self.stage.lease.holder, LEASE_S)
            self.stage.runner.tick()
            self.stage.world.advance(1.0)
        if not self.taken_over:
            return
        self.who = "b"
        if self.stage.inner.plan("p1") is not None:
            self.let_rival_work(60)


@pytest.mark.parametrize("passes", [0, 1, 3, 60])
def test_a_deposed_leader_begins_nothing_wherever_it_stood_still(passes: int) -> None:
    """At every call to the store or to a host, however far the other has come: each step at most once, by who leads."""
    taken_over = in_window = 0
    for at_call in range(1, MOST_CALLS):
        duel = Duel(at_call, passes, STEPS)
        duel.fight()
        if not duel.taken_over:
            break
        taken_over += 1
        # The world itself asserts that no step is started twice, nor a guest that is not on its source alone.
        assert "deposed" not in duel.started_by, f"standing still at call {at_call}"
        in_window += "window" in duel.started_by
        record = duel.stage.inner.plan("p1")
        if record is not None and "window" not in duel.started_by:
            assert record.state is PlanState.ENDED, f"standing still at call {at_call}"
            guests = {"g1": {"a"}, "g2": {"b"}}
            for step in STEPS:
                if record.step_state(step.id) is StepState.DONE:
                    guests[step.guest] = {step.target}
            assert duel.stage.world.where == guests
    assert taken_over > 40
    assert in_window <= len(STEPS), "one call a step is all that remains"


def test_a_deposed_leader_puts_no_host_to_sleep() -> None:
    """The same for power, whose hands cannot be asked where a guest runs."""
    asked: list[str] = []

    class Watched(Power):
        """Power that remembers who asked."""

        def start(self, step: Sleep | Wake, may_begin: MayBegin = always) -> None:
            asked.append(duel.who_acts())

    for at_call in range(1, MOST_CALLS):
        asked.clear()
        duel = Duel(at_call, 3, SLEEPING, Watched())
        duel.fight()
        if not duel.taken_over:
            break
        assert asked in ([], ["a"], ["b"], ["window"]), f"standing still at call {at_call}"
    assert at_call > 15 and asked == ["a"]


def test_a_permit_is_refused_once_the_store_says_that_another_leads() -> None:
    """A leader whose clock stood still holds its lease by its own word; the store's word counts."""
    duel = Duel(0, 0, STEPS)
    duel.stage.runner.begin(plan(*STEPS))
    duel.stage.runner.tick()
    may_begin = duel.stage.world.permits["s1"]
    assert may_begin()
    duel.take_over()
    assert not may_begin()


def test_a_permit_is_refused_while_the_store_does_not_answer() -> None:
    """Who cannot ask whether he leads does not begin."""
    duel = Duel(0, 0, STEPS)
    duel.stage.runner.begin(plan(*STEPS))
    duel.stage.runner.tick()

    def gone(call: str) -> None:
        raise outage()

    duel.stage.store.hook = gone
    assert not duel.stage.world.permits["s1"]()
