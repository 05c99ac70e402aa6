"""What every store promises about rate limits: permits taken with a step's start, all or nothing, over schedulers."""

from __future__ import annotations

import pytest

from cluster.errors import ConflictError, FencedError, RateLimitError
from cluster.plan import PlanState, StepState
from cluster.rates import HOUR_S, Permit
from cluster.store.protocol import Store
from tests.cluster.store.builders import at, plan, record
from tests.cluster.store.harness import START, Harness
from tests.cluster.store.test_concurrency import HANDS, at_once
from tests.cluster.store.test_contract_journal import lead, opened

WAITING, RUNNING = StepState.WAITING, StepState.RUNNING
HOURLY = Permit("host_out:a", 1, HOUR_S)
IN_FLIGHT = Permit("group:web", 1)


def start(store: Store, token: int, step: str, *permits: Permit, name: str = "p1") -> None:
    """Write down that a step is about to be started."""
    store.write_step(name, step, WAITING, record(RUNNING, token), permits)


def end(store: Store, token: int, step: str, state: StepState, name: str = "p1") -> None:
    """Write down how a running step ended."""
    store.write_step(name, step, RUNNING, record(state, token))


def test_a_step_takes_its_permits_when_it_begins(harness: Harness) -> None:
    """Another scheduler sees them; what nobody holds is not listed."""
    token = opened(harness.store)
    assert harness.store.permits_taken() == {}
    start(harness.store, token, "s1", HOURLY, IN_FLIGHT)
    assert harness.other.permits_taken() == {"host_out:a": 1, "group:web": 1}


def test_a_step_without_a_permit_waits_and_takes_none_of_the_others(harness: Harness) -> None:
    """One limit used up: nothing is written, in the journal or of the permits that were to be had."""
    token = opened(harness.store)
    start(harness.store, token, "s1", HOURLY)
    before = harness.store.journal(9)
    with pytest.raises(RateLimitError, match="host_out:a"):
        start(harness.other, token, "s2", Permit("cluster", 5, HOUR_S), HOURLY, IN_FLIGHT)
    assert harness.store.permits_taken() == {"host_out:a": 1}
    assert harness.store.journal(9) == before
    held = harness.store.plan("p1")
    assert held is not None
    assert held.step_state("s2") is WAITING


def test_permits_of_an_hour_count_on_after_the_step(harness: Harness) -> None:
    """A finished move still counts for its hour; a group that it was in flight of is free again."""
    token = opened(harness.store)
    start(harness.store, token, "s1", HOURLY, IN_FLIGHT)
    end(harness.store, token, "s1", StepState.DONE)
    assert harness.other.permits_taken() == {"host_out:a": 1}
    start(harness.store, token, "s2", IN_FLIGHT)


@pytest.mark.parametrize("state", [StepState.FAILED, StepState.ABORTED])
def test_a_move_that_went_wrong_counts_too(harness: Harness, state: StepState) -> None:
    """It has used the links; only its place in flight is free."""
    token = opened(harness.store)
    start(harness.store, token, "s1", HOURLY, IN_FLIGHT)
    end(harness.store, token, "s1", state)
    assert harness.store.permits_taken() == {"host_out:a": 1}


def test_a_refused_step_gives_everything_back(harness: Harness) -> None:
    """Nothing was begun, so nothing is counted."""
    token = opened(harness.store)
    start(harness.store, token, "s1", HOURLY, IN_FLIGHT)
    end(harness.store, token, "s1", StepState.REFUSED)
    assert harness.store.permits_taken() == {}
    start(harness.store, token, "s2", HOURLY, IN_FLIGHT)


def test_an_unresolved_step_stays_in_flight_until_its_mark_is_lifted(harness: Harness) -> None:
    """Its guest may still be moving."""
    token = opened(harness.store)
    start(harness.store, token, "s1", HOURLY, IN_FLIGHT)
    end(harness.store, token, "s1", StepState.UNRESOLVED)
    assert harness.store.permits_taken() == {"host_out:a": 1, "group:web": 1}
    harness.other.resolve("g1", "ann", at(9))
    assert harness.store.permits_taken() == {"host_out:a": 1}


def test_a_permit_comes_free_when_its_time_is_over(harness: Harness) -> None:
    """Each permit counts from the moment when it was taken."""
    token = opened(harness.store)
    short = Permit("cluster", 1, harness.short_s)
    start(harness.store, token, "s1", short)
    with pytest.raises(RateLimitError):
        start(harness.store, token, "s2", short)
    harness.expire()
    assert harness.store.permits_taken() == {}
    start(harness.store, token, "s2", short)


def test_progress_takes_no_permit_and_frees_none(harness: Harness) -> None:
    """Only the start and the end of a step count."""
    token = opened(harness.store)
    start(harness.store, token, "s1", HOURLY, IN_FLIGHT)
    harness.store.write_step("p1", "s1", RUNNING, record(RUNNING, token, ratio=0.5))
    assert harness.store.permits_taken() == {"host_out:a": 1, "group:web": 1}


def test_permits_outlast_their_plan(harness: Harness) -> None:
    """The next plan is held to the same hour."""
    token = opened(harness.store)
    start(harness.store, token, "s1", HOURLY)
    end(harness.store, token, "s1", StepState.DONE)
    harness.store.set_plan_state("p1", PlanState.ENDED, token, at(5), "over")
    harness.store.open_plan(plan("p2"), PlanState.ACTIVE, token, at(6))
    with pytest.raises(RateLimitError):
        start(harness.store, token, "s1", HOURLY, name="p2")


def test_an_old_token_takes_no_permit(harness: Harness) -> None:
    """Who does not lead any more is fenced off before any permit is looked at."""
    token = opened(harness.store)
    lease = harness.store.acquire_lease("one", harness.long_s)
    assert lease is not None
    harness.store.release_lease(lease)
    lead(harness.other, holder="two")
    with pytest.raises(FencedError):
        start(harness.store, token, "s1", HOURLY)
    assert harness.store.permits_taken() == {}


def test_a_step_that_runs_already_takes_no_permit(harness: Harness) -> None:
    """A start that comes too late is a conflict, whatever its permits."""
    token = opened(harness.store)
    start(harness.store, token, "s1", HOURLY)
    with pytest.raises(ConflictError):
        start(harness.other, token, "s1", Permit("cluster", 5, HOUR_S))
    assert harness.store.permits_taken() == {"host_out:a": 1}


def test_many_at_once_take_no_more_permits_than_there_are(harness: Harness) -> None:
    """Of eight steps begun at the same moment through two clients, three get a permit."""
    token = lead(harness.store)
    guests = [f"g{number}" for number in range(HANDS)]
    harness.store.open_plan(plan("p1", guests), PlanState.ACTIVE, token, START)

    def work(store: Store, hand: int) -> bool:
        try:
            start(store, token, f"s{hand + 1}", Permit("cluster", 3, HOUR_S), Permit("group:web", 5))
        except RateLimitError:
            return False
        return True

    assert at_once(harness, work).count(True) == 3
    assert harness.store.permits_taken() == {"cluster": 3, "group:web": 3}
