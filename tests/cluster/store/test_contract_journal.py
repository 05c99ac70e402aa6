"""What every store promises about leadership, fencing and the journal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cluster.errors import ConflictError, FencedError
from cluster.plan import JournalEntry, PlanRecord, PlanState, StepState
from cluster.store.protocol import Store
from tests.cluster.store.builders import at, plan, record
from tests.cluster.store.harness import START, Harness

WAITING, RUNNING, DONE = StepState.WAITING, StepState.RUNNING, StepState.DONE
UNRESOLVED = StepState.UNRESOLVED


def lead(store: Store, ttl_s: float = 60.0, holder: str = "one") -> int:
    """Take leadership and return its token."""
    lease = store.acquire_lease(holder, ttl_s)
    assert lease is not None
    return lease.token


def opened(store: Store, name: str = "p1", state: PlanState = PlanState.ACTIVE) -> int:
    """Take leadership, open a plan and return the token."""
    token = lead(store)
    store.open_plan(plan(name), state, token, START)
    return token


def test_only_one_holds_the_lease(harness: Harness) -> None:
    """While one leads, another gets nothing."""
    assert harness.store.acquire_lease("one", harness.long_s) is not None
    assert harness.other.acquire_lease("two", harness.long_s) is None


def test_renewing_keeps_the_token(harness: Harness) -> None:
    """The same holder keeps its token and gets its whole time again."""
    token = lead(harness.store, harness.short_s)
    assert lead(harness.store, harness.long_s) == token
    harness.expire()
    assert harness.other.acquire_lease("two", harness.long_s) is None


def test_each_change_of_holder_gets_a_greater_token(harness: Harness) -> None:
    """Expired or given up, the next lease has a greater token, for whoever takes it."""
    tokens = [lead(harness.store, harness.short_s)]
    harness.expire()
    tokens.append(lead(harness.other, harness.short_s, "two"))
    harness.expire()
    tokens.append(lead(harness.other, harness.long_s, "two"))
    lease = harness.other.acquire_lease("two", harness.long_s)
    assert lease is not None
    harness.other.release_lease(lease)
    tokens.append(lead(harness.store))
    assert tokens == sorted(set(tokens))


def test_a_lease_that_was_lost_is_not_given_up_for_the_new_holder(harness: Harness) -> None:
    """Releasing an old lease leaves the present one alone."""
    old = harness.store.acquire_lease("one", harness.short_s)
    assert old is not None
    harness.expire()
    token = lead(harness.other, holder="two")
    harness.store.release_lease(old)
    harness.other.open_plan(plan("p"), PlanState.ACTIVE, token, START)


WRITES: list[Callable[[Store, int], None]] = [
    lambda store, token: store.open_plan(plan("new"), PlanState.WAITING, token, START),
    lambda store, token: store.set_plan_state("p1", PlanState.ENDED, token, at(1), "over"),
    lambda store, token: store.write_step("p1", "s1", WAITING, record(RUNNING, token)),
    lambda store, token: store.note_step("p1", "s1", "postcopy", token, at(1), "switched"),
]


@pytest.mark.parametrize("write", WRITES, ids=["open_plan", "set_plan_state", "write_step", "note_step"])
@pytest.mark.parametrize("how", ["taken over", "expired", "given up", "never had"])
def test_a_write_without_the_lease_is_fenced(harness: Harness, write: Callable[[Store, int], None], how: str) -> None:
    """An old, expired, released or invented token changes nothing."""
    token = opened(harness.store)
    lease = harness.store.acquire_lease("one", harness.short_s)
    assert lease is not None
    match how:
        case "taken over":
            harness.expire()
            assert lead(harness.other, holder="two") > token
        case "expired":
            harness.expire()
        case "given up":
            harness.store.release_lease(lease)
        case _:
            token += 1
    before = (harness.other.plans(9), harness.other.journal(9))
    with pytest.raises(FencedError, match=f"token {token}"):
        write(harness.store, token)
    assert (harness.other.plans(9), harness.other.journal(9)) == before


def test_an_opened_plan_comes_back_as_it_was(harness: Harness) -> None:
    """Every field of the plan survives; its steps wait."""
    opened(harness.store)
    held = harness.other.plan("p1")
    assert held == PlanRecord(plan("p1"), PlanState.ACTIVE, {}, "")
    assert held == harness.other.active_plan()
    assert held.step_state("s1") is WAITING


def test_an_unknown_plan_is_nothing(harness: Harness) -> None:
    """Asking for what was never opened gives nothing, not an error."""
    assert harness.store.plan("p") is None
    assert harness.store.active_plan() is None
    assert harness.store.plans(5) == ()
    assert harness.store.journal(5) == ()


@pytest.mark.parametrize("first", [PlanState.ACTIVE, PlanState.STOPPING])
@pytest.mark.parametrize("second", [PlanState.ACTIVE, PlanState.WAITING])
def test_no_plan_is_opened_while_another_is_under_way(harness: Harness, first: PlanState, second: PlanState) -> None:
    """One plan at a time: also a stopping one has steps that run."""
    token = opened(harness.store)
    if first is PlanState.STOPPING:
        harness.store.set_plan_state("p1", first, token, at(1), "abort")
    with pytest.raises(ConflictError, match="plan p1 is under way"):
        harness.store.open_plan(plan("p2"), second, token, at(2))
    assert harness.store.plan("p2") is None


def test_a_plan_is_opened_once(harness: Harness) -> None:
    """A known id is refused, whatever became of the plan."""
    token = opened(harness.store, state=PlanState.WAITING)
    with pytest.raises(ConflictError, match="p1"):
        harness.store.open_plan(plan("p1"), PlanState.WAITING, token, START)
    harness.store.set_plan_state("p1", PlanState.ENDED, token, at(1), "")
    with pytest.raises(ConflictError, match="p1"):
        harness.store.open_plan(plan("p1"), PlanState.ACTIVE, token, START)


def test_a_plan_opens_waiting_or_active_only(harness: Harness) -> None:
    """Anything else is the caller's mistake."""
    token = lead(harness.store)
    with pytest.raises(ValueError, match="ended"):
        harness.store.open_plan(plan("p"), PlanState.ENDED, token, START)


