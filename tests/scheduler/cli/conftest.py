"""What the command line's tests share: clusters in files, and one way to call the program."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster.config.settings import SimulatorSettings
from cluster.formats.cluster_file import write_cluster
from scheduler.cli import main
from simulator.build import demo_world
from simulator.clock import SimClock
from tests.reports.samples import TAKEN_AT


@dataclass(frozen=True)
class Ended:
    """How a call ended: its exit status and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document on stdout, which must be all there is."""
        return json.loads(self.out)


Call = Callable[..., Ended]


@pytest.fixture
def trimtab(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Call the program in this process, with a configuration of its own."""
    config = tmp_path / "trimtab.toml"
    config.write_text(f'[store]\ndirectory = "{tmp_path / "store"}"\n')

    def call(*arguments: str) -> Ended:
        capfd.readouterr()
        given = arguments if "--config" in arguments else (*arguments, "--config", str(config))
        status = main(given)
        captured = capfd.readouterr()
        return Ended(status, captured.out, captured.err)

    return call


def demo_cluster(hosts: int, guests: int, skew: float = 0.7) -> str:
    """A made-up cluster as a file's text."""
    world = demo_world(SimulatorSettings(hosts=hosts, guests=guests, skew=skew), SimClock(TAKEN_AT))
    return write_cluster(world.snapshot())


@pytest.fixture(scope="session")
def cluster_text() -> str:
    """A small cluster with work to do."""
    return demo_cluster(5, 30)


@pytest.fixture
def cluster_file(tmp_path: Path, cluster_text: str) -> Path:
    """The same in a file."""
    path = tmp_path / "cluster.json"
    path.write_text(cluster_text)
    return path


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    """Three hosts and three guests, all on one: two of them must be apart, and are not."""
    document = {
        "schema": "trimtab.cluster/1",
        "taken_at": "2026-11-22T20:00:00Z",
        "hosts": [{"id": name, "cpu_millicores": 8000, "memory_mib": 16384} for name in ("a", "b", "c")],
        "guests": [
            {
                "id": f"g{number}",
                "name": f"web-{number}",
                "host": "a",
                "vcpus": 1,
                "memory_mib": 1024,
                "usage": {"cpu_millicores": 500},
                "labels": {"app": "web"} if number < 3 else {},
            }
            for number in (1, 2, 3)
        ],
        "rules": [{"kind": "anti_affinity", "name": "web-apart", "guests": {"app": "web"}}],
    }
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(document))
    return path
