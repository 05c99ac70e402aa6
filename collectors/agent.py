"""The agent: looks at its own host each interval and pushes what it saw to the store, for ever.

Host and store are two links that may be lost separately. A lost one is tried again with growing pauses, and said once
when it is lost and once when it is back. Looks never pile up: the next begins an interval after the last began, or at
once when that took longer.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from contextlib import suppress

from cluster.clock import Clock
from cluster.config.settings import Settings
from cluster.errors import HostUnreachableError, StoreUnavailableError
from cluster.report import Report
from cluster.store.protocol import Store
from collectors.protocol import Collector
from collectors.reporter import Reporter
from collectors.system import boot_id

LONGEST_PAUSE_S = 60.0
FIRST_PAUSE_S = 1.0

_log = logging.getLogger("trimtab.agent")


Errand = Callable[[Store], None]
"""Something else that an agent does for its host each round, before it reports. `StoreUnavailableError`."""


def no_errand(_store: Store) -> None:
    """Do nothing else."""


class Link:
    """Something that may be lost and come back, tried with pauses that double."""

    def __init__(self, name: str, clock: Clock, say: Callable[[str], None]) -> None:
        self._name = name
        self._clock = clock
        self._say = say
        self._failures = 0
        self._lost_s = 0.0
        self._next_try_s = 0.0

    @property
    def rest_s(self) -> float:
        """Seconds until it may be tried again; 0 or less: now."""
        return self._next_try_s - self._clock.monotonic_s() if self._failures else 0.0

    def works(self) -> None:
        """Note that it has answered."""
        if self._failures:
            self._say(f"{self._name}: back after {self._clock.monotonic_s() - self._lost_s:.0f} s")
        self._failures = 0

    def failed(self, error: Exception) -> None:
        """Note that it has not."""
        now_s = self._clock.monotonic_s()
        if not self._failures:
            self._lost_s = now_s
            self._say(f"{self._name}: lost, trying again until it is back: {error}")
        self._failures += 1
        self._next_try_s = now_s + min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (self._failures - 1))


class Agent:
    """One host's agent. `step` does one round; the caller waits in between. Not for use by several threads."""

    def __init__(
        self,
        settings: Settings,
        reporter: Reporter,
        store_factory: Callable[[], Store],
        clock: Clock,
        say: Callable[[str], None] = _log.warning,
        errand: Errand = no_errand,
    ) -> None:
        self._errand = errand
        self._collect = settings.collect
        self._reporter = reporter
        self._store_factory = store_factory
        self._clock = clock
        self._store: Store | None = None
        self._say = say
        self._accepted = True
        self._host_link = Link(f"host {reporter.host}", clock, say)
        self._store_link = Link("store", clock, say)
        # Agents started together drift apart, each in its own repeatable way.
        self._random = random.Random(reporter.host)

    def step(self) -> float:
        """Look and push, as far as host and store answer; return for how many seconds to wait."""
        began_s = self._clock.monotonic_s()
        if self._host_link.rest_s <= 0:
            try:
                report = self._reporter.report()
            except HostUnreachableError as error:
                self._host_link.failed(error)
            else:
                self._host_link.works()
                self._push(report)
        jitter = 1.0 + self._collect.jitter_ratio * self._random.uniform(-1.0, 1.0)
        wait_s = began_s + self._collect.interval_s * jitter - self._clock.monotonic_s()
        return max(0.0, wait_s, self._host_link.rest_s)

    def close(self) -> None:
        """Push the history gathered, if the store answers, and let go of everything."""
        if self._store is not None:
            with suppress(StoreUnavailableError):
                self._reporter.flush(self._store)
        self._drop_store()
        self._reporter.collector.close()

    def _push(self, report: Report) -> None:
        if self._store_link.rest_s > 0:
            return
        try:
            if self._store is None:
                self._store = self._store_factory()
            # First: who waits for the host to report may act on it at once.
            self._errand(self._store)
            accepted = self._reporter.publish(report, self._store, self._collect.report_ttl_s)
        except StoreUnavailableError as error:
            self._drop_store()
            self._store_link.failed(error)
        else:
            self._store_link.works()
            self._note_accepted(accepted)

    def _note_accepted(self, accepted: bool) -> None:
        if self._accepted and not accepted:
            self._say(
                f"host {self._reporter.host}: the store holds a newer report from another agent; "
                "stop the other one, or set this host's clock right"
            )
        self._accepted = accepted

    def _drop_store(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with suppress(StoreUnavailableError):
                store.close()


def run_agent(
    settings: Settings,
    host_id: str,
    collector: Collector,
    store_factory: Callable[[], Store],
    clock: Clock,
    stop: threading.Event,
    say: Callable[[str], None] = _log.warning,
    errand: Errand = no_errand,
) -> None:
    """Run until `stop` is set. The collector and the store that the factory opens are closed at the end.

    Raises `InputError` where the store's settings are wrong; a host or a store that does not answer is waited for.
    """
    reporter = Reporter(collector, clock, boot_id(), settings.collect.smoothing_s)
    agent = Agent(settings, reporter, store_factory, clock, say, errand)
    say(f"host {host_id}: reporting every {settings.collect.interval_s:g} s")
    try:
        while not stop.is_set():
            stop.wait(agent.step())
    finally:
        agent.close()
