"""The lab's network: a bridge in a namespace of its own, a port for each host and one for the controller (here).

Everything hangs on the switch's process: when it ends, its namespace ends, and with it the bridge, every port and the
controller's interface. Interface names begin with `ttlab`.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.lab.processes import LabError, Spawner, end_process, wait_until

PREFIX = "ttlab"
CONTROLLER_INTERFACE = f"{PREFIX}0"
CONTROLLER_ADDRESS = "10.77.0.254"
HOST_INTERFACE = "eth0"
_PREFIX_LENGTH = 24
_BRIDGE = f"{PREFIX}-br"


def host_address(number: int) -> str:
    """Address of host `number`, from 1."""
    return f"10.77.0.{number}"


def ip_batch(lines: list[str], pid: int | None = None) -> None:
    """Run `ip` commands in order, in the network namespace of `pid` (None: this one)."""
    _checked([*_in_namespace(pid), "ip", "-batch", "-"], "\n".join(lines) + "\n")


def _in_namespace(pid: int | None) -> list[str]:
    return [] if pid is None else ["nsenter", f"--net=/proc/{pid}/ns/net"]


def _checked(argv: list[str], text: str = "") -> str:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=20)
    if done.returncode != 0:
        raise LabError(f"`{' '.join(argv)}` failed: {done.stderr.strip()}")
    return done.stdout


def leftover_interfaces() -> list[str]:
    """Interfaces of a lab in this namespace, by their name."""
    return sorted(path.name for path in Path("/sys/class/net").iterdir() if path.name.startswith(PREFIX))


def remove_leftover_interfaces() -> None:
    """Take away what `leftover_interfaces` finds."""
    for name in leftover_interfaces():
        # A dying namespace may take its interface away between the look and the deletion.
        subprocess.run(["ip", "link", "delete", name], capture_output=True, timeout=20)


class Switch:
    """A process that holds a network namespace with a bridge in it."""

    def __init__(self, spawner: Spawner) -> None:
        self._process = spawner.start(["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL)
        own = Path("/proc/self/ns/net").readlink()
        namespace = Path(f"/proc/{self._process.pid}/ns/net")
        wait_until(lambda: namespace.readlink() != own, 5, "the switch did not get a network namespace: are you root?")
        pid = self._process.pid
        ip_batch([f"link add {_BRIDGE} type bridge stp_state 0 forward_delay 0", f"link set {_BRIDGE} up"], pid)
        ip_batch([f"link add {CONTROLLER_INTERFACE} type veth peer name {PREFIX}-c netns {pid}"])
        ip_batch([f"link set {PREFIX}-c master {_BRIDGE} up"], pid)
        ip_batch(
            [
                f"addr add {CONTROLLER_ADDRESS}/{_PREFIX_LENGTH} dev {CONTROLLER_INTERFACE}",
                f"link set {CONTROLLER_INTERFACE} up",
            ]
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def attach(self, number: int, pid: int) -> None:
        """Give the namespace of `pid` an interface on the switch, its hardware address the same after a restart."""
        port = self._port(number)
        ip_batch([f"link add {port} type veth peer name {HOST_INTERFACE} netns {pid}"], self._process.pid)
        ip_batch(
            [
                f"link set {HOST_INTERFACE} address 02:77:00:00:00:{number:02x} up",
                f"addr add {host_address(number)}/{_PREFIX_LENGTH} dev {HOST_INTERFACE}",
                "link set lo up",
            ],
            pid,
        )
        ip_batch([f"link set {port} master {_BRIDGE} up"], self._process.pid)

    def detach(self, number: int) -> None:
        ip_batch([f"link delete {self._port(number)}"], self._process.pid)

    def set_link(self, number: int, *, up: bool) -> None:
        ip_batch([f"link set {self._port(number)} {'up' if up else 'down'}"], self._process.pid)

    def limit(self, number: int, pid: int, mbit_s: int | None) -> None:
        """Cap both directions of a host's link (None: no cap)."""
        for where, interface in ((pid, HOST_INTERFACE), (self._process.pid, self._port(number))):
            tc = [*_in_namespace(where), "tc", "qdisc"]
            if mbit_s is not None:
                # A burst of 10 ms at the rate, and at least one 64 KiB segment, or offloaded segments are dropped.
                burst = max(mbit_s * 1250, 70_000)
                shape = ["tbf", "rate", f"{mbit_s}mbit", "burst", f"{burst}b", "latency", "100ms"]
                _checked([*tc, "replace", "dev", interface, "root", *shape])
            elif '"tbf"' in _checked([*_in_namespace(where), "tc", "-j", "qdisc", "show", "dev", interface]):
                _checked([*tc, "delete", "dev", interface, "root"])

    def close(self) -> None:
        end_process(self._process)

    @staticmethod
    def _port(number: int) -> str:
        return f"{PREFIX}-p{number}"


def link_bytes(pid: int) -> tuple[int, int]:
    """(received, sent) bytes of the host's interface since it was attached."""
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines():
        name, _, figures = line.partition(":")
        if name.strip() == HOST_INTERFACE:
            fields = figures.split()
            return int(fields[0]), int(fields[8])
    return 0, 0