def test_waiting_plans_wait_beside_each_other(harness: Harness) -> None:
    """Several plans may wait; one may become active, the next only after it."""
    token = opened(harness.store, state=PlanState.WAITING)
    harness.store.open_plan(plan("p2"), PlanState.WAITING, token, START)
    harness.store.set_plan_state("p1", PlanState.ACTIVE, token, at(1), "approved")
    with pytest.raises(ConflictError, match="plan p1 is under way"):
        harness.store.set_plan_state("p2", PlanState.ACTIVE, token, at(2), "approved")
    harness.store.set_plan_state("p1", PlanState.ENDED, token, at(3), "done")
    assert harness.store.active_plan() is None
    harness.store.set_plan_state("p2", PlanState.ACTIVE, token, at(4), "approved")
    active = harness.store.active_plan()
    assert active is not None and active.plan.id == "p2"


def test_ending_a_waiting_plan_leaves_the_active_one_alone(harness: Harness) -> None:
    """What is under way stays so when another plan is turned down, and ends by whatever name."""
    token = opened(harness.store, "p2", PlanState.WAITING)
    harness.store.open_plan(plan("p1"), PlanState.ACTIVE, token, START)
    harness.store.set_plan_state("p2", PlanState.ENDED, token, at(1), "too late")
    active = harness.store.active_plan()
    assert active is not None and active.plan.id == "p1"
    harness.store.set_plan_state("p1", PlanState.REJECTED, token, at(2), "no")
    assert harness.store.active_plan() is None
    harness.store.open_plan(plan("p3"), PlanState.ACTIVE, token, at(3))


@pytest.mark.parametrize("over", [PlanState.ENDED, PlanState.REJECTED])
def test_an_ended_plan_stays_ended(harness: Harness, over: PlanState) -> None:
    """No state follows the last one."""
    token = opened(harness.store, state=PlanState.WAITING)
    harness.store.set_plan_state("p1", over, token, at(1), "first")
    for state in PlanState:
        with pytest.raises(ConflictError, match=f"is {over} already"):
            harness.store.set_plan_state("p1", state, token, at(2), "second")
    held = harness.store.plan("p1")
    assert held is not None and held.why == "first"


