"""Many hands at one store at once: each thing is given to exactly one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cluster.errors import ConflictError
from cluster.plan import PlanState, StepState
from cluster.store.protocol import Command, Store
from tests.cluster.store.builders import at, plan, record, report
from tests.cluster.store.harness import START, Harness

HANDS = 8


def at_once(harness: Harness, work: Callable[[Store, int], object]) -> list[object]:
    """Let every hand do its work at the same moment, half of them through the other client."""
    ready = threading.Barrier(HANDS)

    def run(hand: int) -> object:
        ready.wait(10)
        return work(harness.store if hand % 2 else harness.other, hand)

    with ThreadPoolExecutor(HANDS) as pool:
        return list(pool.map(run, range(HANDS)))


def test_one_of_many_gets_the_lease(harness: Harness) -> None:
    """Contending for a free lease, one wins and the others learn that they did not."""
    leases = at_once(harness, lambda store, hand: store.acquire_lease(f"hand-{hand}", harness.long_s))
    assert len([lease for lease in leases if lease is not None]) == 1


def test_each_command_is_taken_by_one(harness: Harness) -> None:
    """Pushed and taken by many at once, no command is lost and none is taken twice."""

    def work(store: Store, hand: int) -> list[str]:
        taken = []
        for number in range(20):
            store.push_command(Command(f"{hand}-{number}", "drain", "a", "ann", at(0)))
            taken += [command.id for command in store.take_commands()]
        return taken

    taken = [command for commands in at_once(harness, work) for command in commands]  # type: ignore[attr-defined]
    taken += [command.id for command in harness.store.take_commands()]
    assert sorted(taken) == sorted(f"{hand}-{number}" for hand in range(HANDS) for number in range(20))


def test_a_step_is_started_by_one(harness: Harness) -> None:
    """Of many that saw a step waiting, one starts it."""
    lease = harness.store.acquire_lease("one", harness.long_s)
    assert lease is not None
    harness.store.open_plan(plan("p"), PlanState.ACTIVE, lease.token, START)

    def work(store: Store, hand: int) -> bool:
        try:
            store.write_step("p", "s1", StepState.WAITING, record(StepState.RUNNING, lease.token))
        except ConflictError:
            return False
        return True

    assert at_once(harness, work).count(True) == 1
    assert len(harness.store.journal(99)) == 2


def test_the_newest_of_many_reports_stays(harness: Harness) -> None:
    """However reports race, the one with the greatest order is held in the end."""
    at_once(harness, lambda store, hand: [store.put_report(report("a", hand % 3, n), 60) for n in range(hand, 20)])
    assert harness.store.reports() == (report("a", 2, 19),)
