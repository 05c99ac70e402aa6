"""What is noted of migrations: those that went as planned, with what they took; the loop keeps it and plans by it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cluster.migration.learned import MoveFact, learn
from cluster.plan import Estimate, Migrate
from executors.events import Event, EventKind
from scheduler.learning import MoveNotes
from tests.scheduler.stage import Stage

START = datetime(2026, 11, 23, tzinfo=UTC)
FIRST = Migrate("s1", "g1", "a", "b", "", Estimate(1000, 20.0, 40, 0.99, 400, mib_ratio=1.25))
SECOND = replace(FIRST, id="s2", guest="g2")


def at(seconds: float) -> datetime:
    """Return the moment this long after the start."""
    return START + timedelta(seconds=seconds)


def event(kind: EventKind, step: Migrate, seconds: float, state: str = "running") -> Event:
    """Return an event of a step."""
    return Event(kind, at(seconds), "p", "", state, step, mib=1100)


def noted(*events: Event) -> list[MoveFact]:
    """Return the facts that events make, in order."""
    notes = MoveNotes()
    return [fact for one in events if (fact := notes.note(one)) is not None]


def test_a_migration_that_went_well_is_a_fact() -> None:
    """As predicted, factors included, and as measured; the time is the journal's where libvirt gives none."""
    started, ended = event(EventKind.STARTED, FIRST, 0), event(EventKind.ENDED, FIRST, 30, "done")
    fact = MoveFact("p", "s1", "g1", "a", "b", at(30), 1000, 20.0, 1100, 30.0, alone=True, mib_ratio=1.25)
    assert noted(started, ended) == [fact]
    assert noted(started, replace(ended, seconds=28.5)) == [replace(fact, seconds=28.5)]


def test_what_did_not_go_as_planned_is_no_lesson() -> None:
    """Failed, adopted, helped by a rung of the ladder, without figures, or never seen to begin."""
    started, ended = event(EventKind.STARTED, FIRST, 0), event(EventKind.ENDED, FIRST, 30, "done")
    assert noted(started, replace(ended, state="failed")) == []
    assert noted(event(EventKind.ADOPTED, FIRST, 0), ended) == []
    assert noted(started, event(EventKind.RUNG, FIRST, 9), ended) == []
    assert noted(started, replace(ended, mib=0)) == []
    assert noted(ended) == []
    assert noted(started, Event(EventKind.PLAN_ENDED, at(9), "p", ""), ended) == []


def test_who_shared_a_link_was_not_alone() -> None:
    """At any time of either; migrations between other hosts, or one after the other, do not count."""
    elsewhere = replace(SECOND, source="c", target="d")
    for other, alone in ((SECOND, False), (replace(SECOND, target="c"), False), (elsewhere, True)):
        facts = noted(
            event(EventKind.STARTED, FIRST, 0),
            event(EventKind.STARTED, other, 5),
            event(EventKind.ENDED, other, 9, "done"),
            event(EventKind.ENDED, FIRST, 30, "done"),
        )
        assert [fact.alone for fact in facts] == [alone, alone]
    facts = noted(
        event(EventKind.STARTED, FIRST, 0),
        event(EventKind.ENDED, FIRST, 30, "done"),
        event(EventKind.STARTED, SECOND, 31),
        event(EventKind.ENDED, SECOND, 60, "done"),
    )
    assert [fact.alone for fact in facts] == [True, True]


def test_facts_teach_the_next_prediction() -> None:
    """A tenth more than a prediction that had a quarter on top already."""
    facts = noted(event(EventKind.STARTED, FIRST, 0), event(EventKind.ENDED, FIRST, 30, "done"))
    assert 1 < learn(facts).correction("g1", "a", "b").mib_ratio < 1.25 * 1.1
    many = [replace(facts[0], plan=f"p{number}") for number in range(9)]
    assert learn(many).correction("g1", "a", "b").mib_ratio > 1.25


def test_the_loop_keeps_what_its_migrations_took() -> None:
    """One fact for each migration done, close to what the pretend cluster's own physics made of it."""
    stage = Stage()
    stage.run(300)
    facts = stage.store.moves()
    assert {fact.guest for fact in facts} == set(stage.store.last_moves())
    assert len(facts) == len(stage.store.last_moves()) > 1
    for fact in facts:
        assert 0.8 < fact.predicted_mib / fact.mib < 1.25
        assert abs(fact.predicted_s - fact.seconds) < 0.25 * fact.seconds + 1
