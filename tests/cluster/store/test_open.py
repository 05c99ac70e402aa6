"""From `store.url` to a back end: what is accepted, what is refused with one line, and that no password ever shows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.clock import SystemClock
from cluster.config.settings import StoreSettings
from cluster.errors import InputError, StoreUnavailableError
from cluster.store.address import redis_server
from cluster.store.memory import MemoryStore
from cluster.store.open import open_store
from tests.cluster.store.redis_process import PROGRAM, WHY_SKIPPED, RedisProcess

SECRET = "s3cr3t-pa55"


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    """A file with a password that only its owner may read."""
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def options_of(settings: StoreSettings) -> dict[str, Any]:
    """Return what the connections of a store are made with."""
    options = redis_server(settings)._client.connection_pool.connection_kwargs
    assert isinstance(options, dict)
    return options


def test_memory_is_the_reference() -> None:
    """`memory:` is for tests and the simulator, and says that it is not safe."""
    store = open_store(StoreSettings(url="memory:"), SystemClock())
    assert isinstance(store, MemoryStore)
    (problem,) = store.durability_problems()
    assert "lost with the process" in problem


def test_opening_loads_redis_only_when_needed() -> None:
    """Verbs that need no Redis do not pay for its client."""
    text = (
        "import sys, cluster.store, cluster.store.open as o, cluster.config.settings as s, cluster.clock as c\n"
        "o.open_store(s.StoreSettings(url='memory:'), c.SystemClock())\n"
        "sys.exit('redis' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", text], cwd=Path(__file__).parents[3], check=False).returncode == 0


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://db1", {"host": "db1", "port": 6379, "db": 0}),
        ("redis://db1:6380/3", {"host": "db1", "port": 6380, "db": 3}),
        ("rediss://[fd00::1]:7000/", {"host": "fd00::1", "port": 7000, "db": 0}),
    ],
)
def test_a_url_names_host_port_and_database(url: str, expected: dict[str, Any]) -> None:
    """Port and database have Redis's defaults."""
    assert options_of(StoreSettings(url=url)).items() >= expected.items()


def test_user_and_password_come_from_settings_and_file(password_file: Path) -> None:
    """The user stands in the URL or beside it; the password in its file, less its line's end."""
    for settings in (
        StoreSettings(url="redis://ann@db1", password_file=str(password_file)),
        StoreSettings(url="redis://db1", user="ann", password_file=str(password_file)),
    ):
        assert options_of(settings).items() >= {"username": "ann", "password": SECRET}.items()


def test_an_encrypted_connection_checks_the_server(tmp_path: Path) -> None:
    """`rediss://` checks certificate and name, against the authority's file when one is given."""
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("", encoding="utf-8")
    server = redis_server(StoreSettings(url="rediss://db1", ca_file=str(ca_file)))
    connection = server._client.connection_pool.make_connection()
    assert (connection.ca_certs, connection.check_hostname) == (str(ca_file), True)
    assert connection.cert_reqs.name == "CERT_REQUIRED"


REFUSED = [
    ({"url": "http://db1"}, r"store\.url: found http://db1; allowed: embedded: \| redis://"),
    ({"url": ""}, r"store\.url: found nothing; allowed"),
    ({"url": "redis://"}, r"store\.url: found redis:; allowed"),
    ({"url": "redis://db1?x=1"}, r"allowed: embedded:"),
    ({"url": "redis://db1:99999"}, r"port is no number from 1 to 65535"),
    ({"url": "redis://db1/main"}, r"found database main; allowed: a number"),
    ({"url": "unix:redis.sock"}, r"needs its whole path"),
    ({"url": "embedded:/var/lib/x"}, r"write embedded: alone and set store\.directory"),
    ({"url": f"redis://ann:{SECRET}@db1"}, r"store\.password_file"),
    ({"url": f"http://ann:{SECRET}@db1"}, r"found http://db1; allowed"),
    ({"url": f"redis://ann:{SECRET}@db1?x=1"}, r"found redis://db1\?x=1; allowed"),
    ({"url": "redis://ann@db1", "user": "bob"}, r"names user ann and store\.user names bob"),
    ({"url": "redis://ann@db1"}, r"store\.password_file is not set"),
    ({"url": "redis://db1", "password_file": "/nowhere/password"}, r"store\.password_file: there is no file"),
    ({"url": "rediss://db1", "ca_file": "/nowhere/ca.pem"}, r"store\.ca_file: there is no file"),
    ({"url": "redis://db1", "ca_file": "/nowhere/ca.pem"}, r"not encrypted; use rediss://"),
]


@pytest.mark.parametrize(("keys", "says"), REFUSED)
def test_settings_that_cannot_be_are_refused(keys: dict[str, Any], says: str) -> None:
    """One line names the key, what was found and what is allowed, and never shows a password."""
    with pytest.raises(InputError, match=says) as caught:
        open_store(StoreSettings(**keys), SystemClock())
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_password_open_to_everyone_is_refused(password_file: Path) -> None:
    """The line says how to close it."""
    password_file.chmod(0o644)
    with pytest.raises(InputError, match="open to every user of this machine; run: chmod o="):
        open_store(StoreSettings(url="redis://db1", password_file=str(password_file)), SystemClock())


def test_an_empty_password_is_refused(password_file: Path) -> None:
    """An empty file is a slip, not a password."""
    password_file.write_text("\n", encoding="utf-8")
    with pytest.raises(InputError, match="is empty"):
        open_store(StoreSettings(url="redis://db1", password_file=str(password_file)), SystemClock())


@pytest.fixture
def locked_process() -> Iterator[RedisProcess]:
    """A server that wants a password."""
    if PROGRAM is None:
        pytest.skip(WHY_SKIPPED)
    process = RedisProcess("--requirepass", SECRET)
    process.start()
    yield process
    process.remove()


@pytest.mark.redis
def test_a_password_opens_the_server_and_a_wrong_one_does_not(
    locked_process: RedisProcess, password_file: Path
) -> None:
    """With the right password the store answers; else one line names the keys to check, without any password."""
    right = StoreSettings(url=locked_process.url, password_file=str(password_file))
    store = open_store(right, SystemClock())
    store.ping()
    store.close()
    other = password_file.with_name("other")
    other.write_text(f"wrong-{SECRET}", encoding="utf-8")
    other.chmod(0o600)
    for settings in (
        StoreSettings(url=locked_process.url),
        StoreSettings(url=locked_process.url, password_file=str(other)),
    ):
        store = open_store(settings, SystemClock())
        with pytest.raises(StoreUnavailableError, match=r"refuses this user: .*store\.password_file") as caught:
            store.ping()
        assert SECRET not in str(caught.value)
        assert "\n" not in str(caught.value)
        store.close()
