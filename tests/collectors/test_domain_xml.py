"""A domain's XML read into facts: sizes, names of what it needs, labels and wishes, and what is wrong with them."""

from __future__ import annotations

import pytest

from cluster.guest import Compression, MigrationPolicy
from collectors.disks import SharedStorage, read_pool, shared_mounts
from collectors.domain_xml import read_domain
from tests.collectors.domains import DIR_POOL, NFS_POOL, RBD_POOL, UUID, disk_xml, domain_xml, our_metadata

POOLS = {pool.name: pool for pool in (read_pool(NFS_POOL), read_pool(RBD_POOL), read_pool(DIR_POOL))}
SHARED = SharedStorage(("/mnt/ceph", "/mnt/ceph/iso"), POOLS)


def test_sizes_and_names() -> None:
    """Identity, memory, vCPUs and machine type come out as libvirt has them."""
    facts = read_domain(domain_xml(), SHARED)
    assert (facts.uuid, facts.name, facts.memory_mib, facts.vcpus) == (UUID, "web-1", 2048, 4)
    assert (facts.machine, facts.virt_type, facts.hugepages_mib) == ("pc-q35-7.2", "kvm", 0)


@pytest.mark.parametrize(
    ("memory", "mib"),
    [
        ("<memory unit='GiB'>3</memory>", 3072),
        ("<memory>1048577</memory>", 1025),
        ("<memory unit='bytes'>1</memory>", 1),
        ("<memory unit='GB'>2</memory>", 1908),
    ],
)
def test_memory_units(memory: str, mib: int) -> None:
    """Every unit of libvirt is understood, KiB when none is named, and a part of a MiB counts as one."""
    assert read_domain(domain_xml(memory=memory), SHARED).memory_mib == mib


def test_vcpus_in_use_count() -> None:
    """Of vCPUs that could be plugged, only those plugged count."""
    assert read_domain(domain_xml(vcpu="<vcpu current='2'>8</vcpu>"), SHARED).vcpus == 2


def test_huge_pages() -> None:
    """A guest on huge pages takes all its memory from them."""
    facts = read_domain(domain_xml(inside="<memoryBacking><hugepages/></memoryBacking>"), SHARED)
    assert facts.hugepages_mib == facts.memory_mib


def test_networks() -> None:
    """What a host must have for the interfaces: networks, bridges, devices; user-mode networking needs nothing."""
    devices = (
        "<interface type='network'><source network='prod' bridge='virbr3'/></interface>"
        "<interface type='bridge'><source bridge='br-dmz'/></interface>"
        "<interface type='direct'><source dev='eth1' mode='bridge'/></interface>"
        "<interface type='user'/>"
    )
    assert read_domain(domain_xml(devices=devices), SHARED).networks == ("br-dmz", "eth1", "prod")


@pytest.mark.parametrize(
    ("disk", "storage"),
    [
        (disk_xml("protocol='rbd' name='kvm/web-1'", kind="network"), "rbd:kvm"),
        (
            disk_xml("protocol='iscsi' name='iqn.2026-01.org.example:disks/1'", kind="network"),
            "iscsi:iqn.2026-01.org.example:disks",
        ),
        (
            "<disk type='network'><source protocol='nbd' name='x'><host name='nas' port='10809'/></source>"
            "<target dev='vda'/></disk>",
            "nbd:nas",
        ),
        (disk_xml("pool='fast' volume='web-1'", kind="volume"), "rbd:kvm"),
        (disk_xml("pool='vms' volume='web-1'", kind="volume"), "/srv/vms"),
        (disk_xml("file='/srv/vms/web-1.qcow2'"), "/srv/vms"),
        (disk_xml("file='/mnt/ceph/iso/web-1.qcow2'"), "/mnt/ceph/iso"),
        (disk_xml("dev='/dev/drbd7'", kind="block"), "drbd"),
        (disk_xml("dev='/dev/disk/by-path/ip-10.0.0.9:3260-iscsi-iqn.x:y-lun-1'", kind="block"), "iscsi"),
    ],
)
def test_shared_disks(disk: str, storage: str) -> None:
    """A disk that other hosts reach names its storage and is not local."""
    facts = read_domain(domain_xml(devices=disk), SHARED)
    assert facts.storage == (storage,)
    assert facts.local_disks == ()


