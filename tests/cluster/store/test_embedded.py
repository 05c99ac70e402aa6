"""The private Redis: started, shared, kept and ended with its owner, whatever way the owner ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from cluster.clock import SystemClock
from cluster.config.settings import StoreSettings
from cluster.errors import InputError, RefusedError, StoreUnavailableError
from cluster.plan import PlanState
from cluster.store import embedded
from cluster.store.open import open_store
from cluster.store.protocol import Store
from tests.cluster.store.builders import plan
from tests.cluster.store.redis_process import PROGRAM, WHY_SKIPPED, client_of

ROOT = Path(__file__).resolve().parents[3]
OWNER = """
import os, sys, time
from cluster.clock import SystemClock
from cluster.config.settings import StoreSettings
from cluster.plan import PlanState
from cluster.store.open import open_store
from tests.cluster.store.builders import plan
from tests.cluster.store.harness import START
store = open_store(StoreSettings(directory=sys.argv[1]), SystemClock(), own=True)
store.open_plan(plan("p"), PlanState.ACTIVE, store.acquire_lease("one", 60).token, START)
print("ready", flush=True)
if sys.argv[2] != "none":
    if os.fork() == 0:
        if sys.argv[2] == "closes":
            store.close()
        print(os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.fixture
def settings() -> Iterator[StoreSettings]:
    """Settings with a directory of this test's own, which no server uses any more at the end."""
    directory = Path(tempfile.mkdtemp(prefix="trimtab-"))
    yield StoreSettings(directory=str(directory / "store"), timeout_s=2.0)
    assert not answers(directory / "store"), "a private redis-server was left behind"
    shutil.rmtree(directory)


needs_redis = pytest.mark.skipif(PROGRAM is None, reason=WHY_SKIPPED)


def answers(directory: Path) -> bool:
    """Tell whether a server answers on a directory's socket."""
    try:
        with client_of(directory / embedded.SOCKET) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def opened(settings: StoreSettings, own: bool) -> Store:
    """Open the embedded store."""
    return open_store(settings, SystemClock(), own=own)


def pid_of_server(settings: StoreSettings) -> int:
    """Return the private server's process id, as the server says it."""
    with client_of(Path(settings.directory) / embedded.SOCKET) as client:
        return int(client.info("server")["process_id"])


def wait_until_gone(pid: int) -> None:
    """Wait until a process is no more (or only a zombie of init's), five seconds at most."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        time.sleep(0.02)
    raise AssertionError(f"process {pid} is still there")


def owner_process(settings: StoreSettings, worker: str = "none") -> subprocess.Popen[str]:
    """Start another process that owns the store and has an active plan in its journal, and perhaps a forked worker."""
    command = [sys.executable, "-c", OWNER, settings.directory, worker]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.redis
@needs_redis
def test_what_was_written_is_there_at_the_next_start(settings: StoreSettings) -> None:
    """The private server is safe for a journal, listens on no port, ends with close and finds everything again."""
    store = opened(settings, own=True)
    pid = pid_of_server(settings)
    assert store.durability_problems() == ()
    with client_of(Path(settings.directory) / embedded.SOCKET) as client:
        assert client.config_get("port") == {"port": "0"}
    assert Path(settings.directory).stat().st_mode & 0o077 == 0
    store.set_flag("paused", "by ann")
    store.close()
    store.close()
    wait_until_gone(pid)
    store = opened(settings, own=True)
    assert store.flags() == {"paused": "by ann"}
    store.close()


@pytest.mark.redis
@needs_redis
def test_a_killed_owner_takes_its_server_along_and_loses_nothing(settings: StoreSettings) -> None:
    """After kill -9 of the owner its server ends by itself, and the next owner finds the journal."""
    owner = owner_process(settings)
    pid = pid_of_server(settings)
    owner.kill()
    owner.communicate()
    wait_until_gone(pid)
    store = opened(settings, own=True)
    active = store.active_plan()
    assert active is not None and active.plan == plan("p") and active.state is PlanState.ACTIVE
    store.close()


@pytest.mark.redis
@needs_redis
def test_the_next_owner_need_not_wait_for_the_old_server(settings: StoreSettings) -> None:
    """Started right after kill -9, the new owner waits out the old server: never two on the same files."""
    owner = owner_process(settings)
    old = pid_of_server(settings)
    owner.kill()
    store = opened(settings, own=True)
    owner.communicate()
    assert pid_of_server(settings) != old
    assert store.active_plan() is not None
    store.close()


@pytest.mark.redis
@needs_redis
@pytest.mark.parametrize("does", ["closes", "nothing"])
def test_a_forked_worker_neither_ends_nor_keeps_the_server(settings: StoreSettings, does: str) -> None:
    """A worker's close ends nothing, and a worker that outlives its killed owner does not hold the directory."""
    owner = owner_process(settings, worker=does)
    assert owner.stdout is not None
    worker = int(owner.stdout.readline())
    pid = pid_of_server(settings)
    owner.kill()
    wait_until_gone(pid)
    store = opened(settings, own=True)
    assert store.active_plan() is not None
    assert Path(f"/proc/{worker}").exists(), "the worker was to outlive its owner"
    os.kill(worker, signal.SIGKILL)
    store.close()


@pytest.mark.redis
@needs_redis
def test_a_server_left_over_without_its_owner_is_ended(
    settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernel could not end it with its owner, the next owner does, and keeps what it wrote."""
    real = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "setpriv" else real(name))
    orphan = embedded.PrivateRedis(*prepared(settings))
    orphan.start(2.0)
    store = opened(settings, own=False)
    store.set_flag("paused", "x")
    store.close()
    os.close(orphan._owner_lock)  # as if its owner had died: the server alone goes on
    os.close(orphan._server_lock)
    orphan._owner_lock = -1
    orphan._stopping.set()
    pid = pid_of_server(settings)
    new = opened(settings, own=True)
    assert pid_of_server(settings) != pid
    assert new.flags() == {"paused": "x"}
    new.close()


def prepared(settings: StoreSettings) -> tuple[Path, int]:
    """Return the store's directory, made and locked."""
    directory = Path(settings.directory)
    embedded._prepare(directory)
    lock = embedded._owner_lock(directory, lambda: False)
    assert lock is not None
    return directory, lock


@pytest.mark.redis
@needs_redis
def test_a_private_server_that_dies_is_started_again(settings: StoreSettings) -> None:
    """The owner's next calls fail with one line, then work, with everything that was written."""
    store = opened(settings, own=True)
    store.set_flag("paused", "x")
    os.kill(pid_of_server(settings), signal.SIGKILL)
    deadline = time.monotonic() + 10
    failures = 0
    while True:
        try:
            assert store.flags() == {"paused": "x"}
            break
        except StoreUnavailableError:
            failures += 1
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert failures
    store.close()


@pytest.mark.redis
@needs_redis
def test_other_verbs_join_the_running_server(settings: StoreSettings) -> None:
    """While an owner runs, another opens the same server, and closing leaves it running."""
    owner = opened(settings, own=True)
    guest = opened(settings, own=False)
    guest.set_flag("paused", "x")
    guest.close()
    assert owner.flags() == {"paused": "x"}
    owner.close()


@pytest.mark.redis
@needs_redis
def test_other_verbs_have_their_own_server_for_a_moment(settings: StoreSettings) -> None:
    """With no owner running, a verb starts one and ends it, so that nothing stays behind."""
    for expected in ({}, {"paused": "x"}):
        store = opened(settings, own=False)
        assert store.flags() == expected
        store.set_flag("paused", "x")
        pid = pid_of_server(settings)
        store.close()
        wait_until_gone(pid)


@pytest.mark.redis
@needs_redis
def test_a_second_owner_is_refused(settings: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """One daemon per directory: the other is told which process has it."""
    monkeypatch.setattr(embedded, "_LOCK_WAIT_S", 0.1)
    owner = owner_process(settings)
    with pytest.raises(RefusedError, match=rf"process {owner.pid}\); stop that one, or set another store\.directory"):
        opened(settings, own=True)
    owner.terminate()
    owner.communicate()
    wait_for_silence(settings)


def wait_for_silence(settings: StoreSettings) -> None:
    """Wait until no server answers."""
    deadline = time.monotonic() + 5
    while answers(Path(settings.directory)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.redis
@needs_redis
def test_a_server_that_cannot_start_says_why(settings: StoreSettings) -> None:
    """Broken files end the start with one line that names the log, and nothing is left running or locked."""
    opened(settings, own=True).close()
    (manifest,) = Path(settings.directory, "appendonlydir").glob("*.manifest")
    manifest.write_text("nonsense\n", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match=r"does not start: .*look at .*redis\.log") as caught:
            opened(settings, own=True)
        assert "\n" not in str(caught.value)


def test_a_missing_redis_server_is_named(settings: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what to install."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(StoreUnavailableError, match="apt-get install redis-server"):
        opened(settings, own=True)


def test_a_directory_that_cannot_be_made_is_refused(settings: StoreSettings) -> None:
    """A file in its way: one line naming the directory and the key to set."""
    Path(settings.directory).write_text("", encoding="utf-8")
    below = replace(settings, directory=f"{settings.directory}/store")
    with pytest.raises(InputError, match=r"cannot be made: .*; set store\.directory"):
        opened(below, own=True)


def test_a_directory_that_cannot_be_written_is_refused(
    settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line naming the directory and the key to set."""
    Path(settings.directory).mkdir(mode=0o500)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # what a user other than root is told
    with pytest.raises(InputError, match=r"cannot be written; set store\.directory"):
        opened(settings, own=True)


def test_a_directory_too_long_for_a_socket_is_refused(settings: StoreSettings) -> None:
    """The kernel allows a socket 107 bytes of path."""
    with pytest.raises(InputError, match="name a shorter one"):
        opened(replace(settings, directory=f"/tmp/{'x' * 100}"), own=False)
