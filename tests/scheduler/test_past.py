"""The history of plans: what was predicted beside what was measured, of a real loop and of made-up records."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cluster.energy_day import Energy, EnergyDay
from cluster.migration.learned import MoveFact
from cluster.plan import JournalEntry, PlanRecord, PlanState, StepRecord, StepState
from scheduler import regret
from scheduler.past import energy_of, measured, plans_of
from tests.cluster.store.builders import at, plan
from tests.cluster.store.harness import START
from tests.scheduler.stage import Stage


def history(stage: Stage) -> list[dict[str, Any]]:
    """All plans of a stage."""
    store = stage.store
    long_ago = stage.clock.now() - timedelta(days=1)
    return plans_of(store.plans(50), store.journal(1000), store.moves(), store.flags(), long_ago)


def test_what_a_real_plan_did_is_told_with_what_was_predicted() -> None:
    """A plan that spread guests: each move with its own figures, the sums over them, and how long it took."""
    stage = Stage()
    stage.run(400)
    first = history(stage)[-1]
    assert (first["policy"], first["state"]) == ("balance", "ended")
    done = [move for move in first["moves"] if move["state"] == "done"]
    assert len(done) == first["steps"]["done"] == first["measured"]["moves_done"] > 1
    facts = {fact.step: fact for fact in stage.store.moves() if fact.plan == first["id"]}
    assert {move["step"]: (move["mib"], move["seconds"]) for move in done} == {
        step: (fact.mib, round(fact.seconds, 1)) for step, fact in facts.items()
    }
    assert first["measured"]["mib"] == sum(fact.mib for fact in facts.values())
    assert first["measured"]["predicted_mib"] == sum(fact.predicted_mib for fact in facts.values())
    assert 0 < first["took_s"] <= 3 * first["planned_s"] + 10


ENDED = PlanRecord(
    replace(plan("p1", ("g1", "g2", "g3")), policy="consolidate", makespan_s=30.0),
    PlanState.ENDED,
    {
        "s1": StepRecord(StepState.DONE, at(10), 1, mib=120),
        "s2": StepRecord(StepState.FAILED, at(20), 1, mib=50),
        "z": StepRecord(StepState.DONE, at(40), 1),
    },
    "not all of it went well",
)
JOURNAL = [
    JournalEntry(at(0), "p1", "", "active", 1),
    JournalEntry(at(5), "p1", "s1", "running", 1),
    JournalEntry(at(6), "p1", "s1", "postcopy", 1),
    JournalEntry(at(10), "p1", "s1", "done", 1),
    JournalEntry(at(11), "p1", "s2", "running", 1),
    JournalEntry(at(20), "p1", "s2", "failed", 1),
    JournalEntry(at(22), "p1", "z", "running", 1),
    JournalEntry(at(40), "p1", "z", "done", 1),
]


def test_without_its_own_figures_a_moves_time_is_the_journals() -> None:
    """From its begin to its end; what failed counts as no measurement, what never began as nothing at all."""
    (one,) = plans_of([ENDED], JOURNAL, [], {}, START)
    assert [(move["state"], move["mib"], move["seconds"]) for move in one["moves"]] == [
        ("done", 120, 5.0),
        ("failed", None, None),
        ("waiting", None, None),
    ]
    assert one["steps"] == {"waiting": 1, "done": 2, "failed": 1}
    assert (one["slept"], one["woken"]) == (["a"], [])
    assert (one["why"], one["ended"]) == ("because of p1", "not all of it went well")
    assert (one["planned_s"], one["took_s"]) == (30.0, 35.0)
    assert one["measured"] == {
        "moves_done": 1,
        "predicted_mib": 100,
        "mib": 120,
        "typical_mib_error": 0.2,
        "predicted_s": 2.5,
        "seconds": 5.0,
        "typical_s_error": 1.0,
    }


def test_a_migrations_own_figures_count_before_the_journals() -> None:
    """They are without the time that passed before it was begun and seen to be over."""
    fact = MoveFact("p1", "s1", "g1", "a", "b", at(10), 100, 2.5, 118, 2.25, alone=True)
    (one,) = plans_of([ENDED], JOURNAL, [fact], {}, START)
    assert (one["moves"][0]["mib"], one["moves"][0]["seconds"]) == (118, 2.2)


def test_the_gain_that_was_kept_is_told_once_it_was_judged() -> None:
    """As the regret of the plan has it."""
    flags = {regret.PREFIX + "p1": regret.write(regret.Judgement(0.4, 0.3, 2))}
    assert plans_of([ENDED], JOURNAL, [], flags, START)[0]["kept_ratio"] == 0.75
    assert plans_of([ENDED], JOURNAL, [], {}, START)[0]["kept_ratio"] is None


def test_older_plans_are_left_out() -> None:
    """By when they were made."""
    assert plans_of([ENDED], JOURNAL, [], {}, at(0.001)) == []


def test_no_move_is_no_error() -> None:
    """Nothing measured, nothing claimed."""
    assert measured([])["typical_mib_error"] is None


def test_days_are_told_in_kwh_and_money() -> None:
    """Each by night and rest, and together; days before the first asked for are left out."""
    energy = Energy(
        seen_s=7200.0,
        asleep_host_s=3600.0,
        used_metered_j=3.6e6,
        used_modelled_j=7.2e6,
        saved_metered_j=3.6e6,
        saved_modelled_j=1.2e6,
        wakes_j=0.36e6,
        moves_j=0.04e6,
        cost=0.6,
        money_saved=0.25,
    )
    days = [
        EnergyDay("2026-11-21", START, night=energy),
        EnergyDay("2026-11-22", START, night=energy, rest=energy, currency="EUR"),
        EnergyDay("2026-11-23", START, rest=energy, currency="EUR"),
    ]
    told = energy_of(days, "2026-11-22")
    assert told["currency"] == "EUR"
    assert [day["day"] for day in told["days"]] == ["2026-11-22", "2026-11-23"]
    first, night = told["days"][0], told["days"][0]["night"]
    assert night["used_kwh"] == 3.0 and first["used_kwh"] == 6.0 and told["total"]["used_kwh"] == 9.0
    assert night["saved_kwh"] == pytest.approx(4.4 / 3.6, abs=1e-6)
    # With all on, neither wakes nor moves would have been.
    assert night["with_all_on_kwh"] == pytest.approx((10.8 + 4.8 - 0.36) / 3.6, abs=1e-6)
    assert night["taken_off_kwh"] == {"wakes": 0.1, "moves": pytest.approx(0.011111)}
    assert (night["metered_ratio"], night["seen_h"], night["asleep_host_h"]) == (0.75, 2.0, 1.0)
    assert told["total"]["money_saved"] == 0.75
