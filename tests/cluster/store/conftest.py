"""Back ends under test: the reference in memory, and a real Redis on a Unix socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.config.settings import StoreSettings
from cluster.store.memory import MemoryStore
from cluster.store.open import open_store
from tests.cluster.store.harness import Harness, ManualClock, real_time
from tests.cluster.store.redis_process import PROGRAM, WHY_SKIPPED, RedisProcess


@pytest.fixture(scope="session")
def redis_process() -> Iterator[RedisProcess]:
    """One server for the whole session."""
    if PROGRAM is None:
        pytest.skip(WHY_SKIPPED)
    process = RedisProcess()
    process.start()
    yield process
    process.remove()


@pytest.fixture
def redis_harness(redis_process: RedisProcess) -> Iterator[Harness]:
    """An empty Redis with two clients."""
    with redis_process.client() as client:
        client.flushall()
    settings = StoreSettings(url=redis_process.url)
    first, second = open_store(settings, ManualClock()), open_store(settings, ManualClock())
    yield Harness(first, second, real_time)
    first.close()
    second.close()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def harness(request: pytest.FixtureRequest) -> Harness:
    """Each back end in turn, empty."""
    if request.param == "redis":
        found = request.getfixturevalue("redis_harness")
        assert isinstance(found, Harness)
        return found
    clock = ManualClock()
    store = MemoryStore(clock)
    return Harness(store, store, clock.sleep)
