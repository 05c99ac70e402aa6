"""Units, outlooks and snapshots for tests of the energy policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from cluster.config.settings import ConsolidateSettings, Mode, SchedulerSettings, Settings
from cluster.host import Host, PowerModel, PowerState
from cluster.snapshot import Snapshot
from scheduler.energy.commitment import Demand
from scheduler.energy.outlook import Outlook
from scheduler.energy.units import Unit
from tests.scheduler.solver.clusters import cluster, guest, host

NOW = datetime(2026, 11, 24, 1, tzinfo=UTC)
POWER = PowerModel(controllable=True, watts=((0.0, 100.0), (1.0, 200.0)), sleep_watts=5.0, wake_s=120.0, sleep_s=20.0)


def unit(name: str, *, cores: int = 10, gib: int = 64, is_on: bool = True, why_on: str | None = None) -> Unit:
    """A host of 10 cores and 64 GiB at its limits."""
    return Unit(
        id=name,
        cell=name,
        cpu_millicores=cores * 1000,
        memory_mib=gib * 1024,
        idle_watts=100.0,
        full_watts=200.0,
        sleep_watts=5.0,
        wake_s=120.0,
        sleep_s=20.0,
        is_on=is_on,
        why_on=why_on,
    )


def demand(*cores: float, gib: int = 0) -> Demand:
    """A load in cores, one figure a step of five minutes, and memory."""
    course = np.array([round(1000 * one) for one in cores], dtype=np.int64)
    return Demand(course, gib * 1024, np.ones(len(course)), 300.0)


def outlook(*cores: float, shares: Mapping[str, int] | None = None) -> Outlook:
    """A forecast of so many cores, step by step."""
    course = np.array([round(1000 * one) for one in cores], dtype=np.int64)
    return Outlook(NOW, 300, course, lambda _steps: shares or {}, "forecast")


def settings(**chosen: object) -> Settings:
    """Consolidation always, with these keys of `[consolidate]`."""
    scheduler = SchedulerSettings(mode=Mode.ACT, policy="consolidate", interval_s=60.0)
    return Settings(scheduler=scheduler, consolidate=replace(ConsolidateSettings(), **chosen))  # type: ignore[arg-type]


def asleep(name: str) -> Host:
    """A host that sleeps."""
    return replace(host(name), power=replace(POWER, state=PowerState.ASLEEP))


def awake(name: str) -> Host:
    """A host that is on and may sleep."""
    return replace(host(name), power=POWER)


def night(on: str = "abcd", sleeping: str = "", guests_each: int = 1, cores: float = 1.0) -> Snapshot:
    """Hosts of 32 cores and 64 GiB by letter, with guests of 4 GiB on those that are on."""
    hosts = [*(awake(one) for one in on), *(asleep(one) for one in sleeping)]
    guests = [guest(f"g-{one}-{k}", one, gib=4, cores=cores) for one in on for k in range(guests_each)]
    return replace(cluster(hosts, guests), taken_at=NOW)
