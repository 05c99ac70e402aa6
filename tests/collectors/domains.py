"""Domain XML for tests: a plain guest that nothing binds to its host, to which a test adds what it is about."""

from __future__ import annotations

UUID = "2f0c5b2e-8f5e-4b54-9f57-7d3f5d9b7f10"

NFS_POOL = """\
<pool type='netfs'>
  <name>vms</name>
  <source><host name='nas'/><dir path='/export/vms'/><format type='nfs'/></source>
  <target><path>/srv/vms</path></target>
</pool>"""

RBD_POOL = "<pool type='rbd'><name>fast</name><source><host name='mon'/><name>kvm</name></source></pool>"
DIR_POOL = "<pool type='dir'><name>default</name><target><path>/var/lib/libvirt/images</path></target></pool>"


def domain_xml(
    *,
    devices: str = "",
    inside: str = "",
    metadata: str = "",
    memory: str = "<memory unit='KiB'>2097152</memory>",
    vcpu: str = "<vcpu placement='static'>4</vcpu>",
    cpu: str = "",
    virt_type: str = "kvm",
) -> str:
    """Return a whole domain; each argument is XML put in its place."""
    return f"""\
<domain type='{virt_type}' id='7'>
  <name>web-1</name>
  <uuid>{UUID}</uuid>
  <metadata>{metadata}</metadata>
  {memory}
  <currentMemory unit='KiB'>1048576</currentMemory>
  {vcpu}
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  {cpu}
  {inside}
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    {devices}
  </devices>
</domain>
"""


def disk_xml(source: str, *, kind: str = "file", device: str = "disk", target: str = "vda", inside: str = "") -> str:
    """Return a disk; `source` is its source element's attributes."""
    return (
        f"<disk type='{kind}' device='{device}'><driver name='qemu' type='qcow2'/><source {source}/>"
        f"<target dev='{target}' bus='virtio'/>{inside}</disk>"
    )


def our_metadata(inside: str) -> str:
    """Return the element of Trimtab's namespace around `inside`."""
    return f"<trimtab:guest xmlns:trimtab='https://trimtab.dev/xmlns/guest/1'>{inside}</trimtab:guest>"
