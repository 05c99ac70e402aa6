"""What every store promises about the days' energy."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from cluster.errors import FencedError
from cluster.store.bounds import ENERGY_DAYS_KEPT
from cluster.store.protocol import Store
from tests.cluster.store.harness import Harness


def lead(store: Store, holder: str = "one") -> int:
    """Take leadership and return its token."""
    lease = store.acquire_lease(holder, 60.0)
    assert lease is not None
    return lease.token


def test_days_come_back_oldest_first_and_a_day_once(harness: Harness) -> None:
    """Whatever the order of writing; a day written again replaces itself; for every client."""
    token = lead(harness.store)
    for day, text in (("2026-11-23", "b"), ("2026-11-22", "a"), ("2026-11-24", "c"), ("2026-11-23", '{"é": 1}')):
        harness.store.put_energy_day(day, text, token)
    kept = harness.other.energy_days(10)
    assert list(kept.items()) == [("2026-11-22", "a"), ("2026-11-23", '{"é": 1}'), ("2026-11-24", "c")]
    assert list(harness.other.energy_days(1)) == ["2026-11-24"]
    assert harness.other.energy_days(0) == {}


def test_only_the_leader_writes_days(harness: Harness) -> None:
    """A leader that was replaced cannot put back what the new one has counted on."""
    old = lead(harness.store)
    harness.store.put_energy_day("2026-11-22", "old", old)
    lease = harness.store.acquire_lease("one", 60.0)
    assert lease is not None
    harness.store.release_lease(lease)
    with pytest.raises(FencedError):
        harness.store.put_energy_day("2026-11-22", "nobody's", old)
    new = lead(harness.other, "two")
    harness.other.put_energy_day("2026-11-22", "new", new)
    with pytest.raises(FencedError):
        harness.store.put_energy_day("2026-11-22", "old again", old)
    assert harness.store.energy_days(1) == {"2026-11-22": "new"}


def test_the_oldest_days_fall_out(harness: Harness) -> None:
    """No more than the bound are held."""
    token, first = lead(harness.store), date(2026, 1, 1)
    days = [str(first + timedelta(days=number)) for number in range(ENERGY_DAYS_KEPT + 2)]
    for day in days:
        harness.store.put_energy_day(day, "x", token)
    assert list(harness.store.energy_days(10_000)) == days[2:]
