"""A store behind TLS with a user and a password file: a real server with certificates of the tests' own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.clock import SystemClock
from cluster.config.settings import StoreSettings
from cluster.errors import StoreUnavailableError
from cluster.store.open import open_store
from tests.cluster.store.redis_process import PROGRAM, WHY_SKIPPED

OPENSSL = shutil.which("openssl")

pytestmark = [
    pytest.mark.redis,
    pytest.mark.skipif(PROGRAM is None, reason=WHY_SKIPPED),
    pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed: no certificates for the TLS test"),
]


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a self-signed certificate for loopback; return (certificate, key)."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    asked = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -addext subjectAltName=IP:127.0.0.1".split()
    written = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([str(OPENSSL), *asked, *written], check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Yield the URL of a server that speaks TLS alone and wants a login, and its certificate."""
    certificate, key = _certificate(tmp_path, "server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"--port 0 --tls-port {port} --bind 127.0.0.1 --tls-auth-clients no --dir {tmp_path}".split()
    options += ["--save", "", "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    options += ["--user", "trimtab", "on", ">sesame", "~*", "&*", "+@all", "--user", "default", "off"]
    process = subprocess.Popen([str(PROGRAM), *options], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"rediss://trimtab@127.0.0.1:{port}/0", certificate
    finally:
        process.terminate()
        process.wait(10)


def _settings(folder: Path, url: str, ca_file: Path, password: str = "sesame") -> StoreSettings:
    secret = folder / "password"
    secret.write_text(password + "\n", encoding="utf-8")
    secret.chmod(0o600)
    return StoreSettings(url=url, password_file=str(secret), ca_file=str(ca_file))


def test_a_store_behind_tls_works(tls_server: tuple[str, Path], tmp_path: Path) -> None:
    """With the right certificate and password it is a store like any other."""
    url, certificate = tls_server
    store = open_store(_settings(tmp_path, url, certificate), SystemClock())
    try:
        store.set_flag("paused", "a person")
        assert store.flags() == {"paused": "a person"}
    finally:
        store.close()


def test_an_unknown_certificate_is_refused(tls_server: tuple[str, Path], tmp_path: Path) -> None:
    """A server that another authority vouches for is not talked to."""
    other, _ = _certificate(tmp_path, "other")
    store = open_store(_settings(tmp_path, tls_server[0], other), SystemClock())
    with pytest.raises(StoreUnavailableError, match="certificate"):
        store.ping()
    store.close()


def test_a_wrong_password_is_refused_and_not_shown(tls_server: tuple[str, Path], tmp_path: Path) -> None:
    """The line says what is wrong without the secret."""
    url, certificate = tls_server
    store = open_store(_settings(tmp_path, url, certificate, "open-says-me"), SystemClock())
    with pytest.raises(StoreUnavailableError) as error:
        store.ping()
    assert "open-says-me" not in str(error.value)
    assert "\n" not in str(error.value)
    store.close()
