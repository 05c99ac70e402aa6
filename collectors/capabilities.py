"""What a host can run, from libvirt's capabilities XML and domain capabilities XML. Pure."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from cluster.migration.compatibility import CPU_FEATURE, CPUS, FIRMWARE, NUMA_NODES, TPM, need

PASSTHROUGH = "host-passthrough"


@dataclass(frozen=True, slots=True)
class HostAbilities:
    """What a host offers to guests.

    `machines`: machine types, aliases included. `cpu_models`: named models usable under `virt_type`, and this host's
    own CPU as `host-passthrough:MODEL/DIGEST`, equal only between hosts with the same model, vendor and features.
    `offers` are those of `cluster.migration.compatibility`.
    `None`: the host does not say.
    """

    arch: str = ""
    virt_type: str = ""
    machines: tuple[str, ...] | None = None
    cpu_models: tuple[str, ...] | None = None
    own_cpu: str | None = None
    hugepages_mib: int | None = None
    offers: tuple[str, ...] = ()

    def cpu_need(self, virt_type: str, mode: str, model: str | None) -> str | None:
        """Return what a guest of this host needs of another's `cpu_models`; `None`: nothing that can be checked.

        An emulated CPU runs anywhere, so only a guest under KVM needs one.
        """
        if virt_type != "kvm":
            return None
        return self.own_cpu if mode in (PASSTHROUGH, "maximum") else model


def read_capabilities(text: str) -> HostAbilities:
    """Read virConnectGetCapabilities: architecture, machine types of it, the host's CPU, huge pages."""
    root = ET.fromstring(text)
    arch = root.findtext("./host/cpu/arch") or ""
    machines: set[str] = set()
    virt_types: set[str] = set()
    for entry in root.iterfind("./guest/arch"):
        if entry.get("name") == arch:
            for machine in entry.iter("machine"):
                machines.update(name for name in (machine.text, machine.get("canonical")) if name)
            virt_types.update(domain.get("type", "") for domain in entry.iterfind("./domain"))
    return HostAbilities(
        arch=arch,
        virt_type="kvm" if "kvm" in virt_types else min(virt_types, default=""),
        machines=tuple(sorted(machines)) or None,
        own_cpu=_own_cpu(root.find("./host/cpu")),
        hugepages_mib=_hugepages_mib(root),
        offers=_numbered(root),
    )


def read_cpu_models(text: str) -> tuple[str, ...] | None:
    """Read the usable named models out of virConnectGetDomainCapabilities; `None` when it names none."""
    models = ET.fromstring(text).iterfind("./cpu/mode[@name='custom']/model")
    usable = sorted({model.text for model in models if model.text and model.get("usable") != "no"})
    return tuple(usable) or None


def read_host_model(text: str) -> str | None:
    """Return the CPU that a guest may have here at most, as XML for libvirt to expand; `None` when it is not named."""
    mode = ET.fromstring(text).find("./cpu/mode[@name='host-model']")
    model = None if mode is None or mode.get("supported") != "yes" else mode.findtext("./model")
    if mode is None or not model:
        return None
    cpu = ET.Element("cpu", mode="custom", match="exact")
    ET.SubElement(cpu, "model").text = model
    cpu.extend(mode.iterfind("./feature"))
    return ET.tostring(cpu, encoding="unicode")


def read_offers(text: str, expanded_cpu: str | None) -> tuple[str, ...]:
    """Return CPU features, firmware and kinds of TPM, sorted.

    `text` are domain capabilities, `expanded_cpu` the CPU of `read_host_model` with every feature named.
    """
    root = ET.fromstring(text)
    offers = {need(FIRMWARE, value.text) for value in root.iterfind("./os/loader/value") if value.text}
    models = root.iterfind("./devices/tpm/enum[@name='backendModel']/value")
    offers |= {need(TPM, value.text) for value in models if value.text}
    if expanded_cpu is not None:
        features = ET.fromstring(expanded_cpu).iterfind("./feature")
        offers |= {need(CPU_FEATURE, one.get("name", "")) for one in features if one.get("policy") == "require"}
    return tuple(sorted(offers))


def _numbered(root: ET.Element) -> tuple[str, ...]:
    """How far the host's CPUs and NUMA nodes are numbered."""
    cells = root.findall("./host/topology/cells/cell")
    ids = [int(cpu.get("id", "-1")) for cell in cells for cpu in cell.iterfind("./cpus/cpu")]
    offers = [need(CPUS, max(ids) + 1)] if ids else []
    if cells:
        offers.append(need(NUMA_NODES, max(int(cell.get("id", "0")) for cell in cells) + 1))
    return tuple(offers)


def _own_cpu(cpu: ET.Element | None) -> str | None:
    if cpu is None or not cpu.findtext("./model"):
        return None
    parts = [cpu.findtext("./vendor") or "", *sorted(feature.get("name", "") for feature in cpu.iterfind("./feature"))]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]
    return f"{PASSTHROUGH}:{cpu.findtext('./model')}/{digest}"


def _hugepages_mib(root: ET.Element) -> int | None:
    """All pages set aside that are larger than the smallest size, over all NUMA cells."""
    pages = [
        (int(entry.get("size", "0")), int(entry.text or "0"))
        for entry in root.iterfind("./host/topology/cells/cell/pages")
    ]
    if not pages:
        return None
    smallest = min(size for size, _ in pages)
    return sum(size * count for size, count in pages if size > smallest) // 1024
