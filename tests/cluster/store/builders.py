"""Plans, records and reports for the store's tests, small and valid."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cluster.guest import Guest, Usage
from cluster.host import Host
from cluster.plan import Estimate, Figures, Migrate, Plan, Sleep, Status, StepRecord, StepState
from cluster.report import HostUsage, Observation, Report
from tests.cluster.store.harness import START

FIGURES = Figures(2, 400.0, 0.9, 0.2, 0.8, 0.1, 1)


def at(seconds: float) -> datetime:
    """Return the moment this long after the tests' start."""
    return START + timedelta(seconds=seconds)


def migrate(step: str, guest: str, after: Sequence[str] = ()) -> Migrate:
    """Return a migration of a guest from host a to host b."""
    return Migrate(step, guest, "a", "b", "balance", Estimate(100, 2.5, 40, 0.99, 5000), guest, tuple(after))


def plan(name: str, guests: Sequence[str] = ("g1", "g2"), sleeps: bool = True) -> Plan:
    """Return a plan that moves guests by steps s1, s2, ..., then puts host a to sleep by step z."""
    steps = [migrate(f"s{number}", guest) for number, guest in enumerate(guests, 1)]
    last = [Sleep("z", "a", "empty", 98.0, tuple(step.id for step in steps))] if sleeps else []
    return Plan(
        name,
        "snapshot-1",
        "balance",
        3,
        1,
        START,
        at(900),
        Status.FEASIBLE,
        f"because of {name}",
        (),
        0.0,
        (*steps, *last),
        FIGURES,
        FIGURES,
    )


def record(state: StepState, token: int, seconds: float = 1.0, detail: str = "", ratio: float = 0.0) -> StepRecord:
    """Return a step's record."""
    return StepRecord(state, at(seconds), token, detail, ratio, mib=7, downtime_ms=None)


def report(host: str, start_s: float, sequence: int, memory_mib: int = 1024) -> Report:
    """Return a report of a host with one guest, by an agent started `start_s` after the tests' start."""
    guest = Guest(f"guest-{host}", host, 2, memory_mib, Usage(500, memory_mib // 2), name="web")
    seen = Observation(at(start_s + sequence), Host(host, 8000, 32768), HostUsage(1200), (guest,), ("idle",), ("slow",))
    return Report("boot-1", at(start_s), sequence, seen)
