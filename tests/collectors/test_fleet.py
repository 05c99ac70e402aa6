"""All hosts looked at together: a silent one delays nobody, is asked again only when it has ended, and is named."""

from __future__ import annotations

import threading
import time

import pytest

from cluster.clock import SystemClock
from cluster.config.settings import Settings
from cluster.errors import HostUnreachableError, InputError
from cluster.report import Observation
from cluster.store.memory import MemoryStore
from collectors.fleet import GRACE_S, Fleet
from collectors.registry import open_fleet
from collectors.reporter import Reporter
from tests.collectors.fakes import FakeClock, FakeCollector


class SlowCollector(FakeCollector):
    """Hangs while its gate is shut."""

    def __init__(self, host: str) -> None:
        super().__init__(FakeClock(), host)
        self.gate = threading.Event()
        self.fails = False

    def collect(self) -> Observation:
        self.gate.wait(20)
        if self.fails:
            raise HostUnreachableError(f"host {self.host}: gone")
        return super().collect()


def fleet_of(*collectors: FakeCollector, deadline_s: float = 0.1) -> tuple[Fleet, MemoryStore]:
    """A fleet over a store in memory."""
    clock = SystemClock()
    store = MemoryStore(clock)
    reporters = [Reporter(collector, clock, "remote") for collector in collectors]
    return Fleet(reporters, store, clock, deadline_s, 600), store


def test_a_silent_host_delays_nobody() -> None:
    """The others are stored, the round ends at its deadline, and the silent one is named; its late look is kept."""
    slow = SlowCollector("kvm-2")
    fleet, store = fleet_of(FakeCollector(FakeClock(), "kvm-1"), slow, FakeCollector(FakeClock(), "kvm-3"))
    for _ in range(2):
        began_s = time.monotonic()
        silent = fleet.collect()
        assert time.monotonic() - began_s < GRACE_S + 2
        assert list(silent) == ["kvm-2"]
        assert "kvm-2" in silent["kvm-2"]
        assert [report.host for report in store.reports()] == ["kvm-1", "kvm-3"]
    slow.gate.set()
    assert fleet.collect() == {}
    assert slow.looks <= 2
    assert [report.host for report in store.reports()] == ["kvm-1", "kvm-2", "kvm-3"]
    fleet.close()
    assert slow.closed


def test_a_failing_host_is_named_with_its_reason() -> None:
    """What the collector said is what the caller gets."""
    gone = SlowCollector("kvm-2")
    gone.fails = True
    gone.gate.set()
    fleet, _ = fleet_of(gone)
    assert fleet.collect() == {"kvm-2": "host kvm-2: gone"}


def test_a_fleet_needs_hosts() -> None:
    """Without configured hosts there is nobody to ask, and that is said."""
    clock = SystemClock()
    with pytest.raises(InputError, match=r"no \[\[hosts\]\]"):
        open_fleet(Settings(), MemoryStore(clock), clock)
