"""Small clusters made by hand for tests of the solver and the policies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from cluster.guest import Guest, Usage
from cluster.host import Host, PowerModel
from cluster.rules import Rule, Selector
from cluster.snapshot import Snapshot

GIB = 1024
POWER = PowerModel(controllable=True, watts=((0.0, 100.0), (1.0, 300.0)), sleep_watts=5.0)


def host(name: str, gib: int = 64, cores: int = 32, **more: Any) -> Host:
    """A host that may sleep, of 64 GiB and 32 cores unless said otherwise."""
    return Host(**{"id": name, "cpu_millicores": cores * 1000, "memory_mib": gib * GIB, "power": POWER, **more})


def guest(name: str, on: str, gib: int = 8, cores: float = 1.0, **more: Any) -> Guest:
    """A guest of 8 GiB that uses one core unless said otherwise."""
    usage = Usage(cpu_millicores=round(cores * 1000))
    return Guest(**{"id": name, "host": on, "vcpus": 2, "memory_mib": gib * GIB, "usage": usage, **more})


def cluster(hosts: Iterable[Host], guests: Iterable[Guest], rules: Iterable[Rule] = ()) -> Snapshot:
    """A snapshot of them."""
    return Snapshot("by-hand", datetime(2026, 11, 22, 20, tzinfo=UTC), tuple(hosts), tuple(guests), tuple(rules))


def these(*ids: str) -> Selector:
    """A selector of ids."""
    return Selector(ids=ids)


def hosts_of(placement: Mapping[str, str], *guests: str) -> set[str]:
    """The hosts some guests are on."""
    return {placement[one] for one in guests}
