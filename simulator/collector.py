"""Collectors that look at a pretend cluster."""

from __future__ import annotations

from cluster.report import Observation
from simulator.world import World


class SimCollector:
    """A `collectors.protocol.Collector` on one host of a world."""

    def __init__(self, world: World, host: str) -> None:
        self._world = world
        self._host = host

    @property
    def host(self) -> str:
        return self._host

    def collect(self) -> Observation:
        return self._world.observe(self._host)

    def close(self) -> None:
        """Nothing is held."""
