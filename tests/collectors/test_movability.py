"""What forbids a live migration: a case for every reason of both registers, and its neighbour that forbids nothing."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from collectors import movability
from collectors.disks import SharedStorage, read_pool
from collectors.domain_xml import read_domain
from collectors.movability import FROM_STATE, FROM_XML, Condition, why_not_now
from tests.collectors.domains import NFS_POOL, RBD_POOL, disk_xml, domain_xml, our_metadata

SHARED = SharedStorage(("/mnt/ceph",), {pool.name: pool for pool in (read_pool(NFS_POOL), read_pool(RBD_POOL))})


@dataclass(frozen=True)
class Case:
    """XML to add to a plain domain, the reason expected (by its function), and words of its sentence."""

    reason: str
    says: str
    devices: str = ""
    inside: str = ""
    metadata: str = ""
    cpu: str = ""


FORBIDDEN = [
    Case("marked_ignore", "trimtab:ignore", metadata=our_metadata("<trimtab:ignore/>")),
    Case(
        "other_manager",
        "belongs to OpenStack",
        metadata="<nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'/>",
    ),
    Case("other_manager", "belongs to oVirt", metadata="<ovirt-vm:vm xmlns:ovirt-vm='http://ovirt.org/vm/1.0'/>"),
    Case("other_manager", "belongs to KubeVirt", metadata="<kubevirt xmlns='http://kubevirt.io'/>"),
    Case(
        "other_manager",
        "belongs to CloudStack",
        inside="<sysinfo type='smbios'><system><entry name='product'>CloudStack KVM</entry></system></sysinfo>",
    ),
    Case("host_device", "pci", devices="<hostdev mode='subsystem' type='pci' managed='yes'/>"),
    Case("host_device", "usb", devices="<hostdev mode='subsystem' type='usb'/>"),
    Case("host_device", "mdev", devices="<hostdev mode='subsystem' type='mdev' model='vfio-pci'/>"),
    Case("host_interface", "interface type hostdev", devices="<interface type='hostdev' managed='yes'/>"),
    Case("host_interface", "type vdpa", devices="<interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/></interface>"),
    Case("host_interface", "type vhostuser", devices="<interface type='vhostuser'/>"),
    Case("host_disk", "type nvme", devices=disk_xml("type='pci' managed='yes' namespace='1'", kind="nvme")),
    Case("host_disk", "type vhostuser", devices=disk_xml("type='unix' path='/run/blk.sock'", kind="vhostuser")),
    Case("local_disk", "disk vda (/root/a.qcow2) is on this host only", devices=disk_xml("file='/root/a.qcow2'")),
    Case("local_disk", "disk vda (/dev/vg0/a) is", devices=disk_xml("dev='/dev/vg0/a'", kind="block")),
    Case("local_disk", "disk vda is on", devices=disk_xml("pool='nowhere' volume='a'", kind="volume")),
    Case(
        "local_medium",
        "cdrom sda holds /root/debian.iso",
        devices=disk_xml("file='/root/debian.iso'", device="cdrom", target="sda"),
    ),
    Case("local_medium", "floppy", devices=disk_xml("file='/root/a.img'", device="floppy", target="fda")),
    Case(
        "local_backing_file",
        "backed by /root/base.qcow2",
        devices=disk_xml(
            "file='/srv/vms/a.qcow2'",
            inside="<backingStore type='file'><format type='qcow2'/><source file='/root/base.qcow2'/></backingStore>",
        ),
    ),
    Case("transient_disk", "disk vda is transient", devices=disk_xml("file='/srv/vms/a.qcow2'", inside="<transient/>")),
    Case(
        "mirroring_disk",
        "block job runs on disk vda",
        devices=disk_xml(
            "file='/srv/vms/a.qcow2'", inside="<mirror type='file' job='copy'><source file='/srv/vms/b'/></mirror>"
        ),
    ),
    Case(
        "shared_directory",
        "/srv/share",
        devices="<filesystem type='mount'><driver type='virtiofs'/><source dir='/srv/share'/></filesystem>",
    ),
    Case(
        "shared_memory", "shared memory", devices="<shmem name='ring' role='peer'><model type='ivshmem-plain'/></shmem>"
    ),
    Case("host_memory_device", "nvdimm", devices="<memory model='nvdimm'><source><path>/n</path></source></memory>"),
    Case("host_tpm", "TPM", devices="<tpm model='tpm-tis'><backend type='passthrough'/></tpm>"),
    Case("host_character_device", "serial", devices="<serial type='dev'><source path='/dev/ttyS0'/></serial>"),
    Case("host_character_device", "input", devices="<input type='evdev'><source dev='/dev/input/event1'/></input>"),
    Case("host_character_device", "smart card", devices="<smartcard mode='host'/>"),
    Case("encrypted_memory", "sev", inside="<launchSecurity type='sev'><policy>0x0003</policy></launchSecurity>"),
    Case("invariant_tsc", "invtsc", cpu="<cpu mode='custom'><feature policy='require' name='invtsc'/></cpu>"),
]

ALLOWED = [
    Case("other_manager", "", metadata="<v:box xmlns:v='http://libosinfo.org/xmlns/libvirt/domain/1.0'/>"),
    Case("host_device", "", devices="<hostdev mode='subsystem' type='pci'><teaming type='transient'/></hostdev>"),
    Case("host_interface", "", devices="<interface type='hostdev'><teaming type='transient'/></interface>"),
    Case("host_interface", "", devices="<interface type='bridge'><source bridge='br0'/></interface>"),
    Case("local_disk", "", devices=disk_xml("file='/srv/vms/a.qcow2'")),
    Case("local_disk", "", devices=disk_xml("dev='/mnt/ceph/a'", kind="block")),
    Case("local_medium", "", devices=disk_xml("file='/srv/vms/iso/debian.iso'", device="cdrom", target="sda")),
    Case("local_medium", "", devices="<disk type='file' device='cdrom'><target dev='sda'/><readonly/></disk>"),
    Case("local_medium", "", devices=disk_xml("startupPolicy='optional'", device="cdrom", target="sda")),
    Case(
        "local_backing_file",
        "",
        devices=disk_xml(
            "file='/srv/vms/a'", inside="<backingStore type='file'><source file='/mnt/ceph/base'/></backingStore>"
        ),
    ),
    Case("shared_memory", "", devices="<shmem name='ring' role='master'/>"),
    Case(
        "host_memory_device", "", devices="<memory model='dimm'><target><size unit='MiB'>512</size></target></memory>"
    ),
    Case("host_tpm", "", devices="<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"),
    Case("host_character_device", "", devices="<serial type='pty'/><input type='tablet' bus='usb'/>"),
    Case(
        "invariant_tsc",
        "",
        cpu="<cpu mode='custom'><feature policy='require' name='invtsc'/></cpu>",
        inside="<clock offset='utc'><timer name='tsc' frequency='2600000000'/></clock>",
    ),
    Case("invariant_tsc", "", cpu="<cpu mode='custom'><feature policy='disable' name='invtsc'/></cpu>"),
    Case("transient_disk", "", devices=disk_xml("protocol='rbd' name='kvm/web-1'", kind="network")),
]

STATES = [
    ("not_running", Condition(state=movability.PAUSED), "is paused"),
    ("not_running", Condition(state=movability.PAUSED, reason=movability.PAUSED_IOERROR), "I/O error"),
    ("not_running", Condition(state=movability.CRASHED), "is crashed"),
    ("not_running", Condition(state=movability.PMSUSPENDED), "suspended to memory"),
    ("not_running", Condition(state=movability.SHUTDOWN), "shutting down"),
    ("silent_qemu", Condition(answering=False), "QEMU does not answer"),
    ("cluster_resource", Condition(owner="Pacemaker"), "belongs to Pacemaker"),
    ("transient_domain", Condition(persistent=False), "is transient"),
    ("snapshots", Condition(snapshots=1), "has 1 snapshot"),
    ("snapshots", Condition(snapshots=3), "has 3 snapshots"),
    ("job", Condition(job="backup"), "a job is under way: backup"),
    ("job", Condition(job="save"), "a job is under way: save"),
    ("block_job", Condition(block_job="vda"), "a block job runs on disk vda"),
]


def reasons(case: Case) -> tuple[str, ...]:
    """Every reason that a plain guest with the case's XML in it gives."""
    text = domain_xml(devices=case.devices, inside=case.inside, metadata=case.metadata, cpu=case.cpu)
    return read_domain(text, SHARED).why_not


