"""The runner on bad days: no leadership, no store, restarts, silence, and executors that break their word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.config.settings import MigrationSettings
from cluster.errors import FencedError, HostUnreachableError, RefusedError
from cluster.plan import StepState, Wake
from cluster.store.protocol import Lease
from executors.events import EventKind
from executors.protocol import Presence, Sighting
from tests.executors.world import LEASE_S, SETTLE_S, Crash, End, Power, Stage, migrate, outage, plan, stage

TWO = plan(migrate("s1", "g1", "h1", "h2"), migrate("s2", "g2", "h1", "h3", after=("s1",)))
WHERE = {"g1": "h1", "g2": "h1"}


def test_a_short_silence_resolves_nothing() -> None:
    """A host that answers again within the settling time costs no operator anything."""
    on = stage(WHERE)
    on.runner.begin(TWO)
    on.tick()
    on.world.silent.add("h1")
    for _ in range(int(SETTLE_S / 2)):
        on.tick()
    assert on.states()["s1"] is StepState.RUNNING
    assert EventKind.DOUBT in {event.kind for event in on.events}
    on.world.silent.clear()
    on.run()
    assert on.states() == {"s1": StepState.DONE, "s2": StepState.DONE}


def test_a_migration_that_does_not_stop_is_unresolved() -> None:
    """A migration that neither ends nor can be stopped raises the alarm, and the plan ends."""
    on = stage(WHERE, ends={"s1": End.DEAF}, settings=MigrationSettings(timeout_s=30.0))
    on.runner.begin(TWO)
    on.run()
    assert on.states()["s1"] is StepState.UNRESOLVED
    assert "does not stop" in on.record().steps["s1"].detail


def test_a_power_steps_time_out_counts_across_a_restart() -> None:
    """A restart gives a host that does not wake no second time-out."""
    on = stage({}, power=Power(lasts=10**9), settings=MigrationSettings(timeout_s=30.0))
    on.runner.begin(plan(Wake("s1", "h1", "room")))
    for _ in range(20):
        on.tick()
    on.new_runner()
    for _ in range(15):
        on.tick()
    assert on.states()["s1"] is StepState.FAILED


def test_without_leadership_nothing_begins() -> None:
    """No lease, no plan, no start, no write."""
    on = stage(WHERE)
    on.runner.begin(TWO)
    on.lease = None
    with pytest.raises(FencedError):
        on.runner.adopt()
    (event,) = on.tick()
    assert event.kind is EventKind.HELD
    assert on.world.started == []


def test_an_old_token_starts_nothing() -> None:
    """A leader that does not know of its successor is stopped by the store before it touches a host."""
    on = stage(WHERE)
    on.runner.begin(TWO)
    on.world.advance(LEASE_S + 1)
    new = on.inner.acquire_lease("b", LEASE_S)
    assert new is not None and on.lease is not None and new.token > on.lease.token
    (event,) = on.runner.tick()
    assert event.kind is EventKind.HELD
    assert on.world.started == []


@pytest.mark.parametrize("regained", [False, True])
def test_leadership_lost_while_the_journal_is_written_starts_nothing(regained: bool) -> None:
    """A lease that ends between the journal line and the start stops the start; the step is settled by a look."""
    on = stage(WHERE)
    on.runner.begin(TWO)
    first = on.lease
    assert first is not None

    def lose(call: str) -> None:
        record = on.inner.plan("p1")
        if call == "after write_step" and record is not None and record.steps["s1"].state is StepState.RUNNING:
            on.store.hook = lambda call: None
            on.clock.elapsed_s += LEASE_S + 1
            on.inner.acquire_lease("b", 1.0)
            on.clock.elapsed_s += 2
            on.lease = on.inner.acquire_lease("a", LEASE_S) if regained else None

    on.store.hook = lose
    on.runner.tick()
    assert on.world.started == []
    on.store.hook = lambda call: None
    on.lease = on.inner.acquire_lease("a", LEASE_S)
    on.run()
    assert on.world.started == []
    assert on.states()["s1"] is StepState.FAILED
    assert "interrupted before it began" in on.record().steps["s1"].detail


def test_leadership_lost_and_won_back_within_a_pass_voids_the_pass() -> None:
    """What was read under one token is not acted upon under another; the next pass reads anew and goes on."""
    on = stage(WHERE)
    on.runner.begin(TWO)
    before = len(on.inner.journal(100))

    def lose_and_win(call: str) -> None:
        on.store.hook = lambda call: None
        on.clock.elapsed_s += LEASE_S + 1
        on.inner.acquire_lease("b", 1.0)
        on.clock.elapsed_s += 2
        on.lease = on.inner.acquire_lease("a", LEASE_S)

    on.store.hook = lose_and_win
    (event,) = on.runner.tick()
    assert event.kind is EventKind.HELD
    assert (on.world.started, len(on.inner.journal(100))) == ([], before)
    on.run()
    assert set(on.states().values()) == {StepState.DONE}


def test_a_new_leader_adopts_what_runs() -> None:
    """A second runner with a newer token watches the first one's migration to its end and goes on."""
    on = stage(WHERE)
    on.runner.begin(TWO)
    on.tick()
    on.clock.elapsed_s += LEASE_S + 1
    on.lease = on.inner.acquire_lease("b", LEASE_S)
    adopted = on.new_runner().adopt()
    assert adopted is not None and adopted.plan == TWO
    on.run()
    assert on.world.started == ["s1", "s2"]
    assert EventKind.ADOPTED in {event.kind for event in on.events}
    assert set(on.states().values()) == {StepState.DONE}