def test_a_plan_under_way_does_not_wait_again(harness: Harness) -> None:
    """Its steps may be running: somebody has to stop them."""
    token = opened(harness.store)
    with pytest.raises(ConflictError, match="cannot go back"):
        harness.store.set_plan_state("p1", PlanState.WAITING, token, at(1), "")


def test_the_state_of_an_unknown_plan_cannot_be_set(harness: Harness) -> None:
    """Only what was opened can be moved on."""
    with pytest.raises(ConflictError, match="nix"):
        harness.store.set_plan_state("nix", PlanState.ENDED, lead(harness.store), START, "")


def test_plans_come_newest_first(harness: Harness) -> None:
    """The latest plans by when they were opened, as many as asked for."""
    token = lead(harness.store)
    for name in ("p3", "p1", "p2"):
        harness.store.open_plan(plan(name), PlanState.WAITING, token, START)
    assert [held.plan.id for held in harness.other.plans(2)] == ["p2", "p1"]
    assert [held.plan.id for held in harness.other.plans(99)] == ["p2", "p1", "p3"]
    assert harness.other.plans(0) == ()


def test_a_step_changes_only_from_the_state_expected(harness: Harness) -> None:
    """A writer whose picture is old is refused and changes nothing."""
    token = opened(harness.store)
    harness.store.write_step("p1", "s1", WAITING, record(RUNNING, token))
    before = harness.store.plan("p1")
    with pytest.raises(ConflictError, match="s1 of plan p1 is running, not waiting"):
        harness.store.write_step("p1", "s1", WAITING, record(StepState.ABORTED, token, 2))
    assert harness.store.plan("p1") == before


def test_the_very_same_write_again_is_a_conflict(harness: Harness) -> None:
    """Two hands that both mean to start a step: the second learns that it is started already."""
    token = opened(harness.store)
    started = record(RUNNING, token)
    harness.store.write_step("p1", "s1", WAITING, started)
    with pytest.raises(ConflictError):
        harness.other.write_step("p1", "s1", WAITING, started)


@pytest.mark.parametrize(("name", "step"), [("nix", "s1"), ("p1", "nix")])
def test_a_step_that_no_plan_has_is_refused(harness: Harness, name: str, step: str) -> None:
    """A record needs its plan and its step."""
    token = opened(harness.store)
    with pytest.raises(ConflictError, match="nix"):
        harness.store.write_step(name, step, WAITING, record(RUNNING, token))


def test_a_step_record_comes_back_as_it_was(harness: Harness) -> None:
    """Every field survives, text of any language included."""
    token = opened(harness.store)
    written = record(RUNNING, token, 1.000001, 'läuft "gut"\n', 0.3333333333333333)
    harness.store.write_step("p1", "s2", WAITING, written)
    held = harness.other.plan("p1")
    assert held is not None and held.steps == {"s2": written}


def test_the_journal_holds_changes_of_state_in_order(harness: Harness) -> None:
    """Oldest first, progress left out, plans with an empty step."""
    token = opened(harness.store, state=PlanState.WAITING)
    store = harness.store
    store.set_plan_state("p1", PlanState.ACTIVE, token, at(1), "approved")
    store.write_step("p1", "s1", WAITING, record(RUNNING, token, 2, "begun"))
    store.write_step("p1", "s1", RUNNING, record(RUNNING, token, 3, "half way", 0.5))
    store.write_step("p1", "s1", RUNNING, record(DONE, token, 4))
    store.set_plan_state("p1", PlanState.ACTIVE, token, at(4.5), "still")
    store.set_plan_state("p1", PlanState.ENDED, token, at(5), "finished")
    expected = (
        JournalEntry(at(0), "p1", "", "waiting", token, "because of p1"),
        JournalEntry(at(1), "p1", "", "active", token, "approved"),
        JournalEntry(at(2), "p1", "s1", "running", token, "begun"),
        JournalEntry(at(4), "p1", "s1", "done", token, ""),
        JournalEntry(at(5), "p1", "", "ended", token, "finished"),
    )
    assert harness.other.journal(99) == expected
    assert harness.other.journal(2) == expected[-2:]
    assert harness.other.journal(0) == ()


