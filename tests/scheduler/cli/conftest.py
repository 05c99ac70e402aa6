"""What the command line's tests share: clusters in files, and one way to call the program."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster.config.settings import Settings, SimulatorSettings
from cluster.formats.cluster_file import load_cluster, write_cluster
from cluster.store.memory import MemoryStore
from scheduler.cli import main
from simulator.build import demo_world, world_from_snapshot
from simulator.clock import SimClock
from simulator.fleet import SimFleet
from simulator.world import World
from tests.reports.samples import TAKEN_AT
from tests.scheduler.cli.bench import CLOCK


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


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """One store for every verb called in a test."""
    shared = MemoryStore(CLOCK)
    for module in ("scheduler.cli.live", "scheduler.wiring", "scheduler.cli.verbs.doctor"):
        monkeypatch.setattr(f"{module}.open_store", lambda *_, **__: shared)
    return shared


@pytest.fixture
def world(tiny_file: Path) -> World:
    """The tiny cluster, alive."""
    return world_from_snapshot(load_cluster(tiny_file), CLOCK)


@pytest.fixture
def reported(store: MemoryStore, world: World) -> SimFleet:
    """Agents that have just reported; `collect` reports again."""
    fleet = SimFleet(world, store, CLOCK, Settings().collect)
    fleet.collect()
    return fleet


@pytest.fixture
def simulated(trimtab: Call, tiny_file: Path, tmp_path: Path, store: MemoryStore) -> Call:
    """The program with a configuration whose cluster is simulated in its own process."""
    config = tmp_path / "simulated.toml"
    config.write_text(
        f'[scheduler]\nwork_limit = 0.2\n[gate]\nkill_switch = "{tmp_path / "stop"}"\n'
        f'[collect]\nsource = "simulated"\ninterval_s = 0.5\n[simulator]\ncluster_file = "{tiny_file}"\n'
        "[reserve]\nmemory_mib = 0\nmemory_ratio = 0.0\n"
    )
    return lambda *arguments: trimtab(*arguments, "--config", str(config))