@pytest.mark.parametrize(
    "disk",
    [
        disk_xml("file='/var/lib/libvirt/images/web-1.qcow2'"),
        disk_xml("file='/srv/vms2/web-1.qcow2'"),
        disk_xml("dev='/dev/vg0/web-1'", kind="block"),
        disk_xml("pool='default' volume='web-1'", kind="volume"),
        disk_xml("pool='unheard-of' volume='web-1'", kind="volume"),
    ],
)
def test_local_disks(disk: str) -> None:
    """A disk that nothing shows to be shared is local: it would have to be copied."""
    facts = read_domain(domain_xml(devices=disk), SHARED)
    assert facts.storage == ()
    assert [disk.target for disk in facts.local_disks] == ["vda"]


def test_labels_and_wishes() -> None:
    """Everything of our namespace is read, ProxLB's tags and rule memberships as labels."""
    metadata = our_metadata(
        "<trimtab:label key='app' value='web'/><trimtab:label key='plb_affinity_web'/>"
        "<trimtab:rule kind='anti_affinity' name='web-apart' enforcement='hard' domain='rack'/>"
        "<trimtab:migration max_downtime_ms='50' allow_postcopy='yes' latency_sensitive='0'/>"
        "<trimtab:priority> 7 </trimtab:priority>"
    )
    read = read_domain(domain_xml(metadata=metadata), SHARED).metadata
    assert read.labels == {
        "app": "web",
        "plb_affinity_web": "",
        "trimtab.rule.anti_affinity.web-apart": "domain=rack;enforcement=hard",
    }
    assert (read.migration.max_downtime_ms, read.migration.allow_postcopy, read.migration.latency_sensitive) == (
        50,
        True,
        False,
    )
    assert (read.priority, read.ignore, read.problems) == (7, False, ())


def test_a_guest_has_ways_to_move_of_its_own() -> None:
    """What it does not say is the cluster's to say."""
    inside = "<trimtab:migration must_encrypt='yes' compression='zstd' parallel_connections='4' auto_converge='no'/>"
    read = read_domain(domain_xml(metadata=our_metadata(inside)), SHARED).metadata
    assert read.problems == ()
    assert read.migration == MigrationPolicy(
        must_encrypt=True, compression=Compression.ZSTD, parallel_connections=4, auto_converge=False
    )
    plain = read_domain(domain_xml(), SHARED).metadata.migration
    assert (plain.compression, plain.parallel_connections, plain.auto_converge) == (None, None, None)


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        ("<trimtab:migration max_downtime_ms='soon'/>", "max_downtime_ms is 'soon'"),
        ("<trimtab:migration max_downtime_ms='0'/>", "max_downtime_ms is 0"),
        ("<trimtab:migration compression='lz4'/>", "compression is 'lz4'; allowed: none, xbzrle, zstd"),
        ("<trimtab:migration parallel_connections='65'/>", "parallel_connections is 65; allowed: 1 to 64"),
        ("<trimtab:migration auto_converge='maybe'/>", "auto_converge is 'maybe'; allowed: yes, no"),
        ("<trimtab:migration allow_postcopy='maybe'/>", "allow_postcopy is 'maybe'"),
        ("<trimtab:priority>high</trimtab:priority>", "priority is 'high'"),
        ("<trimtab:lable key='a' value='b'/>", "<trimtab:lable> is not understood"),
    ],
)
def test_bad_metadata_is_said_and_left_at_its_default(inside: str, says: str) -> None:
    """A value that cannot be understood is named and changes nothing; the guest is still seen."""
    facts = read_domain(domain_xml(metadata=our_metadata(inside)), SHARED)
    (problem,) = facts.metadata.problems
    assert says in problem
    plain = read_domain(domain_xml(), SHARED).metadata
    assert (facts.metadata.migration, facts.metadata.priority) == (plain.migration, plain.priority)


@pytest.mark.parametrize("text", ["", "<domain", "<pool/>", "<domain><uuid>x</uuid></domain>"])
def test_what_is_no_domain_is_refused(text: str) -> None:
    """XML of something else, or cut, is a ValueError and no guest of nothing."""
    with pytest.raises(ValueError, match="not"):
        read_domain(text, SHARED)


def test_shared_mounts_are_found_among_others() -> None:
    """Network and cluster file systems count, local and pseudo ones do not; spaces in paths are undone."""
    text = (
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "40 22 0:35 / /srv/my\\040vms rw shared:9 master:2 - nfs4 nas:/vms rw,vers=4.2\n"
        "41 22 0:36 / /mnt/ceph rw - ceph mon:/ rw\n"
        "42 22 0:37 / /proc rw - proc proc rw\n"
        "cut\n"
    )
    assert shared_mounts(text) == ("/mnt/ceph", "/srv/my vms")
