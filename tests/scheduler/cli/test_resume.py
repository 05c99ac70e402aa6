"""`trimtab resume --guest`: a guest that rests may be tried again at once."""

from __future__ import annotations

from datetime import UTC, datetime

from cluster.migration.backoff import after_failure, flag_of
from cluster.store.memory import MemoryStore
from tests.scheduler.cli.conftest import Call


def test_resume_ends_the_rest_of_a_guest_that_did_not_converge(trimtab: Call, store: MemoryStore) -> None:
    """And of no other."""
    for guest in ("g0", "g1"):
        store.set_flag(flag_of(guest), after_failure(None, datetime(2026, 11, 23, tzinfo=UTC)))
    assert trimtab("resume", "--guest", "g0").status == 0
    assert list(store.flags()) == [flag_of("g1")]
    assert trimtab("resume", "--guest", "g0").status == 1
