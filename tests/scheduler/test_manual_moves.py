"""Guests that somebody else has moved are found, whoever led, and our own moves are never taken for one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cluster.plan import Migrate, PlanRecord, PlanState, StepRecord, StepState
from cluster.snapshot import Snapshot
from cluster.store.memory import MemoryStore
from executors.protocol import always
from scheduler.manual_moves import ManualMoves, Sent, flag_of, moved_by_hand, places, sent_to, why_left_alone
from simulator.executor import SimMigrationExecutor
from tests.executors.world import START, ManualClock, migrate, plan
from tests.scheduler.solver.clusters import cluster, guest, host
from tests.scheduler.stage import Stage


def seen(on: str, measured_s: float = 1000) -> Snapshot:
    """Guest g on a host, all hosts measured so many seconds after the start."""
    at = START + timedelta(seconds=measured_s)
    hosts = [replace(host(name), measured_at=at) for name in "abc"]
    return replace(cluster(hosts, [guest("g", on)]), taken_at=at, stale_s=90.0)


def ended(step: Migrate, state: StepState, at_s: float = 0) -> PlanRecord:
    """A plan of one step that ended so."""
    at = START + timedelta(seconds=at_s)
    return PlanRecord(plan(step), PlanState.ENDED, {step.id: StepRecord(state, at, 1)})


def by_hand(before: dict[str, str], now: Snapshot, *records: PlanRecord) -> dict[str, str]:
    """What is found."""
    return moved_by_hand(before, places(now, ()), now, sent_to(records))


MOVE = migrate("s1", "g", "a", "b")


def test_a_guest_that_changes_its_host_without_a_step_was_moved_by_hand() -> None:
    """Nothing is known of it but where it was a moment ago."""
    assert by_hand({"g": "a"}, seen("b")) == {"g": "b"}
    assert by_hand({"g": "a"}, seen("a")) == {}
    assert by_hand({}, seen("a")) == {}


@pytest.mark.parametrize("state", [StepState.DONE, StepState.RUNNING, StepState.UNRESOLVED])
def test_a_guest_that_our_step_brought_there_was_not(state: StepState) -> None:
    """Not even when the journal does not say yet that it arrived."""
    assert by_hand({"g": "a"}, seen("b"), ended(MOVE, state)) == {}


@pytest.mark.parametrize("state", [StepState.FAILED, StepState.ABORTED, StepState.REFUSED])
def test_a_step_that_did_not_bring_it_there_explains_nothing(state: StepState) -> None:
    """Somebody has moved it in the middle of our plan."""
    assert by_hand({"g": "a"}, seen("b"), ended(MOVE, state)) == {"g": "b"}


def test_without_a_last_look_what_counts_is_where_we_left_it() -> None:
    """Once the figures are later than clocks may differ; until then they may be older than our move."""
    record = ended(MOVE, StepState.DONE)
    assert by_hand({}, seen("c", 181), record) == {"g": "c"}
    assert by_hand({}, seen("a", 179), record) == {}
    assert by_hand({}, seen("b", 181), record) == {}


def test_figures_that_may_be_older_than_our_move_tell_nothing() -> None:
    """A guest that was parked on its way is still shown there when the plan is over already."""
    parked = Sent(frozenset("b"), START, arrived=True)
    assert moved_by_hand({"g": "a"}, {"g": "c"}, seen("c", 180), {"g": parked}) == {}
    assert moved_by_hand({"g": "a"}, {"g": "c"}, seen("c", 181), {"g": parked}) == {"g": "c"}


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
    store = MemoryStore(ManualClock())
    looks = ManualMoves(store)
    assert looks.look(seen("a"), (), START) == ()
    assert looks.look(seen("b"), (), START) == ("guest g was moved to b by somebody else",)
    assert looks.look(seen("b"), (), START) == ()
    assert ManualMoves(store).look(seen("b"), (), START) == ()
    assert store.flags() == {flag_of("g"): f"b {START.isoformat()}"}
    assert looks.look(seen("c"), (), START + timedelta(seconds=5)) == ("guest g was moved to c by somebody else",)
    token = store.acquire_lease("one", 100)
    assert token is not None
    step = migrate("s1", "g", "c", "a")
    store.open_plan(plan(step), PlanState.ACTIVE, token.token, START)
    store.write_step("p1", "s1", StepState.WAITING, StepRecord(StepState.RUNNING, START, token.token))
    store.write_step("p1", "s1", StepState.RUNNING, StepRecord(StepState.DONE, START, token.token))
    assert looks.look(seen("a"), (), START + timedelta(seconds=9)) == ()
    assert store.flags() == {}


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
