"""Planning by the last hour: its mean, and never less than what is used now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cluster.guest import Guest, Usage
from cluster.history import SLOT_S, UsageRing, ring_of, slot_of
from cluster.host import Host
from cluster.snapshot import Snapshot
from scheduler.energy.outlook import RECENT_SLOTS, recent_outlook

NOW = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)


def seen(use: int, past: list[int | None]) -> tuple[Snapshot, dict[str, UsageRing]]:
    """One guest with its use now and the slots before."""
    guest = Guest("g", "h", 2, 1024, Usage(use))
    first = slot_of(NOW - timedelta(seconds=SLOT_S * len(past)))
    return Snapshot("s", NOW, (Host("h", 8000, 65536),), (guest,)), {"g": ring_of(first, past)}


@given(use=st.integers(0, 2000), past=st.lists(st.integers(0, 2000), max_size=40))
def test_a_guest_is_planned_at_the_higher_of_now_and_its_last_hour(use: int, past: list[int]) -> None:
    """Whatever was before that hour."""
    snapshot, rings = seen(use, list(past))
    lately = past[-(RECENT_SLOTS - 1) :]
    mean = -(-sum(lately) // len(lately)) if lately else 0
    outlook = recent_outlook(snapshot, rings, 3600.0)
    assert outlook.shares(3) == {"g": max(use, mean)}
    assert outlook.total_millicores.tolist() == [max(use, mean)] * 12


def test_without_history_it_is_present_use() -> None:
    """A guest that just came is what it shows."""
    snapshot, _ = seen(700, [])
    assert recent_outlook(snapshot, {"g": UsageRing()}, 600.0).shares(1) == {"g": 700}
