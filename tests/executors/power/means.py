"""Every driver with what it drives: a host on loopback or in memory, that may refuse, and tells what it heard."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cluster.clock import SystemClock
from cluster.config.power import BmcDriver, BmcSettings, PowerSettings, SuspendBy
from cluster.config.settings import HostSettings
from cluster.connections.libvirt_connection import LibvirtConnection
from cluster.errors import HostUnreachableError, StepError
from cluster.host import PowerState
from executors.power.protocol import PowerDriver
from executors.power.registry import Means, open_driver
from executors.power.simulated import SimulatedDriver
from tests.executors.power.redfish_service import PASSWORD, USER, Service, certificate, serve

DEADLINE_S = 1.0


@dataclass
class Rig:
    """A driver, what its host heard (`heard`), and how to make it refuse or fall silent (`None`: it cannot)."""

    driver: PowerDriver
    heard: Callable[[], list[str]]
    graceful: frozenset[str]
    refuse: Callable[[], None] | None
    silence: Callable[[], None] | None
    close: Callable[[], None] = lambda: None


def settings(driver: BmcDriver, tmp_path: Path, **keys: Any) -> BmcSettings:
    """Settings of a driver, with the password's file."""
    secret = tmp_path / "password"
    secret.write_text(PASSWORD[:20] if driver is BmcDriver.IPMI else PASSWORD, encoding="utf-8")
    secret.chmod(0o600)
    return BmcSettings(driver, user=USER, password_file=str(secret), **keys)


def made(bmc: BmcSettings, connection: object = None, retries: int = 0) -> PowerDriver:
    """The driver that the registry makes of these settings."""
    power = PowerSettings(deadline_s=DEADLINE_S, retries=retries)
    known: LibvirtConnection | None = connection  # type: ignore[assignment]  # what a driver uses of one
    return open_driver(Means(HostSettings("h1"), bmc, power, SystemClock(), known))


def redfish(tmp_path: Path, _patch: pytest.MonkeyPatch) -> Rig:
    """A Redfish service behind TLS."""
    tls = certificate(tmp_path)
    service = serve(Service(), tls)

    def refuse() -> None:
        service.refuses = 409

    def silence() -> None:
        service.hangs_s = 2.0

    bmc = settings(BmcDriver.REDFISH, tmp_path, address=service.url, ca_file=str(tls[1]))
    return Rig(made(bmc), lambda: service.asked, frozenset({"GracefulShutdown", "On"}), refuse, silence, service.close)


PROGRAM = """\
#!/bin/sh
# A program that stands for a host's power: what it was called with and what its environment was, it writes down.
here={here}
echo "$*" >>"$here/heard"
env >>"$here/environment"
cat /proc/$$/cmdline >>"$here/cmdline"
mood=$(cat "$here/mood" 2>/dev/null)
[ "$mood" = silent ] && exec sleep 60
[ "$mood" = refuses ] && {{ echo "{refusal}" >&2; exit 1; }}
{body}
"""
IPMITOOL = """\
case "$*" in
*"chassis power status") echo "Chassis Power is $(cat "$here/state" 2>/dev/null || echo on)" ;;
*"chassis power soft") echo off >"$here/state"; echo "Chassis Power Control: Soft" ;;
*"chassis power on") echo on >"$here/state"; echo "Chassis Power Control: Up/On" ;;
*"dcmi power reading") echo "    Instantaneous power reading:                   123 Watts" ;;
*) echo "Invalid chassis power command" >&2; exit 1 ;;
esac
"""
COMMAND = """\
case "$1 $2" in
"state h1") cat "$here/state" 2>/dev/null || echo on ;;
"sleep h1") echo asleep >"$here/state" ;;
"wake h1") echo on >"$here/state" ;;
"watts h1") echo 123 ;;
*) exit 2 ;;
esac
"""


def program(directory: Path, name: str, body: str, refusal: str) -> Path:
    """Write a program that stands for a host's power."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(PROGRAM.format(here=directory, body=body, refusal=refusal), encoding="utf-8")
    path.chmod(0o755)
    return path


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _moods(directory: Path) -> tuple[Callable[[], None], Callable[[], None]]:
    def refuse() -> None:
        (directory / "mood").write_text("refuses", encoding="utf-8")

    def silence() -> None:
        (directory / "mood").write_text("silent", encoding="utf-8")

    return refuse, silence


def ipmi(tmp_path: Path, patch: pytest.MonkeyPatch) -> Rig:
    """A program in ipmitool's place."""
    here = tmp_path / "ipmi"
    program(here, "ipmitool", IPMITOOL, "Set Chassis Power Control to Soft failed: Command not supported in state")
    patch.setenv("PATH", f"{here}:{os.environ['PATH']}")
    driver = made(settings(BmcDriver.IPMI, tmp_path, address="127.0.0.1:6230"))

    def heard() -> list[str]:
        return [line.partition(f" {tmp_path / 'password'} ")[2] for line in _lines(here / "heard")]

    graceful = frozenset({"chassis power status", "chassis power soft", "chassis power on", "dcmi power reading"})
    return Rig(driver, heard, graceful, *_moods(here))


