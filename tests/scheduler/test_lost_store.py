"""A store that is gone: said once, not taken for peace by a scheduler that has lost the lease with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from cluster.clock import SystemClock
from cluster.config.settings import Settings
from cluster.errors import StoreUnavailableError
from cluster.store.memory import MemoryStore
from executors.dry_run import DryRunMigrationExecutor
from scheduler.daemon import Daemon
from scheduler.loop import Job, Loop
from scheduler.parts import Parts


class GoneStore(MemoryStore):
    """A store that does not answer."""

    def ping(self) -> None:
        raise StoreUnavailableError("store: gone")


@pytest.mark.parametrize("job", ["tick", "publish"])
def test_without_lease_and_store_a_job_has_not_gone_well(job: str) -> None:
    """A scheduler that cannot even tell whether another leads says so instead of resting content."""
    clock = SystemClock()
    parts = Parts(GoneStore(clock), None, DryRunMigrationExecutor(clock), None)
    loop = Loop(parts, Settings(), clock, "a", lambda _line: None)
    with pytest.raises(StoreUnavailableError):
        getattr(loop, job)()


class Jobs:
    """What the daemon needs of a loop: jobs that are run, and an end when asked to."""

    def __init__(self, jobs: tuple[Job, ...]) -> None:
        self._jobs = jobs

    def jobs(self) -> tuple[Job, ...]:
        return self._jobs

    def stop_starting(self) -> None: ...

    def is_idle_here(self) -> bool:
        return True


def test_a_lost_store_is_said_once_however_each_call_puts_it() -> None:
    """Refused here, no answer there: one line; another when all jobs work again."""
    back = False

    def failing(text: str) -> Callable[[], Any]:
        def run() -> None:
            if not back:
                raise StoreUnavailableError(text)

        return run

    def comes_back() -> None:
        nonlocal back
        back = True

    jobs = (
        Job("lease", 0.05, failing("store: connection refused")),
        Job("cycle", 0.05, failing("store: no answer")),
        Job("end", 0.05, comes_back),
    )
    said: list[str] = []
    Daemon(cast(Loop, Jobs(jobs)), said.append, lambda _loop: None).run(for_s=0.5)
    assert said == ["store: connection refused; not acting until it is back", "all is well again"]
