"""Power by suspending and Wake-on-LAN: the host suspends itself, a packet on its network wakes it."""

from __future__ import annotations

from cluster.connections.magic_packet import send_magic_packet
from cluster.host import PowerState
from executors.power.suspenders import Suspender


class WakeOnLanDriver:
    """An `executors.power.protocol.PowerDriver` for a host whose network card wakes it."""

    sees_power = False

    def __init__(self, host: str, mac: str, broadcast: str, suspender: Suspender) -> None:
        self._host = host
        self._mac = mac
        self._broadcast = broadcast
        self._suspender = suspender

    def state(self) -> PowerState:
        """Return `on` for a host that answers and `unknown` for one that does not."""
        return self._suspender.state()

    def sleep(self) -> None:
        """Let it suspend."""
        self._suspender.suspend()

    def wake(self) -> None:
        """Send the packet; nothing tells whether it arrived."""
        send_magic_packet(self._host, self._mac, self._broadcast)

    def watts(self) -> float | None:
        """Measure nothing."""
        return None

    def close(self) -> None:
        """Let go of what suspends it."""
        self._suspender.close()