def command(tmp_path: Path, _patch: pytest.MonkeyPatch) -> Rig:
    """An operator's own command."""
    here = tmp_path / "command"
    path = program(here, "host-power", COMMAND, "somebody works on this host")
    driver = made(BmcSettings(BmcDriver.COMMAND, command=(str(path),)))
    graceful = frozenset(f"{action} h1" for action in ("state", "sleep", "wake", "watts"))
    return Rig(driver, lambda: _lines(here / "heard"), graceful, *_moods(here))


@dataclass
class SuspendingLibvirt:
    """A libvirt whose host suspends for real: it falls silent, and answers again once woken."""

    up: bool = True
    refuses: bool = False
    heard: list[str] = field(default_factory=list)

    def call(self, what: str, function: Any, deadline_s: float | None = None) -> Any:
        if not self.up:
            raise HostUnreachableError("host h1: no answer in time")
        if self.refuses:
            raise StepError("host h1: cannot suspend the host: Suspend-to-Mem is not supported")
        return function(self)

    def getHostname(self) -> str:  # noqa: N802 - libvirt's name
        return "h1"

    def suspendForDuration(self, target: int, seconds: int, flags: int) -> None:  # noqa: N802 - libvirt's name
        assert (target, flags) == (0, 0)
        assert seconds >= 60
        self.heard.append("suspend to memory")
        self.up = False

    def close(self) -> None:
        """Nothing is held."""


def _suspending(libvirt: SuspendingLibvirt, driver: PowerDriver, close: Callable[[], None]) -> Rig:
    def refuse() -> None:
        libvirt.refuses = True

    return Rig(driver, lambda: libvirt.heard, frozenset({"suspend to memory", "magic packet"}), refuse, None, close)


def wake_on_lan(tmp_path: Path, patch: pytest.MonkeyPatch) -> Rig:
    """A host that libvirt suspends and a packet on loopback wakes."""
    libvirt = SuspendingLibvirt()
    card = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    card.bind(("127.0.0.1", 0))
    mac = "52:54:00:12:34:56"

    def listen() -> None:
        while data := card.recv(200):
            if data == b"\xff" * 6 + bytes.fromhex("525400123456") * 16:
                libvirt.heard.append("magic packet")
                libvirt.up = True

    threading.Thread(target=listen, daemon=True).start()
    patch.setattr("cluster.connections.magic_packet.PORT", card.getsockname()[1])
    bmc = BmcSettings(BmcDriver.WAKE_ON_LAN, mac=mac, broadcast="127.0.0.1", suspend_by=SuspendBy.LIBVIRT)

    def close() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", card.getsockname())

    return _suspending(libvirt, made(bmc, libvirt), close)


def libvirt_suspend(tmp_path: Path, _patch: pytest.MonkeyPatch) -> Rig:
    """A host that libvirt suspends for a time that is over at once when somebody waits for it."""
    libvirt = SuspendingLibvirt()
    driver = made(BmcSettings(BmcDriver.LIBVIRT), libvirt)
    wake = driver.wake

    def wait_for_it() -> None:
        wake()
        libvirt.up = True

    driver.wake = wait_for_it  # type: ignore[method-assign]  # time passes only here
    return _suspending(libvirt, driver, lambda: None)


def simulated(tmp_path: Path, _patch: pytest.MonkeyPatch) -> Rig:
    """A host that is only pretended."""
    return Rig(SimulatedDriver(SystemClock(), 0.0, 0.0), list, frozenset(), None, None)


RIGS: Mapping[BmcDriver, Callable[[Path, pytest.MonkeyPatch], Rig]] = {
    BmcDriver.REDFISH: redfish,
    BmcDriver.IPMI: ipmi,
    BmcDriver.COMMAND: command,
    BmcDriver.WAKE_ON_LAN: wake_on_lan,
    BmcDriver.LIBVIRT: libvirt_suspend,
    BmcDriver.SIMULATED: simulated,
}
DOWN = frozenset({PowerState.OFF, PowerState.ASLEEP})
