"""The lab: several real libvirt hosts on this machine, with a switch between them, that leave nothing behind.

    with Lab(hosts=3) as lab:
        guest = lab.guest("web-1", "lab-1", cpu_millicores=50, dirty_mib_s=4)

Needs root. One lab at a time on a machine (a lock file). Everything hangs on parent-death signals of this process, so a
SIGKILL of the tests ends it too; interfaces left by a lab that could not end are removed by the next.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from tests.lab import bootimage, network
from tests.lab.guests import LabGuest, domain_xml, guest_signature, metadata_xml
from tests.lab.hosts import LabHost
from tests.lab.needs import lab_missing
from tests.lab.processes import LabError, Spawner, kill_leftovers

if TYPE_CHECKING:
    import libvirt

_STATE = Path("/var/tmp/trimtab-lab")


class Lab:
    """Hosts `lab-1` to `lab-N`, the controller (this namespace) at 10.77.0.254, and their guests.

    `directory` keeps the hosts' files and logs (default: a temporary one, removed by `stop`); not under /run.
    """

    controller_address = network.CONTROLLER_ADDRESS

    def __init__(self, hosts: int = 3, directory: Path | None = None, link_mbit_s: int | None = None) -> None:
        self._count = hosts
        self._given_directory = directory
        self._link_mbit_s = link_mbit_s
        self._lock: IO[str] | None = None
        self._spawner: Spawner | None = None
        self._switch: network.Switch | None = None
        self._connections: dict[str, tuple[int, libvirt.virConnect]] = {}
        self.hosts: list[LabHost] = []
        self.guests: dict[str, LabGuest] = {}
        self.directory = directory or Path()

    @property
    def spawner(self) -> Spawner:
        """Starts processes of this namespace that end with the lab."""
        if self._spawner is None:
            raise LabError("the lab is not started")
        return self._spawner

    def start(self, wait_for_lock_s: float = 0) -> Self:
        """Bring every host up; LabError when a lab runs already, or when a host does not come up."""
        missing = lab_missing()
        if missing:
            raise LabError(missing)
        _STATE.mkdir(exist_ok=True)
        self._lock = _take_lock(_STATE / "lock", wait_for_lock_s)
        try:
            kill_leftovers(_STATE / "pids")
            network.remove_leftover_interfaces()
            for old in _STATE.glob("lab-*"):
                shutil.rmtree(old, ignore_errors=True)
            self._spawner = Spawner(_STATE / "pids")
            self.directory = (self._given_directory or Path(tempfile.mkdtemp(prefix="lab-", dir=_STATE))).resolve()
            (self.directory / "boot").mkdir(parents=True, exist_ok=True)
            self._switch = network.Switch(self._spawner)
            self._boot_hosts(self._switch)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Power everything off and remove it; harmless when it is off already."""
        self._connections.clear()
        for host in self.hosts:
            host.kill()
        self.hosts = []
        self.guests = {}
        if self._switch is not None:
            self._switch.close()
            self._switch = None
            network.remove_leftover_interfaces()
        if self._spawner is not None:
            self._spawner.close()
            self._spawner = None
            if self._given_directory is None:
                shutil.rmtree(self.directory, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        return self if self._lock is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __iter__(self) -> Iterator[LabHost]:
        return iter(self.hosts)

    def host(self, name: str) -> LabHost:
        for host in self.hosts:
            if host.name == name:
                return host
        raise LabError(f"the lab has no host {name!r}")

    def connection(self, name: str) -> libvirt.virConnect:
        """A connection to a host that the lab owns and keeps; do not close it."""
        host = self.host(name)
        libvirtd, kept = self._connections.get(name, (0, None))
        if kept is None or libvirtd != host.libvirtd_pid:
            kept = host.open()
            self._connections[name] = (host.libvirtd_pid, kept)
        return kept

    def guest(
        self,
        name: str,
        host: str | LabHost,
        *,
        memory_mib: int = 128,
        vcpus: int = 1,
        cpu_millicores: int = 0,
        dirty_mib: int = 16,
        dirty_mib_s: float = 0,
        filled_mib: int | None = None,
        labels: Mapping[str, str] | None = None,
        migration: Mapping[str, str] | None = None,
        ignore: bool = False,
        metadata: str = "",
        devices: str = "",
        autostart: bool = False,
        start: bool = True,
    ) -> LabGuest:
        """Define a persistent guest, start it, and wait until it counts.

        Dials: `cpu_millicores` spent spinning (on top of a few for the timer), `dirty_mib_s` written round and round
        over `dirty_mib` MiB, `filled_mib` (default: `dirty_mib`) of pages that are not zero. `metadata` and `devices`
        are XML put in as they are.
        """
        filled = max(dirty_mib, filled_mib or 0)
        if memory_mib < filled + 2 * bootimage.HOT_OFFSET_MIB:
            raise LabError(f"guest {name}: {memory_mib} MiB of memory cannot hold {filled} MiB of filled pages")
        signature = guest_signature(name)
        dials = bootimage.Dials(cpu_millicores, bootimage.pages_per_tick(dirty_mib_s), dirty_mib, filled)
        image = self.directory / "boot" / f"{name}.bin"
        image.write_bytes(bootimage.build(signature, dials))
        own = metadata_xml(labels or {}, migration or {}, ignore=ignore)
        xml = domain_xml(name, image, memory_mib=memory_mib, vcpus=vcpus, metadata=own + metadata, devices=devices)
        domain = self.connection(host if isinstance(host, str) else host.name).defineXML(xml)
        domain.setAutostart(1 if autostart else 0)
        guest = self.guests[name] = LabGuest(self, name, signature)
        if start:
            domain.create()
            guest.wait_booted()
        return guest

    def where(self, name: str) -> list[str]:
        """Hosts where the guest *runs* (vCPUs not stopped), sorted; where libvirtd is down, a QEMU counts."""
        import libvirt

        found = []
        for host in self.hosts:
            if host.libvirtd_up:
                domain = self._lookup(host.name, name)
                if domain is not None and domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING:
                    found.append(host.name)
            elif name in host.qemus():
                found.append(host.name)
        return sorted(found)

    def defined(self, name: str) -> list[str]:
        """Hosts where the guest has a persistent definition, sorted; hosts without libvirtd cannot say."""
        found = []
        for host in self.hosts:
            if host.libvirtd_up:
                domain = self._lookup(host.name, name)
                if domain is not None and domain.isPersistent():
                    found.append(host.name)
        return sorted(found)

    def qemus(self, name: str) -> dict[str, int]:
        """QEMU processes of a guest by host, whatever libvirt says; during a migration there are two."""
        return {host.name: pids[name] for host in self.hosts if name in (pids := host.qemus())}

    def pids(self) -> list[int]:
        """The processes that hold the switch and the hosts that are up; everything else of the lab hangs on them."""
        switch = [self._switch.pid] if self._switch is not None else []
        return [*switch, *(host.pid for host in self.hosts if host.up)]

    def clear(self) -> None:
        """Back to empty hosts in working order: guests gone, hosts up, network whole, caps as the lab was made."""
        for host in self.hosts:
            if not host.up:
                host.boot()
            host.resume()
            for pid in host.qemus().values():
                os.kill(pid, signal.SIGKILL)
            host.restore_network()
            host.limit_link(self._link_mbit_s)
        for host in self.hosts:
            host.start_libvirtd()
            host.wait_ready()
            self._undefine_all(host.name)
        self.guests = {}

    def logs(self) -> str:
        """What every host's libvirtd said, for a failing test."""
        parts = []
        for host in self.hosts:
            for path in sorted([*host.directory.glob("*.log"), *host.directory.glob("log/qemu/*.log")]):
                parts.append(f"--- {host.name} {path.name}\n{path.read_text(errors='replace')[-1500:]}")
        return "\n".join(parts)

    def _boot_hosts(self, switch: network.Switch) -> None:
        names = [f"lab-{number}" for number in range(1, self._count + 1)]
        lines = [f"{network.host_address(number)} {name}" for number, name in enumerate(names, 1)]
        hosts_file = "\n".join(["127.0.0.1 localhost", *lines, f"{network.CONTROLLER_ADDRESS} lab-controller", ""])
        for number, name in enumerate(names, 1):
            host = LabHost(name, number, self.directory / name, self.spawner, switch, self._link_mbit_s)
            host.install(hosts_file)
            self.hosts.append(host)
            host.boot()
        for host in self.hosts:
            host.wait_ready()

    def _lookup(self, host: str, name: str) -> libvirt.virDomain | None:
        """By listing, because libvirt writes a line on stderr for each name it does not find."""
        return next((domain for domain in self.connection(host).listAllDomains() if domain.name() == name), None)

    def _undefine_all(self, host: str) -> None:
        import libvirt

        for domain in self.connection(host).listAllDomains():
            for applies, remove in ((domain.isActive, domain.destroy), (domain.isPersistent, domain.undefine)):
                try:
                    if applies():
                        remove()
                except libvirt.libvirtError as error:
                    # Its QEMU was killed a moment ago: libvirt may drop it between the look and the call.
                    if error.get_error_code() not in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID):
                        raise


def _take_lock(path: Path, wait_s: float) -> IO[str]:
    """The lock is the kernel's: it ends with this process, whatever happens to it."""
    file = path.open("a")
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() >= deadline:
                file.close()
                raise LabError(f"another lab runs on this machine ({path} is locked): wait for it to end") from None
            time.sleep(0.2)
