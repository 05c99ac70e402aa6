"""What a power driver is: one host's power, asked and told by one outside means (a BMC, its network, a command).

A driver is told of one host only. Whether that host may go down, who may wake it, time-outs and retries are the
executor's; a driver does what it is asked, once, and says truthfully what it saw.
"""

from __future__ import annotations

from typing import Protocol

from cluster.host import PowerState


class PowerDriver(Protocol):
    """One host's power. Every call blocks, for a few times `power.deadline_s` at most.

    Raises `HostUnreachableError` (no answer in time) or `StepError` (it answered, with a refusal or with nonsense),
    `InputError` for what is wrong with its configuration, such as the file of its secret.
    """

    sees_power: bool
    """Whether `state` tells a host that sleeps from one that is merely silent."""

    def state(self) -> PowerState:
        """Return the power state as seen now. A driver that cannot see a silent host's says `unknown`."""

    def sleep(self) -> None:
        """Ask the host to shut down or to suspend by itself, never hard. Return once that is taken on, not over."""

    def wake(self) -> None:
        """Wake the host. Return once that is taken on. Nothing happens to a host that is on."""

    def watts(self) -> float | None:
        """Return what the host draws now, or `None` where nothing here measures it."""

    def close(self) -> None:
        """Let go of connections."""
