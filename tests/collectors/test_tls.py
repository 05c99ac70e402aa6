"""Whether a host's migrations can be encrypted, by the files that libvirt has QEMU look for."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.tls import CLIENT_FILES, SERVER_FILES, migration_tls

NOWHERE = Path("/nonexistent")


def put(directory: Path, names: tuple[str, ...]) -> Path:
    """Write empty files."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).touch()
    return directory


def conf(tmp_path: Path, text: str) -> Path:
    """Write a qemu.conf."""
    path = tmp_path / "qemu.conf"
    path.write_text(text)
    return path


def test_all_files_are_needed(tmp_path: Path) -> None:
    """A source shows a certificate, too."""
    directory = put(tmp_path / "pki", SERVER_FILES)
    assert migration_tls(NOWHERE, NOWHERE, directory) is False
    put(directory, CLIENT_FILES)
    assert migration_tls(NOWHERE, NOWHERE, directory) is True
    (directory / "server-key.pem").unlink()
    assert migration_tls(NOWHERE, NOWHERE, directory) is False


@pytest.mark.parametrize("setting", ['migrate_tls_x509_cert_dir = "{}"', 'default_tls_x509_cert_dir="{}"  # ours'])
def test_the_directory_is_libvirts(tmp_path: Path, setting: str) -> None:
    """As qemu.conf says; a line that is commented out says nothing."""
    directory = put(tmp_path / "other", SERVER_FILES + CLIENT_FILES)
    assert migration_tls(conf(tmp_path, setting.format(directory)), NOWHERE, NOWHERE) is True
    assert migration_tls(conf(tmp_path, "#" + setting.format(directory)), NOWHERE, NOWHERE) is False


def test_libvirts_own_directory_for_migrations_goes_before_the_default(tmp_path: Path) -> None:
    """Where it exists, whatever is in the other."""
    own = put(tmp_path / "libvirt-migrate", ())
    default = put(tmp_path / "qemu", SERVER_FILES + CLIENT_FILES)
    assert migration_tls(NOWHERE, own, default) is False
    assert migration_tls(NOWHERE, NOWHERE, default) is True


def test_a_target_that_asks_for_no_certificate_needs_none_shown(tmp_path: Path) -> None:
    """migrate_tls_x509_verify = 0."""
    directory = put(tmp_path / "pki", SERVER_FILES)
    assert migration_tls(conf(tmp_path, "migrate_tls_x509_verify = 0"), NOWHERE, directory) is True