@pytest.mark.parametrize("first_call", ["before active_plan", "before write_step", "after write_step"])
def test_an_outage_of_the_store_neither_starts_nor_aborts(first_call: str) -> None:
    """While the store is gone nothing starts and nothing is aborted; when it is back the plan goes on by itself."""
    on = stage(WHERE)
    on.runner.begin(TWO)
    on.tick()
    gone = [False]

    def cut(call: str) -> None:
        gone[0] = gone[0] or call == first_call
        if gone[0]:
            raise outage()

    on.store.hook = cut
    for _ in range(30):
        on.tick()
    assert on.world.started == ["s1"]
    assert on.world.aborted == set()
    held = [event.text for event in on.events if event.kind is EventKind.HELD]
    assert len(held) == 1 and "the store does not answer" in held[0]
    on.store.hook = lambda call: None
    on.run()
    assert set(on.states().values()) == {StepState.DONE}


def test_a_stop_asked_for_during_an_outage_is_not_forgotten() -> None:
    """What an operator asked for while the store was gone is done when it is back."""
    on = stage(WHERE)
    on.runner.begin(TWO)
    on.tick()

    def cut(call: str) -> None:
        raise outage()

    on.store.hook = cut
    on.runner.stop_starting()
    on.tick()
    on.store.hook = lambda call: None
    on.run()
    assert on.states() == {"s1": StepState.DONE, "s2": StepState.WAITING}


def test_what_was_asked_of_one_plan_does_not_stop_the_next() -> None:
    """Stopping is about the plan under way."""
    on = stage(WHERE)
    on.runner.stop_starting()
    on.runner.begin(TWO)
    on.run()
    assert set(on.states().values()) == {StepState.DONE}


def test_an_executor_that_breaks_its_word_is_no_second_start() -> None:
    """An unforeseen exception from a start leaves the step to be settled by a look."""
    on = stage(WHERE)
    on.runner.begin(TWO)

    def break_once(call: str) -> None:
        if call == "started":
            on.world.hook = lambda call: None
            raise RuntimeError("a bug")

    on.world.hook = break_once
    with pytest.raises(RuntimeError):
        on.tick()
    on.run()
    assert on.world.started == ["s1", "s2"]
    assert set(on.states().values()) == {StepState.DONE}


def test_an_outage_of_one_call_refuses_nothing() -> None:
    """A store that misses the very write before a start holds the plan for one pass, no more."""
    on = stage(WHERE)
    on.runner.begin(TWO)

    def cut_once(call: str) -> None:
        if call == "before write_step":
            on.store.hook = lambda call: None
            raise outage()

    on.store.hook = cut_once
    on.tick()
    assert on.states()["s1"] is StepState.WAITING
    on.run()
    assert set(on.states().values()) == {StepState.DONE}


def test_a_look_that_fails_is_no_sighting() -> None:
    """An executor that cannot even look has seen nothing: refused before the start, unresolved after it."""
    on = stage(WHERE)
    on.runner.begin(TWO)

    def blind(call: str) -> None:
        if call in ("look", "poll"):
            raise HostUnreachableError("the network of the scheduler is gone")

    on.tick()
    on.world.hook = blind
    on.run()
    assert on.states()["s1"] is StepState.UNRESOLVED
    on.runner.begin(replace(plan(migrate("t1", "g2", "h1", "h3")), id="p2"))
    on.run()
    assert on.record("p2").step_state("t1") is StepState.REFUSED


