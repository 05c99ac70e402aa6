"""What every store promises about the figures of finished migrations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.migration.learned import MoveFact
from cluster.store.server import ROOT
from tests.cluster.store.builders import at
from tests.cluster.store.harness import Harness
from tests.cluster.store.redis_process import RedisProcess

FACT = MoveFact("p1", "s1", "g1", "a", "b", at(1.000001), 100, 2.5, 120, 3.25, alone=True, mib_ratio=1.25)


def test_what_migrations_took_comes_back_oldest_first(harness: Harness) -> None:
    """Every field survives, for every client; a fact is no part of any plan and needs no lease."""
    assert harness.store.moves() == ()
    second = replace(FACT, step="s2", alone=False, bandwidth_ratio=0.5, at=at(9))
    harness.store.record_move(FACT)
    harness.store.record_move(second)
    assert harness.other.moves() == (FACT, second)


@pytest.mark.redis
def test_a_fact_that_cannot_be_read_is_passed_over(redis_harness: Harness, redis_process: RedisProcess) -> None:
    """Another version's words do not keep this one from planning."""
    redis_harness.store.record_move(FACT)
    with redis_process.client() as client:
        for text in ("no JSON", "[]", '{"plan": "p1"}', '{"at": 7}'):
            client.rpush(f"{ROOT}moves", text)
    redis_harness.store.record_move(FACT)
    assert redis_harness.store.moves() == (FACT, FACT)
