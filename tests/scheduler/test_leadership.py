"""Leadership: counted out by the scheduler's own clock before the store lets another lead."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cluster.errors import StoreUnavailableError
from cluster.store.memory import MemoryStore
from cluster.store.protocol import Lease
from scheduler.leadership import Leadership
from simulator.clock import SimClock

LEASE_S = 15.0


class SlowStore(MemoryStore):
    """A store whose answer to a wish for the lease takes a while, or that is gone."""

    answer_after_s = 0.0
    gone = False

    def __init__(self, clock: SimClock) -> None:
        super().__init__(clock)
        self.clock = clock

    def acquire_lease(self, holder: str, ttl_s: float) -> Lease | None:
        if self.gone:
            raise StoreUnavailableError("store: gone")
        lease = super().acquire_lease(holder, ttl_s)
        self.clock.advance(self.answer_after_s)
        return lease


@pytest.fixture
def clock() -> SimClock:
    """A clock moved by hand."""
    return SimClock(datetime(2026, 11, 23, tzinfo=UTC))


def leads(one: Leadership) -> bool:
    """Whether it may act now."""
    return one.lease is not None


def test_it_ends_here_before_it_ends_in_the_store(clock: SimClock) -> None:
    """After two thirds of the lease this scheduler holds back, while nobody else can lead yet."""
    store = MemoryStore(clock)
    one, other = (Leadership(store, name, LEASE_S, clock) for name in ("one", "other"))
    assert one.keep() is not None
    clock.advance(LEASE_S * 2 / 3 - 0.01)
    assert leads(one)
    clock.advance(0.02)
    assert not leads(one)
    assert other.keep() is None
    clock.advance(LEASE_S / 3)
    assert other.keep() is not None


def test_it_counts_from_before_the_store_was_asked(clock: SimClock) -> None:
    """An answer that took long shortens it: the store counts from somewhere in between."""
    store = SlowStore(clock)
    store.answer_after_s = LEASE_S * 2 / 3
    one = Leadership(store, "one", LEASE_S, clock)
    one.keep()
    assert not leads(one)


def test_renewing_keeps_the_token_and_a_takeover_raises_it(clock: SimClock) -> None:
    """The same holder goes on under its token; who comes after has a greater one."""
    store = MemoryStore(clock)
    one, other = (Leadership(store, name, LEASE_S, clock) for name in ("one", "other"))
    first = one.keep()
    clock.advance(5)
    assert one.keep() == first and first is not None
    assert (other.keep(), other.lease) == (None, None)
    clock.advance(LEASE_S + 1)
    second = other.keep()
    assert second is not None and second.token > first.token
    assert one.keep() is None and not leads(one)


def test_a_store_that_is_gone_does_not_end_it_early(clock: SimClock) -> None:
    """The error passes through; what is held counts until its own time is up."""
    store = SlowStore(clock)
    one = Leadership(store, "one", LEASE_S, clock)
    one.keep()
    store.gone = True
    clock.advance(5)
    with pytest.raises(StoreUnavailableError):
        one.keep()
    assert leads(one)
    clock.advance(6)
    assert not leads(one)


def test_given_up_another_leads_at_once(clock: SimClock) -> None:
    """Nobody has to wait for a lease that was released, and it does not come back by itself."""
    store = MemoryStore(clock)
    one, other = (Leadership(store, name, LEASE_S, clock) for name in ("one", "other"))
    one.keep()
    one.release()
    assert not leads(one)
    assert other.keep() is not None
    assert one.keep() is None


def test_given_up_while_it_is_renewed_it_is_given_up(clock: SimClock) -> None:
    """The renewal was on its way when another thread let go: what it brings is handed back."""

    class Interrupted(MemoryStore):
        """A store during whose answer the lease is given up."""

        def acquire_lease(self, holder: str, ttl_s: float) -> Lease | None:
            if holder == "one":
                one.release()
            return super().acquire_lease(holder, ttl_s)

    store = Interrupted(clock)
    one = Leadership(store, "one", LEASE_S, clock)
    assert one.keep() is None and not leads(one)
    assert store.acquire_lease("other", LEASE_S) is not None