def test_a_job_that_could_still_begin_is_not_called_failed() -> None:
    """An overdue migration whose job neither ends nor shows is unresolved, though its guest is on the source."""
    on = stage(WHERE, ends={"s1": End.DEAF}, settings=MigrationSettings(timeout_s=30.0))
    on.world.look = lambda step: Sighting(Presence.RUNNING, Presence.ABSENT)  # type: ignore[method-assign]  # its eyes
    on.runner.begin(TWO)
    on.run()
    assert on.states()["s1"] is StepState.UNRESOLVED


def test_a_stop_asked_for_before_the_first_pass_counts() -> None:
    """A restarted runner that is told to stop at once starts nothing of the plan it finds."""
    on = stage(WHERE)
    on.runner.begin(TWO)
    on.new_runner()
    on.runner.stop_starting()
    on.run()
    assert on.world.started == []


class Luggage:
    """What makes a world's migrations leave something behind."""

    def __init__(self, on: Stage) -> None:
        self.brought: list[tuple[str, str]] = []
        self._world = on.world
        on.world = self  # type: ignore[assignment]  # the world, with two methods more
        on.new_runner()

    def left_behind(self, step: object) -> str:
        return "autostart"

    def bring_along(self, step: object, what: str) -> None:
        self._world.hook("bring_along")
        self.brought.append((getattr(step, "id", ""), what))

    def __getattr__(self, name: str) -> object:
        return getattr(self._world, name)


def test_what_is_left_behind_follows_even_after_a_crash() -> None:
    """Autostart is journalled before the start and set before the step is done, by whoever adopts it."""
    on = stage({"g1": "h1"})
    luggage = Luggage(on)
    on.runner.begin(plan(migrate("s1", "g1", "h1", "h2")))
    on.tick()
    assert on.record().steps["s1"] == replace(on.record().steps["s1"], state=StepState.RUNNING, detail="autostart")

    def die(call: str) -> None:
        if call == "bring_along":
            raise Crash

    on.world.hook = die
    luggage._world.hook = die
    with pytest.raises(Crash):
        on.run()
    assert on.states()["s1"] is StepState.RUNNING
    luggage._world.hook = lambda call: None
    on.new_runner()
    on.run()
    assert luggage.brought == [("s1", "autostart")]
    assert on.states()["s1"] is StepState.DONE


def test_the_token_in_the_journal_is_the_leases() -> None:
    """Every line carries the token it was written with."""
    on = stage(WHERE)
    on.runner.begin(TWO)
    on.run()
    lease: Lease | None = on.lease
    assert lease is not None
    assert {entry.token for entry in on.inner.journal(100)} == {lease.token}


def test_a_stop_in_the_middle_of_a_pass_starts_nothing_more_in_it() -> None:
    """Steps that may start together are started one by one; a stop between two of them counts at once."""
    on = stage({"g1": "h1", "g2": "h3"})
    on.runner.begin(plan(migrate("s1", "g1", "h1", "h2"), migrate("s2", "g2", "h3", "h4")))
    on.world.hook = lambda call: on.runner.stop_starting() if call == "started" else None
    on.run()
    assert on.world.started == ["s1"]


def test_after_winding_up_no_plan_is_begun() -> None:
    """Whoever is told to finish must not begin what was just being planned."""
    on = stage(WHERE)
    on.runner.wind_up()
    on.tick()
    with pytest.raises(RefusedError, match="no plan is begun any more"):
        on.runner.begin(TWO)
    assert on.inner.active_plan() is None


def test_a_plan_that_may_not_be_gone_on_with_is_only_finished() -> None:
    """A scheduler that came up in another mode watches what runs to its end and starts nothing of the plan it found."""
    on = stage(WHERE)
    on.runner.begin(TWO)
    on.tick()
    on.new_runner()
    on.runner._why_not_adopt = lambda: "mode observe"
    record = on.run()
    assert on.states() == {"s1": StepState.DONE, "s2": StepState.WAITING}
    assert "mode observe" in record.why


@pytest.mark.parametrize("why", ["leadership lost", "step over", "aborted", "led anew"])
def test_a_migration_that_was_slow_to_begin_is_not_permitted_any_more(why: str) -> None:
    """What an executor asks last says no once the start is not this scheduler's to make."""
    on = stage(WHERE, ends={"s1": End.FAILS})
    on.runner.begin(TWO)
    on.tick()
    permit = on.world.permits["s1"]
    assert permit()
    if why == "leadership lost":
        on.lease = None
    elif why == "led anew":
        assert on.lease is not None
        on.lease = replace(on.lease, token=on.lease.token + 1)
    elif why == "aborted":
        on.runner.abort()
    else:
        on.run()
    assert not permit()
