"""Power by Redfish: a graceful shutdown, and on again."""

from __future__ import annotations

from cluster.connections.redfish import RedfishConnection
from cluster.host import PowerState


class RedfishDriver:
    """An `executors.power.protocol.PowerDriver` for a host behind a Redfish service."""

    sees_power = True

    def __init__(self, bmc: RedfishConnection) -> None:
        self._bmc = bmc

    def state(self) -> PowerState:
        """Return what the service says."""
        return self._bmc.power_state()

    def sleep(self) -> None:
        """Shut the host's system down gracefully."""
        self._bmc.shut_down()

    def wake(self) -> None:
        """Switch it on, unless it is on: some services refuse that as an error."""
        if self._bmc.power_state() is not PowerState.ON:
            self._bmc.switch_on()

    def watts(self) -> float | None:
        """Return the chassis' reading."""
        return self._bmc.watts()

    def close(self) -> None:
        """Nothing is held open."""
