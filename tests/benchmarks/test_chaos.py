"""Some runs of the real loop under random faults; and a witness that sees what it is there to see."""

from __future__ import annotations

import pytest

from benchmarks.chaos.__main__ import run_seed
from benchmarks.chaos.run import Outcome, Run
from benchmarks.chaos.strikes import Deed, Place, Strike
from executors.journal import Journal
from simulator.faults import Fault, FaultKind

ONCE_WRONG = (433,)
"""Seeds that found something: figures older than a move, which a skewed clock dated after it."""


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """Eighty runs and those that were wrong once."""
    return [run_seed(seed) for seed in (*ONCE_WRONG, *range(10_000, 10_080))]


def test_nothing_that_must_never_happen_happens(outcomes: list[Outcome]) -> None:
    """Each run by its seed: `python -m benchmarks.chaos --seed N` tells one in full."""
    assert {one.seed: one.wrong for one in outcomes if one.wrong} == {}


def test_the_runs_are_worth_looking_at(outcomes: list[Outcome]) -> None:
    """Steps arrive, steps end otherwise, schedulers die and take over, strikes fall: all of it many times."""
    assert sum(one.done for one in outcomes) > 120
    assert sum(one.ended_otherwise for one in outcomes) > 50
    assert sum(one.deaths for one in outcomes) > 50
    assert sum(one.leaders for one in outcomes) > len(outcomes) * 3 // 2
    assert sum(one.strikes for one in outcomes) > 60
    assert sum(one.busiest_ratio > 0.7 for one in outcomes) > 10


def test_a_seed_gives_the_same_run_again() -> None:
    """Nothing of the machine's clock or of another run reaches it."""
    for seed in range(4):
        first, second = Run(seed, verbose=True).outcome(), Run(seed, verbose=True).outcome()
        assert first == second and len(first.log) > 5


def quiet(seed: int) -> Run:
    """A run in which nothing goes wrong by itself."""
    run = Run(seed)
    run.counted.strikes.clear()
    run.world.forget_faults()
    run.acts = [act for act in run.acts if act.verb == "begin"]
    return run


@pytest.mark.parametrize("asks_the_store", [True, False])
def test_a_start_under_an_old_token_is_seen(asks_the_store: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leader stands still right before a start, its clock with it: only the store can tell it that another leads."""
    if not asks_the_store:
        monkeypatch.setattr(Journal, "confirms", lambda journal, record, step, token: journal.holds(token))
    wrong, strikes = [], 0
    for seed in range(12):
        run = quiet(seed)
        run.counted.strikes.append(Strike(Place.HANDS, 2, Deed.STALL, for_s=45.0, frozen=True))
        outcome = run.outcome()
        wrong += [text for text in outcome.wrong if "leads with token" in text]
        strikes += outcome.strikes
    assert strikes >= 6
    assert bool(wrong) is not asks_the_store


def test_the_witness_sees_a_guest_that_runs_twice() -> None:
    """Somebody starts it a second time on another host."""
    run = quiet(3)
    guest = min(run.world.guests)
    elsewhere = max(set(run.world.hosts) - set(run.world.location(guest)))
    run.until(5.0, ())
    run.world.inject(Fault(0, FaultKind.GUEST_STARTS, host=elsewhere, guest=guest))
    assert any(f"guest {guest} runs on" in text for text in run.outcome().wrong)


def test_the_witness_sees_a_guest_that_is_gone() -> None:
    """It vanishes from its host by no fault."""
    run = quiet(3)
    run.until(5.0, ())
    guest = min(set(run.world.guests) - set(run.world.migrations))
    del run.world.holdings[run.world.location(guest)[0]][guest]
    run.world.placement_changed()
    assert any(f"guest {guest} is lost" in text for text in run.witness.wrong)


def test_a_quiet_run_moves_guests_and_nothing_is_wrong() -> None:
    """The laws do not hold for want of anything happening."""
    outcomes = [quiet(seed).outcome() for seed in range(6)]
    assert [one.wrong for one in outcomes] == [()] * 6
    assert sum(one.done for one in outcomes) > 10
    assert sum(one.deaths for one in outcomes) == 0


def test_a_strike_falls_at_its_call() -> None:
    """A scheduler that is killed at its first journal write has opened no plan, and another does."""
    done = deaths = 0
    for seed in range(8):
        run = quiet(seed)
        run.counted.strikes.append(Strike(Place.WRITE, 1, Deed.KILL_BEFORE))
        outcome = run.outcome()
        # Where the first leader's clock is off by hours it makes no plan, and writes nothing.
        assert outcome.deaths == outcome.strikes and outcome.wrong == ()
        deaths, done = deaths + outcome.deaths, done + outcome.done
    assert deaths >= 4 and done > 10
