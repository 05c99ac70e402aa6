"""What the lab needs of the machine, looked for before anything is started."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_TOOLS = {
    "libvirtd": "libvirt-daemon",
    "qemu-system-x86_64": "qemu-system-x86",
    "tini": "tini",
    "ip": "iproute2",
    "tc": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
}
_BRIDGE_PROBE = "ip link add ttlab-br type bridge && ip link add ttlab-p0 type veth peer name ttlab-p1"


def lab_missing() -> str | None:
    """What this machine lacks for the lab, in one line; None when the lab can run."""
    if os.geteuid() != 0:
        return "the lab of real hosts needs root (network namespaces, libvirtd)"
    for tool, package in _TOOLS.items():
        if shutil.which(tool) is None:
            return f"the lab of real hosts needs `{tool}`: install the Debian package {package}"
    for place in ("/etc/libvirt", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt"):
        if not Path(place).is_dir():
            return f"the lab of real hosts needs {place}: install the Debian package libvirt-daemon-system"
    try:
        import libvirt  # noqa: F401
    except ImportError:
        return "the lab of real hosts needs the Python package libvirt-python: run `make setup`"
    probe = ["unshare", "--mount", "--uts", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run([*probe, "sh", "-c", _BRIDGE_PROBE], capture_output=True, text=True, timeout=20)
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())
        return f"the lab of real hosts needs namespaces, a bridge and veth pairs: this kernel says {reason!r}"
    return None
