"""Guests that somebody else has moved are found, whoever led, and our own moves are never taken for one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cluster.plan import Migrate, PlanRecord, PlanState, StepRecord, StepState
from cluster.snapshot import Snapshot
from cluster.store.memory import MemoryStore
from executors.protocol import always
from scheduler.manual_moves import ManualMoves, flag_of, moved_by_hand, places, sent_to, why_left_alone
from simulator.executor import SimMigrationExecutor
from tests.executors.world import START, ManualClock, migrate, plan
from tests.scheduler.solver.clusters import cluster, guest, host
from tests.scheduler.stage import Stage

MARGIN_S = 180.0


def seen(on: str) -> Snapshot:
    """Guest g on a host."""
    hosts = [replace(host(name), measured_at=START) for name in "abc"]
    return replace(cluster(hosts, [guest("g", on)]), taken_at=START, stale_s=90.0)


def ended(step: Migrate, state: StepState) -> PlanRecord:
    """A plan of one step that ended so."""
    return PlanRecord(plan(step), PlanState.ENDED, {step.id: StepRecord(state, START, 1)})


def by_hand(before: dict[str, str], on: str, *records: PlanRecord, known_s: float = 1000.0) -> dict[str, str]:
    """What is found of guest g, now on a host, when all that our steps did is known for so long."""
    sent = {guest: replace(one, known_s=known_s) for guest, one in sent_to(records).items()}
    return moved_by_hand(before, {"g": on}, sent, MARGIN_S)


MOVE = migrate("s1", "g", "a", "b")


def test_a_guest_that_changes_its_host_without_a_step_was_moved_by_hand() -> None:
    """Nothing is known of it but where it was a moment ago."""
    assert by_hand({"g": "a"}, "b") == {"g": "b"}
    assert by_hand({"g": "a"}, "a") == {}
    assert by_hand({}, "a") == {}


@pytest.mark.parametrize("state", [StepState.DONE, StepState.RUNNING, StepState.UNRESOLVED])
def test_a_guest_that_our_step_brought_there_was_not(state: StepState) -> None:
    """Not even when the journal does not say yet that it arrived."""
    assert by_hand({"g": "a"}, "b", ended(MOVE, state)) == {}


@pytest.mark.parametrize("state", [StepState.FAILED, StepState.ABORTED, StepState.REFUSED])
def test_a_step_that_did_not_bring_it_there_explains_nothing(state: StepState) -> None:
    """Somebody has moved it in the middle of our plan."""
    assert by_hand({"g": "a"}, "b", ended(MOVE, state)) == {"g": "b"}


def test_a_guest_that_was_seen_where_we_left_it_has_been_moved_since() -> None:
    """At once, however new our own move is."""
    assert by_hand({"g": "b"}, "c", ended(MOVE, StepState.DONE), known_s=0.0) == {"g": "c"}


def test_figures_that_may_be_older_than_our_move_tell_nothing() -> None:
    """Without having seen it where we left it: it may be shown where it was, or was parked on its way, till then."""
    record = ended(MOVE, StepState.DONE)
    for before in ({}, {"g": "a"}):
        assert by_hand(before, "c", record, known_s=MARGIN_S) == {}
        assert by_hand(before, "c", record, known_s=MARGIN_S + 1) == {"g": "c"}
        assert by_hand(before, "b", record, known_s=MARGIN_S + 1) == {}


def test_a_guest_in_doubt_tells_nothing() -> None:
    """Seen on two hosts, or on one whose figures are stale."""
    assert places(seen("b"), {"g"}) == {}
    silent = replace(seen("b"), hosts=tuple(replace(one, reachable=False) for one in seen("b").hosts))
    assert places(silent, ()) == {}


def test_it_is_left_alone_for_a_while() -> None:
    """Then it is a guest like all others; a time of a wrong clock and a text of nobody's count for nothing."""
    flag = f"b {START.isoformat()}"
    why = why_left_alone(flag, START + timedelta(seconds=59), 60)
    assert why == "somebody else moved it to b, seen at 12:00:00 UTC; it is left alone for 60 s"
    assert why_left_alone(flag, START + timedelta(seconds=60), 60) is None
    assert why_left_alone(flag, START - timedelta(seconds=1), 60) is None
    assert why_left_alone("what", START, 60) is None and why_left_alone(None, START, 60) is None


def test_a_find_is_said_once_kept_for_the_next_leader_and_forgotten_when_the_guest_moves_on() -> None:
    """By its flag in the store."""
    clock = ManualClock()
    store = MemoryStore(clock)
    looks = ManualMoves(store, clock)
    assert looks.look(seen("a"), ()) == ()
    assert looks.look(seen("b"), ()) == ("guest g was moved to b by somebody else",)
    assert looks.look(seen("b"), ()) == ()
    assert ManualMoves(store, clock).look(seen("b"), ()) == ()
    assert store.flags() == {flag_of("g"): f"b {START.isoformat()}"}
    assert looks.look(seen("c"), ()) == ("guest g was moved to c by somebody else",)
    token = store.acquire_lease("one", 100)
    assert token is not None
    step = migrate("s1", "g", "c", "a")
    store.open_plan(plan(step), PlanState.ACTIVE, token.token, START)
    store.write_step("p1", "s1", StepState.WAITING, StepRecord(StepState.RUNNING, START, token.token))
    store.write_step("p1", "s1", StepState.RUNNING, StepRecord(StepState.DONE, START, token.token))
    assert looks.look(seen("a"), ()) == ()
    assert store.flags() == {}


def test_one_that_comes_to_lead_finds_what_was_moved_while_nobody_looked() -> None:
    """The guest should be where the journal left it; after as long as figures may be old it counts as moved by hand."""
    clock = ManualClock()
    store = MemoryStore(clock)
    token = store.acquire_lease("one", 100)
    assert token is not None
    store.open_plan(plan(MOVE), PlanState.ACTIVE, token.token, START)
    store.write_step("p1", "s1", StepState.WAITING, StepRecord(StepState.RUNNING, START, token.token))
    store.write_step("p1", "s1", StepState.RUNNING, StepRecord(StepState.DONE, START, token.token))
    looks = ManualMoves(store, clock)
    assert looks.look(seen("c"), ()) == ()
    clock.sleep(MARGIN_S + 1)
    assert looks.look(seen("c"), ()) == ("guest g was moved to c by somebody else",)


def test_the_loop_takes_none_of_its_own_moves_for_one() -> None:
    """It evens out a cluster over many cycles and says nothing of moves by hand; then there is one."""
    stage = Stage()
    stage.run(600)
    assert stage.world.tally().moves_done > 0
    assert not any("somebody else" in line for line in stage.said)
    here = next(one for one in stage.world.snapshot().guests if one.host == "a")
    hands = SimMigrationExecutor(stage.world)
    hands.start(migrate("by-hand", here.id, "a", "b"), 0, always)
    stage.run(240)
    assert [line for line in stage.said if "somebody else" in line] == [
        f"guest {here.title} was moved to b by somebody else"
    ]
    assert stage.world.location(here.id) == ("b",)
