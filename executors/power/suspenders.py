"""Ways to have a host without a BMC suspend itself, and to see whether it answers. They see no host that sleeps."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Protocol

from cluster.connections.host_port import host_and_port
from cluster.connections.libvirt_connection import LibvirtConnection
from cluster.connections.program import run_program
from cluster.errors import HostUnreachableError, StepError
from cluster.host import PowerState

if TYPE_CHECKING:
    import libvirt

SUSPEND_TO_MEMORY = 0  # virNodeSuspendTarget: VIR_NODE_SUSPEND_TARGET_MEM
SSH_PORT = 22
SSH_FAILED = 255
SUSPEND = ("systemctl", "suspend")


class Suspender(Protocol):
    """Tells one host to suspend. Raises `HostUnreachableError` or `StepError`."""

    def suspend(self) -> None:
        """Let the host suspend to memory; return once it has taken that on."""

    def state(self) -> PowerState:
        """Return `on` for a host that answers and `unknown` for one that does not."""

    def close(self) -> None:
        """Let go of connections."""


class LibvirtSuspender:
    """Suspends by virNodeSuspendForDuration: the host's own clock wakes it `sleep_for_s` later at the latest."""

    def __init__(self, connection: LibvirtConnection, sleep_for_s: float, deadline_s: float) -> None:
        self._connection = connection
        self._sleep_for_s = int(sleep_for_s)
        self._deadline_s = deadline_s

    def suspend(self) -> None:
        """Suspend; libvirt does it some seconds after it has answered."""

        def ask(connection: libvirt.virConnect) -> None:
            connection.suspendForDuration(SUSPEND_TO_MEMORY, self._sleep_for_s, 0)

        self._connection.call("suspend the host", ask, self._deadline_s)

    def state(self) -> PowerState:
        """Ask for its name."""
        try:
            self._connection.call("say its name", lambda it: it.getHostname(), self._deadline_s)
        except HostUnreachableError:
            return PowerState.UNKNOWN
        return PowerState.ON

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class SshSuspender:
    """Suspends by `systemctl suspend` over SSH: no questions asked, and only at a host whose key is known."""

    def __init__(self, host: str, address: str, user: str, identity_file: str, deadline_s: float) -> None:
        self._who = f"host {host}"
        self._name, self._port = host_and_port(address, SSH_PORT)
        self._user = user
        self._identity_file = identity_file
        self._deadline_s = deadline_s

    def suspend(self) -> None:
        """Suspend. The line may break while it answers: that is told as unreachable."""
        ended = run_program(self._who, self.arguments(), self._deadline_s)
        if ended.status == SSH_FAILED:
            raise HostUnreachableError(f"{self._who}: ssh to {self._name} failed: {ended.said}")
        if ended.status != 0:
            raise StepError(f"{self._who}: '{' '.join(SUSPEND)}' ended with {ended.status}: {ended.said}")

    def state(self) -> PowerState:
        """Knock at the port of SSH."""
        try:
            socket.create_connection((self._name, self._port), self._deadline_s).close()
        except OSError:
            return PowerState.UNKNOWN
        return PowerState.ON

    def close(self) -> None:
        """Nothing is held open."""

    def arguments(self) -> tuple[str, ...]:
        """Return the arguments of ssh."""
        words = ["ssh", "-n", "-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
        words += ["-o", f"ConnectTimeout={max(1, int(self._deadline_s))}"]
        words += ["-p", str(self._port)]
        words += ["-i", self._identity_file, "-o", "IdentitiesOnly=yes"] if self._identity_file else []
        words += ["-l", self._user] if self._user else []
        return (*words, "--", self._name, *SUSPEND)
