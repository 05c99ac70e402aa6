"""Leadership in one process: what its own clock says, and what other threads do meanwhile."""

from __future__ import annotations

from cluster.store.memory import MemoryStore
from cluster.store.protocol import Lease
from scheduler.leadership import Leadership
from tests.executors.world import ManualClock


def test_leadership_given_up_is_not_taken_again() -> None:
    """A thread that still renews while the process ends must not keep the next scheduler waiting."""
    clock = ManualClock()
    store = MemoryStore(clock)
    ours = Leadership(store, "ours", 15.0, clock)
    assert ours.keep() is not None
    ours.release()
    assert ours.keep() is None
    assert store.acquire_lease("the next", 15.0) is not None


def test_leadership_given_up_while_it_is_renewed_is_given_up() -> None:
    """The renewal was on its way when another thread let go: what it brings is handed back."""
    clock = ManualClock()
    store = MemoryStore(clock)

    class Slow(MemoryStore):
        """The same store, slow to answer."""

        def acquire_lease(self, holder: str, ttl_s: float) -> Lease | None:
            ours.release()
            return store.acquire_lease(holder, ttl_s)

        def release_lease(self, lease: Lease) -> None:
            store.release_lease(lease)

    ours = Leadership(Slow(clock), "ours", 15.0, clock)
    assert ours.keep() is None
    assert ours.lease is None
    assert store.acquire_lease("the next", 15.0) is not None


def test_leadership_is_over_by_our_clock_before_it_is_by_the_stores() -> None:
    """Between the two nobody acts."""
    clock = ManualClock()
    store = MemoryStore(clock)
    ours = Leadership(store, "ours", 15.0, clock)
    ours.keep()
    clock.sleep(10.5)
    assert ours.lease is None
    assert store.acquire_lease("another", 15.0) is None
