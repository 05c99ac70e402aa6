"""BMC emulators of lab hosts: Redfish by sushy-tools over TLS, IPMI by OpenIPMI's `ipmi_sim`; both turn real power.

with Bmcs(lab, {"lab-2": "redfish", "lab-3": "ipmi"}) as bmcs:
    bmcs.of("lab-2").address, bmcs.switch.mood("lab-3", Mood.LIES)
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scheduler.cli.authority import CA_CERT, HostNames, make_authority, make_host
from tests.lab.hosts import LabHost
from tests.lab.lab import Lab
from tests.lab.power_switch import PowerSwitch
from tests.lab.processes import LabError, end_process, wait_until

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
USER, PASSWORD = "trimtab", "lab-secret"
REDFISH, IPMI = "redfish", "ipmi"
CIPHER_SUITE = 3
"""The strongest that `ipmi_sim` knows; ipmitool must be told, it cannot ask this emulator."""
_READY_S = 20

_LAN_CONF = """\
name "{name}"
set_working_mc 0x20
  startlan 1
    addr {address} {port}
    priv_limit admin
    allowed_auths_callback md5
    allowed_auths_user md5
    allowed_auths_operator md5
    allowed_auths_admin md5
    guid {guid}
  endlan
  chassis_control "{program}"
  user 2 true "{user}" "{password}" admin 10 md5
"""
_COMMANDS = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
mc_enable 0x20
"""


def emulators_missing() -> str | None:
    """Say what this machine lacks for the emulators; `None` when they can run."""
    for tool, package in (("ipmi_sim", "openipmi"), ("ipmitool", "ipmitool"), ("openssl", "openssl")):
        if shutil.which(tool) is None:
            return f"the lab's BMCs need `{tool}`: install the Debian package {package}"
    try:
        import sushy_tools  # noqa: F401
    except ImportError:
        return "the lab's BMCs need the Python package sushy-tools: run `make setup`"
    return None


@dataclass(frozen=True, slots=True)
class Bmc:
    """How one host's BMC is reached: `port` is TCP for Redfish, UDP for IPMI; the password is in a file."""

    kind: str
    host: LabHost
    port: int
    password_file: Path
    ca_file: Path

    @property
    def address(self) -> str:
        """Base URL for Redfish, host and port for IPMI."""
        return f"https://{LOOPBACK}:{self.port}" if self.kind == REDFISH else f"{LOOPBACK}:{self.port}"

    @property
    def system(self) -> str:
        """The Redfish id of the host."""
        return self.host.uuid

    def entry(self) -> dict[str, object]:
        """The `bmc` table of the host's `[[hosts]]` entry."""
        common = {"driver": self.kind, "address": self.address, "user": USER, "password_file": str(self.password_file)}
        if self.kind == REDFISH:
            return {**common, "system": self.system, "ca_file": str(self.ca_file)}
        return {**common, "cipher_suite": CIPHER_SUITE}


