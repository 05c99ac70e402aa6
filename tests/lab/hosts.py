"""A lab host: namespaces of its own held by a reaping first process, with libvirtd and QEMU running inside.

`kill` is a power failure (nothing says goodbye on the wire), `restart` a fresh boot from the host's own disk: its
persistent guests are still defined, autostart guests start, the boot id is new.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.lab import network
from tests.lab.host_files import BOOT_SCRIPT, LIBVIRTD_CONF, OWN_DIRECTORIES, QEMU_CONF
from tests.lab.processes import HostProcess, LabError, Spawner, child_pids, end_process, wait_until

if TYPE_CHECKING:
    import libvirt

LIBVIRT_PORT = 16509
_NAMESPACE = uuid.UUID("2a1c7a52-6c0e-5f0e-9c3f-6b1b7d1f5a10")
_LIBVIRTD_S = 20
_LIBVIRTD_GRACE_S = 3
_SHUT_DOWN_S = 4
_KEEPALIVE_INTERVAL_S = 1
_KEEPALIVE_COUNT = 3


class LabHost:
    """One libvirt host of the lab."""

    def __init__(
        self,
        name: str,
        number: int,
        directory: Path,
        spawner: Spawner,
        switch: network.Switch,
        link_mbit_s: int | None = None,
    ) -> None:
        self.name = name
        self.number = number
        self.address = network.host_address(number)
        self.uri = f"qemu+tcp://{self.address}/system"
        self.uuid = str(uuid.uuid5(_NAMESPACE, name))
        self.directory = directory
        self._spawner = spawner
        self._switch = switch
        self._holder: subprocess.Popen[Any] | None = None
        self._first_pid = 0
        self._libvirtd: HostProcess | None = None
        self._programs: list[HostProcess] = []
        self._link_mbit_s = link_mbit_s

    @property
    def up(self) -> bool:
        """The host has power; libvirtd may still be stopped or the network cut."""
        return self._holder is not None and self._holder.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the host's first process, as seen from outside; meaningless while it is down."""
        return self._first_pid

    @property
    def libvirtd_up(self) -> bool:
        return self.up and self._libvirtd is not None and self._libvirtd.poll() is None

    @property
    def libvirtd_pid(self) -> int:
        """Process id of the running libvirtd's holder: another after each start. 0 while it is down."""
        return self._libvirtd.pid if self._libvirtd is not None and self.libvirtd_up else 0

    @property
    def boot_id(self) -> str:
        return (self.directory / "boot_id").read_text().strip()

    @property
    def pki(self) -> Path:
        """Where its QEMU looks for a migration's certificates, seen from outside; empty unless a test fills it."""
        return self.directory / "etc" / "pki"

    def install(self, hosts_file: str) -> None:
        """Write the host's own files; done once, they survive `kill` and `restart`."""
        for name in OWN_DIRECTORIES:
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        # libvirtd does not start where its directory of certificates is missing.
        self.pki.mkdir(exist_ok=True)
        values = {
            "address": self.address,
            "host_uuid": self.uuid,
            "interval": _KEEPALIVE_INTERVAL_S,
            "count": _KEEPALIVE_COUNT,
        }
        (self.directory / "etc" / "libvirtd.conf").write_text(LIBVIRTD_CONF.format(**values))
        (self.directory / "etc" / "qemu.conf").write_text(QEMU_CONF.format(**values))
        (self.directory / "hosts").write_text(hosts_file)

    def boot(self) -> None:
        """Power on: namespaces, network, libvirtd started (not waited for: see `wait_ready`)."""
        if self.up:
            raise LabError(f"{self.name} is running already")
        (self.directory / "boot_id").write_text(f"{uuid.uuid4()}\n")
        binds = "\n".join(f'mount --bind "$2/{name}" {place}' for name, place in OWN_DIRECTORIES.items())
        script = BOOT_SCRIPT.format(binds=binds)
        isolate = ["unshare", "--mount", "--uts", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"]
        with (self.directory / "boot.log").open("ab") as log:
            holder = self._spawner.start(
                [*isolate, "tini", "-s", "--", "sh", "-c", script, "boot", self.name, str(self.directory)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self._holder = holder
        assert holder.stdout is not None
        if holder.stdout.readline() != b"ready\n":
            end_process(holder)
            raise LabError(f"{self.name} did not boot: {self._tail('boot.log')}")
        self._first_pid = child_pids(holder.pid)[0]
        self._switch.attach(self.number, self._first_pid)
        if self._link_mbit_s is not None:
            self._switch.limit(self.number, self._first_pid, self._link_mbit_s)
        self._launch_libvirtd()

    def wait_ready(self) -> None:
        """Return when libvirtd answers on the network and locally."""
        failure = f"libvirtd of {self.name} did not answer in {_LIBVIRTD_S} s"
        try:
            wait_until(self._listens, _LIBVIRTD_S, failure)
        except LabError as error:
            raise LabError(f"{error}: {self._tail('libvirtd.log')}") from None

    def kill(self) -> None:
        """Power failure: the link goes first, so that no peer gets a closing packet; then all inside is killed."""
        if self._holder is None or not self.up:
            return
        self._switch.detach(self.number)
        os.kill(self._first_pid, signal.SIGKILL)
        self._wake_programs()
        self._holder.wait(20)
        assert self._holder.stdout is not None
        self._holder.stdout.close()
        if self._libvirtd is not None:
            self._libvirtd.wait(20)
        self._holder = self._libvirtd = None

    def shut_down(self) -> None:
        """Let the operating system end: every program is asked to and given a moment, then the power goes."""
        # The child that the first process waits for is left: when it ends, everything is killed at once.
        boot = {self._first_pid, *child_pids(self._first_pid)[:1]}
        deadline_s = time.monotonic() + _SHUT_DOWN_S
        asked: set[int] = set()
        while (running := set(self._pids()) - boot) and time.monotonic() < deadline_s:
            for pid in running - asked:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            asked |= running
            time.sleep(0.05)
        self.kill()

    def restart(self) -> None:
        """Power off where it is on, then a fresh boot; returns when libvirtd answers."""
        self.kill()
        self.boot()
        self.wait_ready()

    def run(self, argv: list[str], **popen: Any) -> HostProcess:
        """Start a program inside the host (as `subprocess.Popen`); signals reach it, and the host's end kills it."""
        if not self.up:
            raise LabError(f"{self.name} is down")
        program = self._spawner.start_inside(self._first_pid, argv, **popen)
        self._programs = [running for running in self._programs if running.returncode is None] + [program]
        return program

    def open(self) -> libvirt.virConnect:
        """A connection that does not use the lab's network: it works while the network is cut. The caller closes it."""
        import libvirt

        if not self.libvirtd_up:
            raise LabError(f"libvirtd of {self.name} is down")
        return libvirt.open(f"qemu+unix:///system?socket={self._root}/run/libvirt/libvirt-sock")

    def stop_libvirtd(self) -> None:
        """Stop libvirtd alone; the guests go on. It is killed if it does not end (a migration under way keeps it)."""
        if self._libvirtd is not None:
            self._libvirtd.terminate()
            try:
                self._libvirtd.wait(_LIBVIRTD_GRACE_S)
            except subprocess.TimeoutExpired:
                end_process(self._libvirtd)
            self._libvirtd = None

    def start_libvirtd(self) -> None:
        if not self.libvirtd_up:
            self._launch_libvirtd()
            self.wait_ready()

    def cut_network(self) -> None:
        """Pull the cable: packets are lost without a word."""
        self._switch.set_link(self.number, up=False)

    def restore_network(self) -> None:
        self._switch.set_link(self.number, up=True)

    def limit_link(self, mbit_s: int | None) -> None:
        """Cap the host's link in both directions (None: no cap); a restart keeps it."""
        self._link_mbit_s = mbit_s
        if self.up:
            self._switch.limit(self.number, self._first_pid, mbit_s)

    def link_bytes(self) -> tuple[int, int]:
        """(received, sent) bytes of the host's interface since it booted; (0, 0) while it is down."""
        return network.link_bytes(self._first_pid) if self.up else (0, 0)

    def pause(self) -> None:
        """Freeze every process of the host (a host that hangs): addresses answer, programs do not."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)
        self._wake_programs()

    def qemus(self) -> dict[str, int]:
        """Process id (seen from outside) of each guest's QEMU in this host, running or hung, by guest name."""
        found = {}
        for pid in self._pids():
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"qemu-system" in words[0] and b"-name" in words:
                name = words[words.index(b"-name") + 1].decode()
                found[name.removeprefix("guest=").split(",")[0]] = pid
        return found

    @property
    def _root(self) -> str:
        return f"/proc/{self._first_pid}/root"

    def _pids(self) -> list[int]:
        if not self.up:
            return []
        try:
            own = Path(f"/proc/{self._first_pid}/ns/pid").readlink()
        except OSError:
            return []  # its power was switched off in between
        found = []
        for path in Path("/proc").iterdir():
            try:
                if path.name.isdigit() and (path / "ns" / "pid").readlink() == own:
                    found.append(int(path.name))
            except OSError:
                continue
        return sorted(found)

    def _signal_all(self, sig: int) -> None:
        for pid in self._pids():
            if pid != self._first_pid:
                os.kill(pid, sig)

    def _wake_programs(self) -> None:
        for program in self._programs:
            program.wake()

    def _launch_libvirtd(self) -> None:
        with (self.directory / "libvirtd.log").open("ab") as log:
            self._libvirtd = self.run(["libvirtd", "-l"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")

    def _listens(self) -> bool:
        if self._libvirtd is None or self._libvirtd.poll() is not None:
            raise LabError(f"libvirtd of {self.name} ended")
        try:
            socket.create_connection((self.address, LIBVIRT_PORT), timeout=2).close()
            with socket.socket(socket.AF_UNIX) as local:
                local.connect(f"{self._root}/run/libvirt/libvirt-sock")
        except OSError:
            return False
        return True

    def _tail(self, name: str) -> str:
        path = self.directory / name
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return " | ".join(lines[-5:]) or f"nothing in {path}"
