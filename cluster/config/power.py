"""Settings of hosts' power: the `[power]` section, and the `bmc` table of a `[[hosts]]` entry. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BmcDriver(StrEnum):
    """What a host is put to sleep and woken by."""

    REDFISH = "redfish"
    IPMI = "ipmi"
    WAKE_ON_LAN = "wake_on_lan"
    LIBVIRT = "libvirt"
    COMMAND = "command"
    SIMULATED = "simulated"


class SuspendBy(StrEnum):
    """Who tells a host to suspend that is woken over its network."""

    LIBVIRT = "libvirt"
    SSH = "ssh"


class StartsBlocked(StrEnum):
    """Whether a host may go down that cannot keep guests from being started on it meanwhile."""

    REQUIRED = "required"
    PREFER = "prefer"


class WakeTest(StrEnum):
    """Whether a host has to have passed a wake test before it is put to sleep."""

    REQUIRED = "required"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class PowerSettings:
    """How hosts are put to sleep and woken, and when that counts as failed."""

    deadline_s: float = 10.0
    retries: int = 2
    sleep_timeout_s: float = 600.0
    wake_timeout_s: float = 900.0
    look_s: float = 30.0
    agent_timeout_s: float = 60.0
    starts_blocked: StartsBlocked = StartsBlocked.PREFER
    wake_test: WakeTest = WakeTest.REQUIRED
    wake_test_days: float = 30.0
    wake_tests_per_night: int = 1


@dataclass(frozen=True, slots=True)
class BmcSettings:
    """How one host's power is reached. Which keys count depends on the driver; secrets are in files.

    `sleep_for_s`: after how long a host that libvirt suspends wakes by its own clock.
    """

    driver: BmcDriver
    address: str = ""
    user: str = ""
    password_file: str = ""
    cipher_suite: int = 17
    verify_tls: bool = True
    ca_file: str = ""
    system: str = ""
    mac: str = ""
    broadcast: str = "255.255.255.255"
    suspend_by: SuspendBy = SuspendBy.LIBVIRT
    identity_file: str = ""
    sleep_for_s: float = 28800.0
    command: tuple[str, ...] = ()
