"""The agent: it waits for what is lost with growing pauses, says so once, and never piles looks up."""

from __future__ import annotations

import threading
from dataclasses import replace

from cluster.config.settings import CollectSettings, Settings
from cluster.errors import StoreUnavailableError
from cluster.report import Report
from cluster.store.memory import MemoryStore
from collectors.agent import LONGEST_PAUSE_S, Agent, run_agent
from collectors.reporter import Reporter
from tests.collectors.fakes import FakeClock, FakeCollector

STEADY = Settings(collect=replace(CollectSettings(), interval_s=10.0, jitter_ratio=0.0))


class FlakyStore(MemoryStore):
    """A store that does not answer while `away`."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.away = False
        self.asked = 0
        self.closings = 0

    def put_report(self, report: Report, ttl_s: float) -> bool:
        self.asked += 1
        if self.away:
            raise StoreUnavailableError("store: no answer")
        return super().put_report(report, ttl_s)

    def close(self) -> None:
        self.closings += 1


class Rig:
    """An agent with everything around it under the test's hand."""

    def __init__(self, settings: Settings = STEADY) -> None:
        self.clock = FakeClock()
        self.collector = FakeCollector(self.clock)
        self.store = FlakyStore(self.clock)
        self.said: list[str] = []
        self.openings = 0
        reporter = Reporter(self.collector, self.clock, "boot")
        self.agent = Agent(settings, reporter, self.open_store, self.clock, self.said.append)

    def open_store(self) -> FlakyStore:
        self.openings += 1
        return self.store

    def run(self, seconds: float) -> list[float]:
        """Step and wait as the loop does; return the waits."""
        until_s = self.clock.elapsed_s + seconds
        waits = []
        while self.clock.elapsed_s < until_s:
            waits.append(self.agent.step())
            self.clock.sleep(waits[-1])
        return waits


def test_a_healthy_agent_reports_each_interval_and_is_silent() -> None:
    """One look and one report each interval, one store opened, nothing said."""
    rig = Rig()
    assert rig.run(100) == [10.0] * 10
    assert (rig.collector.looks, rig.store.asked, rig.openings, rig.said) == (10, 10, 1, [])


def test_a_lost_host_is_tried_less_and_less_and_said_once() -> None:
    """Pauses double up to their limit; one line when it is lost, one when it is back."""
    rig = Rig()
    rig.collector.broken = True
    waits = rig.run(600)
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_PAUSE_S
    assert rig.collector.looks < 600 / 10 / 2
    rig.collector.broken = False
    rig.run(30)
    assert [line.split(":")[1].split()[0].strip(",") for line in rig.said] == ["lost", "back"]
    assert "libvirt does not answer" in rig.said[0]
    assert rig.store.reports()


def test_a_lost_store_does_not_stop_the_looks() -> None:
    """Rates stay fresh while the store is away; it is tried again with pauses, opened anew, and said once."""
    rig = Rig()
    rig.run(20)
    rig.store.away = True
    asked = rig.store.asked
    rig.run(600)
    assert rig.collector.looks >= 60
    assert rig.store.asked - asked < 20
    assert rig.store.closings == rig.store.asked - asked
    rig.store.away = False
    rig.run(70)
    assert len(rig.said) == 2
    assert rig.said[0].startswith("store: lost")
    assert rig.said[1].startswith("store: back after 6")
    (report,) = rig.store.reports()
    assert (rig.clock.now() - report.observation.taken_at).total_seconds() <= 10


def test_a_slow_look_does_not_pile_up() -> None:
    """A look longer than the interval is followed by one other at once, not by those missed."""
    rig = Rig()
    rig.collector.takes_s = 25
    assert rig.run(100) == [0.0] * 4
    assert rig.collector.looks == 4


def test_jitter_keeps_agents_apart() -> None:
    """Waits differ by up to the jitter, and not in the same way for all hosts."""
    rig = Rig(Settings(collect=replace(CollectSettings(), interval_s=10.0, jitter_ratio=0.1)))
    waits = rig.run(1000)
    assert len(set(waits)) > 50
    assert all(9.0 <= wait <= 11.0 for wait in waits)


def test_a_second_agent_is_said_once() -> None:
    """When the store holds a newer report of the same host, a person hears of it, once."""
    rig = Rig()
    rig.clock.sleep(5)
    newer = Reporter(FakeCollector(rig.clock), rig.clock, "other")
    newer.publish(newer.report(), rig.store, 3600)
    rig.run(50)
    (line,) = rig.said
    assert "another agent" in line


def test_run_ends_when_told_and_closes_everything() -> None:
    """The loop ends at its stop, with the history flushed and store and collector closed."""
    clock = FakeClock()
    collector, store, said = FakeCollector(clock), FlakyStore(clock), list[str]()
    stop = threading.Event()

    def say(line: str) -> None:
        said.append(line)

    def open_store() -> FlakyStore:
        stop.set()
        return store

    run_agent(STEADY, "kvm-1", collector, open_store, clock, stop, say)
    assert (collector.looks, collector.closed, store.closings) == (1, True, 1)
    assert said == ["host kvm-1: reporting every 10 s"]
