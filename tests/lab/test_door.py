"""The door before real libvirt: no guest starts or comes while a host goes to sleep, and all do afterwards."""

from __future__ import annotations

import os
import time
from pathlib import Path
from threading import Thread

import pytest

from cluster.clock import SystemClock
from cluster.connections.libvirt_connection import LibvirtConnection
from executors.power.active_guests import why_not_empty
from executors.power.door import Door
from tests.lab import Lab, LabHost

libvirt = pytest.importorskip("libvirt")

pytestmark = pytest.mark.lab

HOOK = Path(__file__).resolve().parents[2] / "config" / "libvirt-hook"


def hooked(host: LabHost) -> Door:
    """Install the hook as the manual says, and return the host's door as its agent has it."""
    hooks = host.directory / "etc" / "hooks" / "qemu.d"
    hooks.mkdir(parents=True, exist_ok=True)
    (hooks / "trimtab").write_bytes(HOOK.read_bytes())
    (hooks / "trimtab").chmod(0o755)
    earlier = time.time() - 60
    os.utime(hooks / "trimtab", (earlier, earlier))
    host.stop_libvirtd()
    host.start_libvirtd()
    root = Path(f"/proc/{host.pid}/root")
    connection = LibvirtConnection(host.uri, 10.0, SystemClock(), name=host.name)
    daemons = (root / "run" / "libvirtd.pid", root / "run" / "libvirt" / "libvirtd.pid")
    return Door(host.name, connection, SystemClock(), root / "run/trimtab/no-starts", (hooks / "trimtab",), daemons)


def test_no_guest_starts_or_comes_while_the_door_is_shut(lab: Lab) -> None:
    """A start and a migration are refused with our sentence, the guest on the other host goes on; then both work."""
    host, other = lab.host("lab-2"), lab.host("lab-1")
    door = hooked(host)
    assert door._is_hooked()
    lab.guest("here", "lab-2", start=False)
    lab.guest("there", "lab-1", dirty_mib=4)
    here = lab.connection("lab-2").lookupByName("here")
    flags = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PEER2PEER

    door._shut(60.0)
    with pytest.raises(libvirt.libvirtError, match="lab-2 is going to sleep"):
        here.create()
    there = lab.connection("lab-1").lookupByName("there")
    with pytest.raises(libvirt.libvirtError):
        there.migrateToURI3(host.uri, {}, flags)
    assert there.isActive()
    assert lab.connection("lab-2").listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE) == []
    assert other.qemus().keys() == {"there"}
    assert host.qemus() == {}

    door._open()
    here.create()
    there.migrateToURI3(host.uri, {}, flags)
    assert set(host.qemus()) == {"here", "there"}
    door.close()


def test_a_guest_that_arrives_is_seen_before_it_runs(lab: Lab) -> None:
    """From the moment its migration begins the host does not count as empty."""
    host = lab.host("lab-2")
    connection = LibvirtConnection(host.uri, 10.0, SystemClock(), name=host.name)
    assert why_not_empty(connection) is None
    lab.guest("slow", "lab-1", memory_mib=128, dirty_mib=8)
    domain = lab.connection("lab-1").lookupByName("slow")
    flags = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PEER2PEER
    mover = Thread(target=domain.migrateToURI3, args=(host.uri, {libvirt.VIR_MIGRATE_PARAM_BANDWIDTH: 8}, flags))
    mover.start()
    seen = []
    until_s = time.monotonic() + 60
    while mover.is_alive() and time.monotonic() < until_s:
        seen.append(why_not_empty(connection))
        time.sleep(0.1)
    mover.join(60)
    # At most the first look or two came before libvirt there had heard of it.
    assert "slow is active there" in seen
    first = seen.index("slow is active there")
    assert set(seen[first:]) == {"slow is active there"}
    assert first * 0.1 < 1.0
    connection.close()
