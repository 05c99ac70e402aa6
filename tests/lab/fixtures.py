"""Pytest fixtures of the lab: `lab` for a test, `running_lab` for a module; skipped where it cannot run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab
from tests.lab.needs import lab_missing
from tests.lab.redis import LabRedis

# Another test run on the same machine may hold the lab.
_LOCK_WAIT_S = 300


@pytest.fixture(scope="module")
def running_lab() -> Iterator[Lab]:
    """Three hosts for a whole module, as its tests leave them."""
    missing = lab_missing()
    if missing:
        pytest.skip(missing)
    lab = Lab(hosts=3)
    lab.start(wait_for_lock_s=_LOCK_WAIT_S)
    try:
        yield lab
    finally:
        lab.stop()


@pytest.fixture
def lab(running_lab: Lab, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Three empty hosts in working order; a failing test shows what their libvirtd and QEMU said."""
    running_lab.clear()
    failed_before = request.session.testsfailed
    yield running_lab
    if request.session.testsfailed > failed_before:
        print(running_lab.logs())


@pytest.fixture
def lab_redis(lab: Lab) -> Iterator[LabRedis]:
    """A Redis that the lab's hosts reach, empty at the start of each test."""
    with LabRedis(lab) as redis:
        yield redis
