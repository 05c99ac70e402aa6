"""The daemon without its store: no acting, one clear line, and it goes on by itself when the store is back."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.store.redis_process import PROGRAM, WHY_SKIPPED, RedisProcess

ROOT = Path(__file__).resolve().parents[3]

pytestmark = [pytest.mark.redis, pytest.mark.slow, pytest.mark.skipif(PROGRAM is None, reason=WHY_SKIPPED)]


@pytest.fixture
def server() -> Iterator[RedisProcess]:
    """A real server that the test may stop and start."""
    process = RedisProcess()
    process.start()
    yield process
    process.remove()


def _until(holds: Callable[[], bool], most_s: float = 40) -> None:
    deadline = time.monotonic() + most_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_redis_gone_is_one_line_and_work_goes_on_when_it_is_back(server: RedisProcess) -> None:
    """In the middle of a plan: nothing is started without it, nothing fails, and the plan is finished afterwards."""
    command = [sys.executable, "-c", "import sys; from scheduler.cli import main; sys.exit(main())", "run"]
    command += ["--config", str(ROOT / "config" / "demo.toml"), "--set", f"store.url={server.url}"]
    command += ["--set", "migration.per_cluster=2", "--set", "scheduler.work_limit=0.3", "--for", "600"]
    lines: list[str] = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None

        def read() -> None:
            assert daemon.stdout is not None
            lines.extend(iter(daemon.stdout.readline, ""))

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            _until(lambda: any(" done     " in line for line in lines))
            server.stop()
            _until(lambda: any("not acting until it is back" in line for line in lines))
            time.sleep(5)
            quiet = len([line for line in lines if " started  " in line])
            time.sleep(2)
            assert len([line for line in lines if " started  " in line]) == quiet
            server.start()
            _until(lambda: any("all is well again" in line for line in lines))
            _until(lambda: len([line for line in lines if " started  " in line]) > quiet)
        finally:
            daemon.terminate()
            daemon.wait(30)
            reader.join(10)
    gone = [line for line in lines if "not acting until it is back" in line]
    assert len(gone) == 1
    assert server.url in gone[0] and "check that Redis runs there" in gone[0]
    assert not [line for line in lines if " failed   " in line or "internal error" in line]
