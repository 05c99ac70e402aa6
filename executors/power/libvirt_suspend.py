"""Power by libvirt alone: the host is suspended for a time and wakes by its own clock; nothing wakes it before."""

from __future__ import annotations

from cluster.host import PowerState
from executors.power.suspenders import Suspender


class LibvirtSuspendDriver:
    """An `executors.power.protocol.PowerDriver` for a host that nothing reaches while it sleeps."""

    sees_power = False

    def __init__(self, suspender: Suspender) -> None:
        self._suspender = suspender

    def state(self) -> PowerState:
        """Return `on` for a host that answers and `unknown` for one that does not."""
        return self._suspender.state()

    def sleep(self) -> None:
        """Suspend it for the configured time."""
        self._suspender.suspend()

    def wake(self) -> None:
        """Do nothing: it wakes when its time is over, or the step that waits for it fails."""

    def watts(self) -> float | None:
        """Measure nothing."""
        return None

    def close(self) -> None:
        """Let go of libvirt."""
        self._suspender.close()
