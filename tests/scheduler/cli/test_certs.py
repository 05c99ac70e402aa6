"""`trimtab certs`: what it makes, for whom, who may read it, and that nothing is written over."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.scheduler.cli.conftest import Call

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def verified(authority: Path, cert: Path, purpose: str, name: tuple[str, str]) -> bool:
    """Ask openssl whether a certificate is the authority's, for this purpose and host."""
    checks = ["-CAfile", str(authority), "-purpose", purpose, f"-verify_{name[0]}", name[1]]
    return subprocess.run(["openssl", "verify", *checks, str(cert)], capture_output=True, check=False).returncode == 0


def test_a_hosts_certificate_is_good_for_both_ends_and_all_its_names(trimtab: Call, tmp_path: Path) -> None:
    """As server and as client, by name and by address, and not for another host."""
    assert trimtab("certs", "--out", str(tmp_path), "kvm-1=kvm-1.example.org,10.0.8.1").status == 0
    authority = tmp_path / "ca" / "ca-cert.pem"
    for place in ("etc/pki/qemu/server-cert.pem", "etc/pki/qemu/client-cert.pem", "etc/pki/libvirt/servercert.pem"):
        cert = tmp_path / "kvm-1" / place
        for purpose in ("sslserver", "sslclient"):
            for name in (("hostname", "kvm-1"), ("hostname", "kvm-1.example.org"), ("ip", "10.0.8.1")):
                assert verified(authority, cert, purpose, name), (place, purpose, name)
        assert not verified(authority, cert, "sslserver", ("hostname", "kvm-2"))


def test_keys_are_their_owners_alone(trimtab: Call, tmp_path: Path) -> None:
    """Nobody else reads a key; everybody may read a certificate."""
    trimtab("certs", "--out", str(tmp_path), "kvm-1")
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.rglob("*.pem")}
    assert {mode for name, mode in modes.items() if "key" in name} == {0o600}
    assert modes["server-cert.pem"] == modes["cacert.pem"] == 0o644


def test_another_host_gets_its_certificate_of_the_same_authority(trimtab: Call, tmp_path: Path) -> None:
    """The authority is made once."""
    trimtab("certs", "--out", str(tmp_path), "kvm-1")
    before = (tmp_path / "ca" / "ca-key.pem").read_bytes()
    assert trimtab("certs", "--out", str(tmp_path), "kvm-2").status == 0
    assert (tmp_path / "ca" / "ca-key.pem").read_bytes() == before
    cert = tmp_path / "kvm-2" / "etc/pki/qemu/server-cert.pem"
    assert verified(tmp_path / "ca" / "ca-cert.pem", cert, "sslserver", ("hostname", "kvm-2"))


def test_nothing_is_written_over(trimtab: Call, tmp_path: Path) -> None:
    """A host that has its files keeps them, and so does a directory with half an authority."""
    trimtab("certs", "--out", str(tmp_path), "kvm-1")
    key = tmp_path / "kvm-1" / "etc/pki/qemu/server-key.pem"
    before = key.read_bytes()
    ended = trimtab("certs", "--out", str(tmp_path), "kvm-1")
    assert (ended.status, key.read_bytes()) == (1, before)
    assert "nothing is written over" in ended.err
    (tmp_path / "ca" / "ca-key.pem").unlink()
    assert "only one of" in trimtab("certs", "--out", str(tmp_path), "kvm-2").err
    assert not (tmp_path / "kvm-2").exists()


@pytest.mark.parametrize("host", ["../evil", "kvm 1", "kvm-1=a\nb", "-x"])
def test_names_that_are_none_are_refused(trimtab: Call, tmp_path: Path, host: str) -> None:
    """Nothing is made of them."""
    assert trimtab("certs", "--out", str(tmp_path / "pki"), "--", host).status == 2
    assert not (tmp_path / "pki").exists()
