"""A store keeps a bounded journal: the oldest entries and plans fall out, whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.migration.learned import MoveFact
from cluster.plan import PlanState, StepState
from cluster.store.memory import MemoryStore
from cluster.store.protocol import Store
from cluster.store.redis_store import RedisStore
from cluster.store.server import RedisServer
from tests.cluster.store.builders import at, plan, record
from tests.cluster.store.harness import START, ManualClock
from tests.cluster.store.redis_process import RedisProcess


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def small(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Each back end, keeping four journal entries, two plans and the figures of three migrations."""
    if request.param == "memory":
        yield MemoryStore(ManualClock(), journal_kept=4, plans_kept=2, moves_kept=3)
        return
    process = request.getfixturevalue("redis_process")
    assert isinstance(process, RedisProcess)
    server = RedisServer("tests", 5.0, {"unix_socket_path": str(process.socket)})
    server.call("FLUSHALL")
    store = RedisStore(server, journal_kept=4, plans_kept=2, moves_kept=3)
    yield store
    store.close()


def token_of(store: Store) -> int:
    """Take leadership and return the token."""
    lease = store.acquire_lease("one", 60)
    assert lease is not None
    return lease.token


def test_the_oldest_plans_fall_out_with_their_steps(small: Store) -> None:
    """A plan that fell out is unknown, and opened again it has no steps of its former life."""
    token = token_of(small)
    small.open_plan(plan("p1"), PlanState.ACTIVE, token, START)
    small.write_step("p1", "s1", StepState.WAITING, record(StepState.DONE, token))
    small.set_plan_state("p1", PlanState.ENDED, token, at(2), "")
    for name in ("p2", "p3"):
        small.open_plan(plan(name), PlanState.WAITING, token, at(3))
    assert [held.plan.id for held in small.plans(9)] == ["p3", "p2"]
    assert small.plan("p1") is None
    small.open_plan(plan("p1"), PlanState.ACTIVE, token, at(4))
    held = small.plan("p1")
    assert held is not None and held.steps == {}


def test_the_oldest_journal_entries_fall_out(small: Store) -> None:
    """The latest entries stay, in order."""
    token = token_of(small)
    for number in range(7):
        small.open_plan(plan(f"p{number}"), PlanState.WAITING, token, at(number))
    assert [entry.plan for entry in small.journal(99)] == ["p3", "p4", "p5", "p6"]


def test_the_oldest_figures_of_migrations_fall_out(small: Store) -> None:
    """Learning needs the latest few, not all there ever were."""
    for number in range(7):
        small.record_move(MoveFact("p", f"s{number}", "g", "a", "b", START, 100, 2.5, 120, 3.25, alone=True))
    assert [fact.step for fact in small.moves()] == ["s4", "s5", "s6"]
