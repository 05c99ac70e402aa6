"""Whether migrations of this host can be encrypted: QEMU's certificates, where libvirt has it look for them."""

from __future__ import annotations

import re
from pathlib import Path

QEMU_CONF = Path("/etc/libvirt/qemu.conf")
MIGRATION_DIRECTORY = Path("/etc/pki/libvirt-migrate")
DEFAULT_DIRECTORY = Path("/etc/pki/qemu")

SERVER_FILES = ("ca-cert.pem", "server-cert.pem", "server-key.pem")
CLIENT_FILES = ("client-cert.pem", "client-key.pem")
"""A source shows a certificate, too, unless the target is told not to ask for one."""

_SETTING = re.compile(r"^\s*(\w+)\s*=\s*\"?([^\"#\n]*)\"?", re.MULTILINE)


def migration_tls(
    conf: Path = QEMU_CONF, own: Path = MIGRATION_DIRECTORY, default: Path = DEFAULT_DIRECTORY
) -> bool | None:
    """Tell whether every file is there; `None` when this process may not look."""
    try:
        settings = read_settings(conf.read_text(encoding="utf-8", errors="replace")) if conf.exists() else {}
        return all((directory_of(settings, own, default) / name).is_file() for name in files_of(settings))
    except OSError:
        return None


def read_settings(text: str) -> dict[str, str]:
    """Return the settings of a qemu.conf, as texts."""
    return {key: value.strip() for key, value in _SETTING.findall(text)}


def directory_of(settings: dict[str, str], own: Path, default: Path) -> Path:
    """Return where QEMU looks for a migration's certificates, by libvirt's rules."""
    if configured := settings.get("migrate_tls_x509_cert_dir"):
        return Path(configured)
    if own.exists():
        return own
    return Path(settings.get("default_tls_x509_cert_dir") or default)


def files_of(settings: dict[str, str]) -> tuple[str, ...]:
    """Return the files that both being source and being target takes."""
    verify = settings.get("migrate_tls_x509_verify") or settings.get("default_tls_x509_verify") or "1"
    return SERVER_FILES if verify == "0" else SERVER_FILES + CLIENT_FILES