class Bmcs:
    """The emulators of a lab, one process per host, and the switch behind them. They end with it, and with the lab."""

    def __init__(
        self, lab: Lab, kinds: Mapping[str, str], on_boot: Callable[[LabHost], None] = lambda _host: None
    ) -> None:
        self._lab = lab
        self._kinds = dict(kinds)
        self._processes: dict[str, subprocess.Popen[Any]] = {}
        self._bmcs: dict[str, Bmc] = {}
        self.directory = lab.directory / "bmc"
        self.switch = PowerSwitch(lab, on_boot)

    def of(self, host: str) -> Bmc:
        """The BMC of a host."""
        return self._bmcs[host]

    def pids(self) -> list[int]:
        """Process ids of the emulators."""
        return [process.pid for process in self._processes.values()]

    def kill(self, host: str) -> None:
        """Take a BMC off the network for good."""
        end_process(self._processes[host])

    def __enter__(self) -> Self:
        if (missing := emulators_missing()) is not None:
            raise LabError(missing)
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir()
        self.switch.__enter__()
        try:
            password_file = self.directory / "password"
            password_file.write_text(f"{PASSWORD}\n")
            password_file.chmod(0o600)
            make_authority(self.directory / "ca", 2)
            for name, kind in self._kinds.items():
                start = {REDFISH: self._start_redfish, IPMI: self._start_ipmi}[kind]
                (self.directory / name).mkdir()
                port = _free_port(socket.SOCK_STREAM if kind == REDFISH else socket.SOCK_DGRAM)
                bmc = Bmc(kind, self._lab.host(name), port, password_file, self.directory / "ca" / CA_CERT)
                self._bmcs[name] = bmc
                self._processes[name] = start(bmc, self.directory / name)
            for bmc in self._bmcs.values():
                self._wait_ready(bmc)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            end_process(process)
        self._processes.clear()
        self.switch.__exit__(kind, error, trace)

    # -- starting --------------------------------------------------------------------------------------------------
    def _start_redfish(self, bmc: Bmc, directory: Path) -> subprocess.Popen[Any]:
        import bcrypt

        pki = directory / "pki"
        make_host(self.directory / "ca", pki, HostNames(bmc.host.name, (LOOPBACK,)), 2)
        (directory / "users").write_text(f"{USER}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n")
        system = {"uuid": bmc.host.uuid, "name": bmc.host.name, "power_state": "On", "nics": []}
        config = {
            "LAB_SWITCH_PORT": self.switch.port,
            "SUSHY_EMULATOR_LISTEN_IP": LOOPBACK,
            "SUSHY_EMULATOR_LISTEN_PORT": bmc.port,
            "SUSHY_EMULATOR_SSL_CERT": str(pki / "etc/pki/libvirt/servercert.pem"),
            "SUSHY_EMULATOR_SSL_KEY": str(pki / "etc/pki/libvirt/private/serverkey.pem"),
            "SUSHY_EMULATOR_AUTH_FILE": str(directory / "users"),
            "SUSHY_EMULATOR_STATE_DIR": str(directory),
            "SUSHY_EMULATOR_FAKE_SYSTEMS": [system],
        }
        (directory / "config.json").write_text(json.dumps(config))
        return self._start([sys.executable, "-m", "tests.lab.redfish_emulator", str(directory / "config.json")], bmc)

    def _start_ipmi(self, bmc: Bmc, directory: Path) -> subprocess.Popen[Any]:
        turn = Path(__file__).with_name("turn_switch.py")
        program = f"{sys.executable} -S {turn} {self.switch.port} {bmc.host.name}"
        guid = bmc.host.uuid.replace("-", "")
        values = {"name": bmc.host.name, "address": LOOPBACK, "port": bmc.port, "guid": guid, "program": program}
        (directory / "lan.conf").write_text(_LAN_CONF.format(user=USER, password=PASSWORD, **values))
        (directory / "commands").write_text(_COMMANDS)
        files = ["-c", str(directory / "lan.conf"), "-f", str(directory / "commands"), "-s", str(directory)]
        return self._start(["ipmi_sim", *files, "-n"], bmc)

    def _start(self, argv: list[str], bmc: Bmc) -> subprocess.Popen[Any]:
        with (self.directory / f"{bmc.host.name}.log").open("wb") as log:
            return self._lab.spawner.start(argv, cwd=str(ROOT), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _wait_ready(self, bmc: Bmc) -> None:
        def answers() -> bool:
            if self._processes[bmc.host.name].poll() is not None:
                raise LabError(f"the BMC of {bmc.host.name} ended: {self.said(bmc.host.name)}")
            return _listens(bmc)

        wait_until(answers, _READY_S, f"the BMC of {bmc.host.name} does not answer in {_READY_S} s", 0.1)

    def said(self, host: str) -> str:
        """What a host's emulator has printed."""
        return (self.directory / f"{host}.log").read_text(errors="replace")[-2000:]


def ipmitool(bmc: Bmc, *words: str) -> subprocess.CompletedProcess[str]:
    """Ask an IPMI BMC something by hand."""
    reach = ["-I", "lanplus", "-H", LOOPBACK, "-p", str(bmc.port), "-C", str(CIPHER_SUITE), "-N", "1", "-R", "2"]
    secret = ["-U", USER, "-f", str(bmc.password_file)]
    return subprocess.run(["ipmitool", *reach, *secret, *words], capture_output=True, text=True, timeout=30)


def _listens(bmc: Bmc) -> bool:
    if bmc.kind == IPMI:
        return ipmitool(bmc, "mc", "info").returncode == 0
    try:
        socket.create_connection((LOOPBACK, bmc.port), timeout=1).close()
    except OSError:
        return False
    return True


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
