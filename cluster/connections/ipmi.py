"""IPMI 2.0 over the network as a host's power needs it, by the program `ipmitool`: status, on, soft, watts.

Nothing else can be asked of it: there is no way here to switch a host off hard. The password goes by a file, so that it
stands neither in the program's arguments nor in its environment.
"""

from __future__ import annotations

import re

from cluster.config.power import BmcSettings
from cluster.connections.host_port import host_and_port
from cluster.connections.program import Ended, run_program
from cluster.connections.secret_file import read_secret
from cluster.errors import HostUnreachableError, StepError
from cluster.host import PowerState

PROGRAM = "ipmitool"
PORT = 623  # RMCP+, UDP
TRY_S = 1
MOST_PASSWORD_BYTES = 20
"""What IPMI 2.0 holds of a password (specification 2.0, 22.30); ipmitool cuts a longer one off."""

STATUS = ("chassis", "power", "status")
SWITCH_ON = ("chassis", "power", "on")
SHUT_DOWN = ("chassis", "power", "soft")  # by ACPI: the host's system shuts itself down
WATTS = ("dcmi", "power", "reading")

_STATE = re.compile(r"^Chassis Power is (on|off)\s*$", re.IGNORECASE | re.MULTILINE)
_WATTS = re.compile(r"Instantaneous power reading:\s*(\d{1,6}) Watts", re.IGNORECASE)
_NO_SESSION = re.compile(r"unable to establish|timed? ?out|could not open|address lookup", re.IGNORECASE)


class IpmiConnection:
    """One host's BMC by IPMI. `host` is how messages name the host.

    Every method raises `HostUnreachableError` (no session by the deadline), `StepError` (it refused, or answered with
    what makes no sense), `InputError` for its password's file or where the program is not installed.
    """

    def __init__(self, host: str, bmc: BmcSettings, deadline_s: float) -> None:
        self._host = host
        self._bmc = bmc
        self._deadline_s = deadline_s

    def power_state(self) -> PowerState:
        """Return on or off, as the chassis says."""
        said = self._ask(STATUS)
        if (found := _STATE.search(said.out)) is None:
            raise StepError(f"host {self._host}: its BMC answers what is not understood: {said.said}")
        return PowerState.ON if found[1].lower() == "on" else PowerState.OFF

    def shut_down(self) -> None:
        """Ask the host's operating system to shut down. Return once the BMC has taken it on."""
        self._ask(SHUT_DOWN)

    def switch_on(self) -> None:
        """Switch the host on. Return once the BMC has taken it on."""
        self._ask(SWITCH_ON)

    def watts(self) -> float | None:
        """Return what the host draws by DCMI, or `None` where its BMC does not say."""
        try:
            found = _WATTS.search(self._ask(WATTS).out)
        except StepError:
            return None  # DCMI is an extension: a BMC without it refuses the command
        # A BMC without a sensor, or with the host off, says 0.
        return float(found[1]) if found is not None and int(found[1]) > 0 else None

    def arguments(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """Return the program's arguments for a command."""
        host, port = host_and_port(self._bmc.address, PORT)
        words = [PROGRAM, "-I", "lanplus", "-H", host, "-p", str(port)]
        words += ["-C", str(self._bmc.cipher_suite)]
        # The least privilege that may switch power, and so few tries that the program itself says why it gives up.
        tries = max(1, int(self._deadline_s / TRY_S / 2) - 1)
        words += ["-U", self._bmc.user, "-L", "OPERATOR", "-N", str(TRY_S), "-R", str(tries)]
        return (*words, "-f", self._bmc.password_file, *command)

    def _ask(self, command: tuple[str, ...]) -> Ended:
        who = f"host {self._host}"
        password = read_secret(f"{who}: bmc.password_file", self._bmc.password_file)
        if len(password.encode()) > MOST_PASSWORD_BYTES:
            raise StepError(f"{who}: bmc.password_file holds more than the {MOST_PASSWORD_BYTES} bytes that IPMI takes")
        ended = run_program(who, self.arguments(command), self._deadline_s)
        if ended.status == 0:
            return ended
        if _NO_SESSION.search(ended.err):
            raise HostUnreachableError(
                f"{who}: its BMC {self._bmc.address} does not let user {self._bmc.user} in, or does not answer: "
                f"{ended.said}"
            )
        raise StepError(f"{who}: its BMC refuses '{' '.join(command)}': {ended.said}")