def test_a_done_migration_stamps_its_guest(harness: Harness) -> None:
    """Only `done` counts as a move, and a host put to sleep moves nobody."""
    token = opened(harness.store)
    harness.store.write_step("p1", "s1", WAITING, record(RUNNING, token, 2))
    assert harness.store.last_moves() == {}
    harness.store.write_step("p1", "s1", RUNNING, record(DONE, token, 4))
    harness.store.write_step("p1", "s2", WAITING, record(StepState.FAILED, token, 5))
    harness.store.write_step("p1", "z", WAITING, record(DONE, token, 6))
    assert harness.other.last_moves() == {"g1": at(4)}


def test_an_unresolved_guest_is_marked_until_an_operator_looked(harness: Harness) -> None:
    """The mark says what is known; lifting it is journalled with who did it."""
    token = opened(harness.store)
    harness.store.write_step("p1", "s1", WAITING, record(UNRESOLVED, token, 2, "host b is silent"))
    harness.store.write_step("p1", "s2", WAITING, record(UNRESOLVED, token, 3))
    assert harness.other.unresolved() == {"g1": "host b is silent", "g2": "step s2 of plan p1 ended unresolved"}
    harness.store.resolve("g1", "änn", at(9))
    harness.store.resolve("nobody", "ann", at(9))
    assert list(harness.other.unresolved()) == ["g2"]
    entry = JournalEntry(at(9), "p1", "s1", "resolved", 0, "unresolved mark lifted by änn")
    assert harness.other.journal(1) == (entry,)


def test_the_step_that_made_a_mark_lifts_it(harness: Harness) -> None:
    """A step seen to have ended after all needs no operator."""
    token = opened(harness.store)
    harness.store.write_step("p1", "s1", WAITING, record(UNRESOLVED, token, 2))
    harness.store.write_step("p1", "s1", UNRESOLVED, record(DONE, token, 3))
    assert harness.store.unresolved() == {}
    assert harness.store.last_moves() == {"g1": at(3)}


def test_another_step_of_the_guest_does_not_lift_the_mark(harness: Harness) -> None:
    """A later step that ends refused says nothing of where the guest runs."""
    token = lead(harness.store)
    harness.store.open_plan(plan("p"), PlanState.ACTIVE, token, START)
    harness.store.write_step("p", "s1", WAITING, record(UNRESOLVED, token, 2))
    harness.store.set_plan_state("p", PlanState.ENDED, token, at(3), "unresolved")
    harness.store.open_plan(plan("q"), PlanState.ACTIVE, token, at(4))
    harness.store.write_step("q", "s1", WAITING, record(StepState.REFUSED, token, 5))
    assert list(harness.store.unresolved()) == ["g1"]


def test_progress_does_not_bring_a_lifted_mark_back(harness: Harness) -> None:
    """Writing an unresolved step again changes no state, so it marks nobody."""
    token = opened(harness.store)
    harness.store.write_step("p1", "s1", WAITING, record(UNRESOLVED, token, 2))
    harness.store.resolve("g1", "ann", at(3))
    harness.store.write_step("p1", "s1", UNRESOLVED, record(UNRESOLVED, token, 4, "again"))
    assert harness.store.unresolved() == {}


def test_a_note_is_a_line_of_the_journal_and_changes_nothing(harness: Harness) -> None:
    """It stands among the changes of state in the order written, and the step stays as it was."""
    token = opened(harness.store)
    harness.store.write_step("p1", "s1", WAITING, record(RUNNING, token))
    before = harness.other.plan("p1")
    harness.store.note_step("p1", "s1", "postcopy", token, at(3), "switched to post-copy")
    assert harness.other.plan("p1") == before
    assert harness.other.journal(1) == (JournalEntry(at(3), "p1", "s1", "postcopy", token, "switched to post-copy"),)


@pytest.mark.parametrize(("name", "step"), [("p1", "s9"), ("p9", "s1")])
def test_a_note_of_a_step_that_no_plan_has_is_refused(harness: Harness, name: str, step: str) -> None:
    """Nothing is written of it."""
    token = opened(harness.store)
    before = harness.other.journal(9)
    with pytest.raises(ConflictError):
        harness.store.note_step(name, step, "postcopy", token, at(3), "switched")
    assert harness.other.journal(9) == before
