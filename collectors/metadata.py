"""What a domain's metadata says: the labels and wishes in Trimtab's own namespace, and whose guest it is. Pure.

    <trimtab:guest xmlns:trimtab="https://trimtab.dev/xmlns/guest/1">
      <trimtab:label key="app" value="web"/>
      <trimtab:migration max_downtime_ms="100" allow_postcopy="yes" latency_sensitive="no" compression="xbzrle"/>
      <trimtab:priority>5</trimtab:priority>
      <trimtab:rule kind="anti_affinity" name="web-apart" domain="rack"/>
      <trimtab:ignore/>
    </trimtab:guest>

ProxLB's tags are labels like others. A `rule` element makes the guest a member of that rule: it becomes the label
`trimtab.rule.KIND.NAME` whose value lists the element's other attributes, `key=value` joined by `;`, sorted by key.
A value that cannot be understood is left at its default and said in `problems`: metadata never stops a look.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field

from cluster.formats.metadata_policy import read_policy
from cluster.guest import MigrationPolicy

NAMESPACE = "https://trimtab.dev/xmlns/guest/1"
RULE_LABEL = "trimtab.rule"

# Beginnings of the XML namespaces in which other managers mark the guests that are theirs.
OWNER_NAMESPACES = (
    ("http://openstack.org/xmlns/libvirt/nova", "OpenStack"),
    ("http://ovirt.org/vm", "oVirt"),
    ("http://kubevirt.io", "KubeVirt"),
    ("http://opennebula.org/xmlns/libvirt", "OpenNebula"),
    ("http://clusterlabs.org", "Pacemaker"),
)

# Product or manufacturer in <sysinfo> by which managers without metadata of their own show.
OWNER_PRODUCTS = (
    ("OpenStack", "OpenStack"),
    ("oVirt", "oVirt"),
    ("KubeVirt", "KubeVirt"),
    ("CloudStack", "CloudStack"),
)


@dataclass(frozen=True, slots=True)
class GuestMetadata:
    """What our namespace says of a guest."""

    labels: Mapping[str, str] = field(default_factory=dict)
    migration: MigrationPolicy = MigrationPolicy()
    priority: int = 0
    ignore: bool = False
    problems: tuple[str, ...] = ()


def read_metadata(domain: ET.Element) -> GuestMetadata:
    """Read the element of our namespace from a domain's XML; defaults when there is none."""
    ours = domain.find(f"./metadata/{{{NAMESPACE}}}guest")
    if ours is None:
        return GuestMetadata()
    problems: list[str] = []
    labels: dict[str, str] = {}
    for element in ours:
        match element.tag.removeprefix(f"{{{NAMESPACE}}}"):
            case "label" if element.get("key"):
                labels[element.get("key", "")] = element.get("value", "")
            case "rule" if element.get("kind") and element.get("name"):
                labels[f"{RULE_LABEL}.{element.get('kind')}.{element.get('name')}"] = ";".join(
                    f"{key}={value}" for key, value in sorted(element.items()) if key not in ("kind", "name")
                )
            case "migration" | "priority" | "ignore":
                pass
            case name:
                problems.append(f"<trimtab:{name}> is not understood")
    migration = ours.find(f"{{{NAMESPACE}}}migration")
    return GuestMetadata(
        labels=labels,
        migration=MigrationPolicy() if migration is None else read_policy(migration.attrib, problems),
        priority=_whole(ours.findtext(f"{{{NAMESPACE}}}priority"), 0, "priority", problems),
        ignore=ours.find(f"{{{NAMESPACE}}}ignore") is not None,
        problems=tuple(problems),
    )


def owner_of(domain: ET.Element) -> str | None:
    """Name the other manager that a guest belongs to, by its metadata or its system information."""
    for element in domain.iterfind("./metadata/*"):
        namespace = element.tag.removeprefix("{").partition("}")[0]
        for beginning, owner in OWNER_NAMESPACES:
            if namespace.startswith(beginning):
                return owner
    for entry in domain.iterfind("./sysinfo/system/entry"):
        if entry.get("name") in ("product", "manufacturer", "family"):
            for part, owner in OWNER_PRODUCTS:
                if part in (entry.text or ""):
                    return owner
    return None


def _whole(text: str | None, default: int, name: str, problems: list[str]) -> int:
    if text is None:
        return default
    try:
        return int(text.strip())
    except ValueError:
        problems.append(f"{name} is {text.strip()!r}; allowed: a whole number")
        return default
