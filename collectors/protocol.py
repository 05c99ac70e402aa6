"""What a collector is: something that looks at one host and says what it saw."""

from __future__ import annotations

from typing import Protocol

from cluster.report import Observation


class Collector(Protocol):
    """Looks at one host. Kept between calls, since rates come from two looks."""

    @property
    def host(self) -> str:
        """Id of the host it looks at."""

    def collect(self) -> Observation:
        """Look once, within the collector's own deadline. `HostUnreachableError` when the host does not answer."""

    def close(self) -> None:
        """Let go of connections."""
