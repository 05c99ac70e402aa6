"""What a domain needs of another host, from its XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from collectors.needs import read_needs

CPU = "<cpu mode='custom'><feature policy='require' name='vmx'/><feature policy='disable' name='hle'/></cpu>"


@pytest.mark.parametrize(
    ("inside", "needs"),
    [
        (CPU, ("cpu_feature:vmx",)),
        (
            "<os><loader type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader></os>",
            ("firmware:/usr/share/OVMF/OVMF_CODE.fd",),
        ),
        ("<os><loader>rom.bin</loader></os>", ()),
        ("<devices><tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm></devices>", ("tpm:emulator",)),
        ("<cputune><vcpupin vcpu='0' cpuset='0-3,^2,9'/><emulatorpin cpuset='1'/></cputune>", ("cpus:10",)),
        ("<vcpu placement='static' cpuset='0-7'>4</vcpu>", ("cpus:8",)),
        ("<vcpu>4</vcpu>", ()),
        ("<numatune><memory mode='strict' nodeset='0-1'/></numatune>", ("numa_nodes:2",)),
        ("<vcpu cpuset='0-7,^31'>4</vcpu>", ("cpus:8",)),
    ],
)
def test_each_need(inside: str, needs: tuple[str, ...]) -> None:
    """One at a time; sets of CPUs count to their highest, what they leave out does not."""
    assert read_needs(ET.fromstring(f"<domain type='kvm'>{inside}</domain>")) == needs


def test_an_emulated_cpu_has_its_own_features() -> None:
    """Only under KVM the host's CPU decides."""
    assert read_needs(ET.fromstring(f"<domain type='qemu'>{CPU}</domain>")) == ()
