"""Power that is only pretended: a host that goes down and comes up after the times given, for trials and tests."""

from __future__ import annotations

from cluster.clock import Clock
from cluster.host import PowerState


class SimulatedDriver:
    """An `executors.power.protocol.PowerDriver` of a host that exists in memory alone, on at first."""

    sees_power = True

    def __init__(self, clock: Clock, sleep_s: float = 30.0, wake_s: float = 180.0) -> None:
        self._clock = clock
        self._sleep_s = sleep_s
        self._wake_s = wake_s
        self._is_on = True
        self._until_s = 0.0

    def state(self) -> PowerState:
        """Return the state; on while it goes down, as a BMC would say."""
        if self._clock.monotonic_s() >= self._until_s:
            return PowerState.ON if self._is_on else PowerState.OFF
        return PowerState.WAKING if self._is_on else PowerState.ON

    def sleep(self) -> None:
        """Begin to go down."""
        self._change(False, self._sleep_s)

    def wake(self) -> None:
        """Begin to come up."""
        self._change(True, self._wake_s)

    def watts(self) -> float | None:
        """Measure nothing."""
        return None

    def close(self) -> None:
        """Nothing is held open."""

    def _change(self, to_on: bool, lasting_s: float) -> None:
        if self._is_on is not to_on:
            self._is_on, self._until_s = to_on, self._clock.monotonic_s() + lasting_s
