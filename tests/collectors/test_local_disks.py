"""Local disks that are copied: which libvirt can copy, what policy says, and what hosts offer for them."""

from __future__ import annotations

import pytest

from cluster.guest import LocalDisks
from collectors.disks import SharedStorage, read_pool
from collectors.domain_xml import copied_disks, read_domain
from tests.collectors.domains import DIR_POOL, NFS_POOL, disk_xml, domain_xml, our_metadata

SHARED = SharedStorage((), {pool.name: pool for pool in (read_pool(DIR_POOL), read_pool(NFS_POOL))})
IMAGES = "/var/lib/libvirt/images"
IN_POOL = disk_xml(f"file='{IMAGES}/a.qcow2'")


@pytest.mark.parametrize(
    ("cluster", "own", "copied"),
    [
        (LocalDisks.STAY, None, False),
        (LocalDisks.COPY, None, True),
        (LocalDisks.STAY, "copy", True),
        (LocalDisks.COPY, "stay", False),
    ],
)
def test_policy_lets_disks_be_copied(cluster: LocalDisks, own: str | None, copied: bool) -> None:
    """A guest's own word goes before the cluster's."""
    metadata = our_metadata(f"<trimtab:migration local_disks='{own}'/>") if own else ""
    facts = read_domain(domain_xml(devices=IN_POOL, metadata=metadata), SHARED, cluster)
    assert [disk.target for disk in copied_disks(facts)] == (["vda"] if copied else [])
    assert bool(facts.why_not) is not copied


@pytest.mark.parametrize(
    "devices",
    [
        disk_xml("file='/root/a.qcow2'"),
        disk_xml(f"file='{IMAGES}/deeper/a.qcow2'"),
        disk_xml("dev='/dev/vg0/a'", kind="block"),
        disk_xml("pool='default' volume='a'", kind="volume"),
        disk_xml(f"file='{IMAGES}/a'", inside="<shareable/>"),
        disk_xml(f"file='{IMAGES}/a'", inside="<readonly/>"),
        disk_xml(f"file='{IMAGES}/a'", device="lun"),
        disk_xml(f"file='{IMAGES}/a'", inside="<backingStore type='file'><source file='/srv/vms/b'/></backingStore>"),
        disk_xml(f"file='{IMAGES}/a'", inside="<encryption format='luks'/>"),
        IN_POOL + disk_xml("file='/root/b.qcow2'", target="vdb"),
    ],
)
def test_what_libvirt_cannot_copy_keeps_its_guest(devices: str) -> None:
    """A file of its own right in a pool's directory is copied; nothing else, and no guest by halves."""
    facts = read_domain(domain_xml(devices=devices), SHARED, LocalDisks.COPY)
    assert any("is on this host only" in why for why in facts.why_not)


def test_other_reasons_stay() -> None:
    """An ISO image on the host is not copied along."""
    iso = disk_xml(f"file='{IMAGES}/a.iso'", device="cdrom", target="sda")
    facts = read_domain(domain_xml(devices=IN_POOL + iso), SHARED, LocalDisks.COPY)
    assert len(facts.why_not) == 1 and "eject it" in facts.why_not[0]


def test_shared_disks_are_never_copied() -> None:
    """Whatever policy says."""
    facts = read_domain(domain_xml(devices=disk_xml("file='/srv/vms/a'")), SHARED, LocalDisks.COPY)
    assert (facts.why_not, copied_disks(facts)) == ((), ())


def test_a_word_that_is_none() -> None:
    """A guest whose metadata cannot be understood is kept as the cluster says."""
    metadata = our_metadata("<trimtab:migration local_disks='maybe'/>")
    read = read_domain(domain_xml(metadata=metadata), SHARED).metadata
    assert (read.migration.local_disks, read.problems) == (None, ("local_disks is 'maybe'; allowed: stay, copy",))
