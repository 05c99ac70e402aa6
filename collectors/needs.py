"""What a domain's XML needs of a host beyond capacity, storage and networks. Pure; the format is libvirt's."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from cluster.migration.compatibility import CPU_FEATURE, CPUS, FIRMWARE, NUMA_NODES, TPM, need

_PINS = ("./cputune/vcpupin", "./cputune/emulatorpin", "./cputune/iothreadpin", "./vcpu")
_NODES = ("./numatune/memory", "./numatune/memnode")


def read_needs(domain: ET.Element) -> tuple[str, ...]:
    """Return the needs of a running domain, sorted.

    CPU features count under KVM alone: an emulated CPU has its own. A running guest's XML names those it has beyond
    its model, whatever mode it was defined with.
    """
    needs = set()
    if domain.get("type") == "kvm":
        for feature in domain.iterfind("./cpu/feature"):
            if feature.get("policy", "require") in ("require", "force"):
                needs.add(need(CPU_FEATURE, feature.get("name", "")))
    if (firmware := (domain.findtext("./os/loader") or "").strip()).startswith("/"):
        needs.add(need(FIRMWARE, firmware))
    for backend in domain.iterfind("./devices/tpm/backend"):
        needs.add(need(TPM, backend.get("type", "")))
    if cpus := _highest(domain, _PINS, "cpuset"):
        needs.add(need(CPUS, cpus))
    if nodes := _highest(domain, _NODES, "nodeset"):
        needs.add(need(NUMA_NODES, nodes))
    return tuple(sorted(needs))


def _highest(domain: ET.Element, paths: tuple[str, ...], key: str) -> int:
    """Return one more than the highest number of all sets such as "0-3,^2,8"; 0 where there is none."""
    most = 0
    for path in paths:
        for element in domain.iterfind(path):
            for part in element.get(key, "").split(","):
                last = part.rpartition("-")[2].strip()
                if not part.strip().startswith("^") and last.isdigit():
                    most = max(most, int(last) + 1)
    return most