@pytest.mark.parametrize("case", FORBIDDEN, ids=lambda case: f"{case.reason}-{case.says}")
def test_a_bound_guest_says_why(case: Case) -> None:
    """Each thing that binds a guest to its host gives one sentence that names it."""
    (why,) = reasons(case)
    assert case.says in why


@pytest.mark.parametrize("case", ALLOWED, ids=lambda case: f"{case.reason}-{case.devices or case.cpu}"[:60])
def test_a_neighbour_forbids_nothing(case: Case) -> None:
    """What looks alike but does not bind a guest is let through."""
    assert reasons(case) == ()


def test_a_plain_guest_is_movable() -> None:
    """Nothing in a plain domain forbids a migration, and nothing in a healthy condition does."""
    assert reasons(Case("", "")) == ()
    assert why_not_now(Condition()) == ()


@pytest.mark.parametrize(("reason", "condition", "says"), STATES)
def test_a_condition_says_why(reason: str, condition: Condition, says: str) -> None:
    """Each passing condition that forbids a migration gives one sentence."""
    (why,) = why_not_now(condition)
    assert says in why


def test_every_reason_has_a_case() -> None:
    """A reason added to a register without a case here fails."""
    assert {reason.__name__ for reason in FROM_XML} == {case.reason for case in FORBIDDEN}
    assert {reason.__name__ for reason in FROM_STATE} == {reason for reason, _, _ in STATES}


def test_all_reasons_are_told() -> None:
    """A guest bound twice says both."""
    case = Case("", "", devices="<hostdev mode='subsystem' type='pci'/>", metadata=our_metadata("<trimtab:ignore/>"))
    assert len(reasons(case)) == 2
