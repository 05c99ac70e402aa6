"""All simulated hosts measured one after the other, through the same reporters that real hosts use."""

from __future__ import annotations

from cluster.clock import Clock
from cluster.config.settings import CollectSettings
from cluster.errors import HostUnreachableError
from cluster.store.protocol import Store
from collectors.reporter import Reporter
from simulator.collector import SimCollector
from simulator.world import World


class SimFleet:
    """Reports every simulated host that answers. Nothing runs in the background, so virtual time stays in charge."""

    def __init__(self, world: World, store: Store, clock: Clock, settings: CollectSettings) -> None:
        self._store = store
        self._ttl_s = settings.report_ttl_s
        self._reporters = [
            Reporter(SimCollector(world, host), clock, "simulated", settings.smoothing_s)
            for host in sorted(world.hosts)
        ]

    def collect(self) -> dict[str, str]:
        """Report every host that answers; return those that do not, each with the reason."""
        silent = {}
        for reporter in self._reporters:
            try:
                reporter.publish(reporter.report(), self._store, self._ttl_s)
            except HostUnreachableError as error:
                silent[reporter.host] = str(error)
        return silent

    def close(self) -> None:
        """Nothing is held open."""
