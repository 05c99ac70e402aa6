"""A private certificate authority for libvirt and QEMU, and hosts' certificates of it, by the openssl program.

Files are named and placed as libvirt and QEMU look for them below /etc/pki. Nothing that is there is written over.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import InputError, RefusedError

PROGRAM = "openssl"
PROGRAM_S = 60
AUTHORITY = "ca"
CA_KEY, CA_CERT = "ca-key.pem", "ca-cert.pem"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,252}")

# libvirt: https://libvirt.org/kbase/tlscerts.html. QEMU: docs/system/tls.rst.
PLACES = {
    "etc/pki/CA/cacert.pem": "ca",
    "etc/pki/libvirt/servercert.pem": "cert",
    "etc/pki/libvirt/clientcert.pem": "cert",
    "etc/pki/libvirt/private/serverkey.pem": "key",
    "etc/pki/libvirt/private/clientkey.pem": "key",
    "etc/pki/qemu/ca-cert.pem": "ca",
    "etc/pki/qemu/server-cert.pem": "cert",
    "etc/pki/qemu/client-cert.pem": "cert",
    "etc/pki/qemu/server-key.pem": "key",
    "etc/pki/qemu/client-key.pem": "key",
}

_CONFIG = """\
[req]
distinguished_name = name
prompt = no
[name]
O = Trimtab
CN = {name}
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[host]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = {names}
"""

INSTALL = """\
On {host}, as root, from this directory:

    cp -rn etc/pki /etc/
    chown -R QEMU-USER: /etc/pki/qemu     (libvirt-qemu on Debian and Ubuntu, qemu on Fedora and RHEL)
    systemctl restart libvirtd            (or virtqemud; guests run on)

cp -n leaves alone what is there. The keys are readable by their owner alone: keep it so, and remove this copy
afterwards. For libvirt itself over TLS (qemu+tls://{host}/system) also start libvirtd-tls.socket or
virtproxyd-tls.socket.
"""


@dataclass(frozen=True, slots=True)
class HostNames:
    """A host, and every name and address by which others reach it."""

    host: str
    names: tuple[str, ...]


def check_names(host: HostNames) -> None:
    """Raise `InputError` for what cannot stand in a certificate."""
    for name in (host.host, *host.names):
        if not _NAME.fullmatch(name):
            raise InputError(f"host {host.host}: found {name!r}; allowed: a host name or an IP address")


def make_authority(directory: Path, days: int) -> bool:
    """Make the authority unless it is there. Return whether it was made. `RefusedError` where only half of it is."""
    key, cert = directory / CA_KEY, directory / CA_CERT
    if key.exists() and cert.exists():
        return False
    if key.exists() or cert.exists():
        raise RefusedError(f"{directory}: found only one of {CA_KEY} and {CA_CERT}; put the other one back")
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch)
        _configure(made, "Trimtab private CA", ("unused",))
        _make_key(made / "key")
        serial = ("-set_serial", f"0x{secrets.token_hex(16)}")
        _run(
            *("req", "-x509", "-new", "-sha256", "-key", str(made / "key"), "-config", str(made / "config")),
            *("-extensions", "authority", "-days", str(days), *serial, "-out", str(made / "cert")),
        )
        _put(key, (made / "key").read_bytes(), secret=True)
        _put(cert, (made / "cert").read_bytes())
    return True


def make_host(authority: Path, directory: Path, host: HostNames, days: int) -> tuple[Path, ...]:
    """Make a host's key and certificate, laid out below its own directory, which must not exist. Return its files."""
    check_names(host)
    if directory.exists():
        raise RefusedError(f"{directory} is there already: nothing is written over; move it away to make new ones")
    ca_cert = authority / CA_CERT
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch)
        _configure(made, host.host, host.names)
        _make_key(made / "key")
        _run(
            *("req", "-new", "-sha256", "-key", str(made / "key"), "-config", str(made / "config")),
            *("-out", str(made / "request")),
        )
        _run(
            *("x509", "-req", "-sha256", "-in", str(made / "request"), "-CA", str(ca_cert)),
            *("-CAkey", str(authority / CA_KEY), "-set_serial", f"0x{secrets.token_hex(16)}"),
            *("-extfile", str(made / "config"), "-extensions", "host", "-days", str(days), "-out", str(made / "cert")),
        )
        parts = {
            "ca": ca_cert.read_bytes(),
            "cert": (made / "cert").read_bytes(),
            "key": (made / "key").read_bytes(),
        }
    for place, part in PLACES.items():
        _put(directory / place, parts[part], secret=part == "key")
    _put(directory / "INSTALL.txt", INSTALL.format(host=host.host).encode())
    return tuple(directory / place for place in PLACES)


def _configure(directory: Path, name: str, names: Sequence[str]) -> None:
    shown = ", ".join(f"{'IP' if _is_address(one) else 'DNS'}:{one}" for one in dict.fromkeys(names))
    _put(directory / "config", _CONFIG.format(name=name, names=shown).encode())


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _make_key(path: Path) -> None:
    _put(path, _run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"), secret=True)


def _put(path: Path, text: bytes, *, secret: bool = False) -> None:
    """Write a new file; a key is never readable by anybody else, not even while it is written."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    except FileExistsError:
        raise RefusedError(f"{path} is there already: nothing is written over") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)


def _run(*arguments: str) -> bytes:
    try:
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, timeout=PROGRAM_S, check=False)
    except FileNotFoundError:
        raise RefusedError(f"{PROGRAM} is not installed here: apt-get install {PROGRAM}") from None
    except subprocess.TimeoutExpired:
        raise RefusedError(f"{PROGRAM} {arguments[0]} did not end within {PROGRAM_S} s") from None
    if done.returncode != 0:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise RefusedError(f"{PROGRAM} {arguments[0]} failed: {said}")
    return done.stdout
