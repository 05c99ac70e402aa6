"""Power by IPMI: the soft power button, and on again."""

from __future__ import annotations

from cluster.connections.ipmi import IpmiConnection
from cluster.host import PowerState


class IpmiDriver:
    """An `executors.power.protocol.PowerDriver` for a host behind a BMC that speaks IPMI 2.0."""

    sees_power = True

    def __init__(self, bmc: IpmiConnection) -> None:
        self._bmc = bmc

    def state(self) -> PowerState:
        """Return what the chassis says."""
        return self._bmc.power_state()

    def sleep(self) -> None:
        """Press the soft power button: the host's system shuts itself down."""
        self._bmc.shut_down()

    def wake(self) -> None:
        """Switch it on. One that is on stays so."""
        self._bmc.switch_on()

    def watts(self) -> float | None:
        """Return DCMI's reading."""
        return self._bmc.watts()

    def close(self) -> None:
        """Nothing is held open."""
