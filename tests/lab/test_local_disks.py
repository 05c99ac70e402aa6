"""Guests whose disks are on one host only, moved with them: content, budget, and what must not be written over."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from cluster.clock import SystemClock
from cluster.config.settings import BudgetSettings, MigrationSettings
from cluster.connections.libvirt_connection import LibvirtConnection
from cluster.guest import Guest, LocalDisks
from cluster.host import Host
from cluster.migration.compatibility import why_cannot_run
from cluster.plan import Migrate, StepState
from collectors.libvirt_collector import CollectorOptions, LibvirtCollector
from tests.executors.rig import Rig
from tests.executors.world import migrate
from tests.lab.guests import LabGuest
from tests.lab.lab import Lab
from tests.lab.test_budgets import Meter, budget, links

pytestmark = pytest.mark.lab

POOL = "/var/lib/libvirt/vms"
DISK_MIB = 48
CAP_MIB_S = 24
CHUNK_MIB = 16
"""QEMU copies a disk in pieces of so much: a piece that is begun is sent as fast as the link goes."""
HOSTS = ("lab-1", "lab-2")
FORMATS = ("raw", "qcow2")


@pytest.fixture(autouse=True)
def pools(lab: Lab) -> None:
    """An empty directory pool on each host, of which each has its own."""
    for name in HOSTS:
        connection = lab.connection(name)
        for file in files(lab, name).glob("*"):
            file.unlink()
        if "vms" not in connection.listStoragePools():
            xml = f"<pool type='dir'><name>vms</name><target><path>{POOL}</path></target></pool>"
            pool = connection.storagePoolDefineXML(xml, 0)
            pool.build(0)
            pool.create(0)
        connection.storagePoolLookupByName("vms").refresh(0)


def files(lab: Lab, host: str) -> Path:
    """The host's pool, seen from outside."""
    return lab.host(host).directory / "lib" / "vms"


def guest_with_disk(lab: Lab, form: str) -> LabGuest:
    """A guest on lab-1 with a disk full of random bytes."""
    pool = lab.connection("lab-1").storagePoolLookupByName("vms")
    target = f"<target><format type='{form}'/></target>"
    pool.createXML(f"<volume><name>web.img</name><capacity unit='MiB'>{DISK_MIB}</capacity>{target}</volume>", 0)
    content = os.urandom(DISK_MIB << 20)
    raw = files(lab, "lab-1") / "content"
    raw.write_bytes(content)
    os.system(f"qemu-img convert -f raw -O {form} {raw} {files(lab, 'lab-1') / 'web.img'}")
    raw.unlink()
    devices = (
        f"<disk type='file' device='disk'><driver name='qemu' type='{form}'/>"
        f"<source file='{POOL}/web.img'/><target dev='vda' bus='virtio'/></disk>"
    )
    return lab.guest("web", "lab-1", memory_mib=128, filled_mib=32, dirty_mib=8, dirty_mib_s=2, devices=devices)


def content_of(lab: Lab, host: str, form: str) -> str:
    """What the guest's disk holds there."""
    raw = files(lab, host) / "read"
    os.system(f"qemu-img convert -U -f {form} -O raw {files(lab, host) / 'web.img'} {raw}")
    read = hashlib.sha256(raw.read_bytes()).hexdigest()
    raw.unlink()
    return read


def rig_for(lab: Lab, copies: LocalDisks, *budgets: BudgetSettings) -> Rig:
    """A runner over both hosts."""
    settings = MigrationSettings(local_disks=copies)
    return Rig({name: lab.host(name).uri for name in HOSTS}, settings, links=links(*budgets))


def seen(lab: Lab, host: str, policy: LocalDisks) -> tuple[Host, tuple[Guest, ...]]:
    """What the collector says of a host."""
    clock = SystemClock()
    connection = LibvirtConnection(lab.host(host).uri, 5.0, clock, name=host)
    collector = LibvirtCollector(host, connection, clock, CollectorOptions(load_from_guests=True, local_disks=policy))
    try:
        look = collector.collect()
    finally:
        collector.close()
    return look.host, look.guests


def step_of(guest: LabGuest) -> Migrate:
    """Its move to lab-2, disks copied."""
    return replace(migrate("s0", guest.uuid, *HOSTS), local_disks=("vda",))


@pytest.mark.parametrize("form", FORMATS)
def test_a_guest_takes_its_disk_along_within_the_budget(lab: Lab, form: str) -> None:
    """Collectors let it go to a host with the pool and room; its disk arrives as it was, and no faster than allowed."""
    guest = guest_with_disk(lab, form)
    before = content_of(lab, "lab-1", form)
    _, (kept,) = seen(lab, "lab-1", LocalDisks.STAY)
    assert (kept.movable, kept.local_disks) == (False, ())
    _, (free,) = seen(lab, "lab-1", LocalDisks.COPY)
    target, _ = seen(lab, "lab-2", LocalDisks.COPY)
    assert (free.movable, free.local_disks, free.local_disk_mib) == (True, ("vda",), DISK_MIB), free.why_not
    assert why_cannot_run(free, target) is None and (target.local_disk_mib or 0) > DISK_MIB
    counted = guest.read().counter
    meter = Meter(lab.host("lab-1"))
    rig = rig_for(lab, LocalDisks.COPY, budget(CAP_MIB_S))
    try:
        with meter.running():
            rig.begin(step_of(guest))
            record = rig.finish()
    finally:
        rig.close()
    print(f"{form}: {meter.shown()}; {record.steps['s0']}")
    assert record.step_state("s0") is StepState.DONE, record
    assert guest.host == "lab-2" and list(lab.qemus("web")) == ["lab-2"]
    assert guest.read().signature == guest.signature and guest.read().counter > counted
    assert content_of(lab, "lab-2", form) == before
    rates = [mib_s for _, mib_s in meter.seconds]
    pairs = [first + second for first, second in pairwise(rates)]
    assert max(rates) <= CAP_MIB_S + CHUNK_MIB and max(pairs) <= 2 * CAP_MIB_S + CHUNK_MIB, meter.shown()
    assert record.steps["s0"].mib >= DISK_MIB


def test_what_is_there_already_is_never_written_over(lab: Lab) -> None:
    """A file of the disk's name at the target, and a policy against copies: the guest stays, the file is as it was."""
    guest = guest_with_disk(lab, "raw")
    there = files(lab, "lab-2") / "web.img"
    there.write_bytes(b"someone's")
    for policy, why in ((LocalDisks.COPY, "is there already"), (LocalDisks.STAY, "policy does not let them be copied")):
        rig = rig_for(lab, policy)
        try:
            rig.begin(step_of(guest))
            record = rig.finish()
        finally:
            rig.close()
        assert record.step_state("s0") is not StepState.DONE
        assert why in record.steps["s0"].detail, record
    assert there.read_bytes() == b"someone's"
    assert guest.host == "lab-1" and guest.read().signature == guest.signature
