"""Reports: their order, how CPU is smoothed, and what goes into history."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import StoreUnavailableError
from cluster.history import SLOT_S, Metric, host_owner, slot_of
from cluster.report import HostUsage
from cluster.store.memory import MemoryStore
from collectors.reporter import Reporter
from tests.collectors.fakes import START, FakeClock, FakeCollector


def smoothed(reporter: Reporter, guest: str = "a") -> int | None:
    """The CPU figure that the next report has for a guest."""
    return next(one.usage.cpu_millicores for one in reporter.report().observation.guests if one.id == guest)


def test_reports_are_in_order() -> None:
    """Each report replaces the one before; a restarted agent's first replaces its predecessor's last."""
    clock = FakeClock()
    store = MemoryStore(clock)
    old = Reporter(FakeCollector(clock), clock, "boot-1")
    reports = [old.report() for _ in range(3)]
    assert all(old.publish(report, store, 600) for report in reports)
    assert not old.publish(reports[1], store, 600)
    clock.sleep(1)
    new = Reporter(FakeCollector(clock), clock, "boot-1")
    first = new.report()
    assert new.publish(first, store, 600)
    assert not old.publish(old.report(), store, 600)
    assert store.reports() == (first,)


def test_smoothing_follows_a_step_with_its_time_constant() -> None:
    """A jump of CPU shows to 63 % after the smoothing time, however often it was looked at in between."""
    for looks in (1, 6, 60):
        clock = FakeClock()
        collector = FakeCollector(clock)
        collector.cpu = {"a": 0}
        reporter = Reporter(collector, clock, "boot", smoothing_s=60)
        reporter.report()
        collector.cpu = {"a": 1000}
        for _ in range(looks):
            clock.sleep(60 / looks)
            seen = smoothed(reporter)
        assert seen is not None
        assert abs(seen - 632) <= 1


@given(st.lists(st.integers(0, 64_000), min_size=1, max_size=20), st.floats(0, 600))
def test_smoothing_stays_within_what_was_seen(figures: list[int], smoothing_s: float) -> None:
    """A smoothed figure is never above the most or below the least of what was measured."""
    clock = FakeClock()
    collector = FakeCollector(clock)
    reporter = Reporter(collector, clock, "boot", smoothing_s)
    for figure in figures:
        collector.cpu = {"a": figure}
        clock.sleep(10)
        seen = smoothed(reporter)
        assert seen is not None
        assert min(figures) <= seen <= max(figures)
        if smoothing_s == 0:
            assert seen == figure


def test_an_unknown_figure_stays_unknown_and_starts_anew() -> None:
    """Smoothing never invents a figure, and the first one after a gap counts in full."""
    clock = FakeClock()
    collector = FakeCollector(clock)
    reporter = Reporter(collector, clock, "boot", smoothing_s=600)
    reporter.report()
    collector.cpu = {"a": None}
    assert smoothed(reporter) is None
    collector.cpu = {"a": 5000}
    clock.sleep(1)
    assert smoothed(reporter) == 5000


def test_history_gets_the_mean_of_each_slot_once() -> None:
    """Thirty looks in a slot become one sample, unsmoothed, written when the slot is over."""
    clock = FakeClock()
    store = MemoryStore(clock)
    collector = FakeCollector(clock)
    reporter = Reporter(collector, clock, "boot", smoothing_s=600)
    for look in range(30):
        collector.cpu = {"a": 100 * (look % 3)}
        reporter.publish(reporter.report(), store, 600)
        clock.sleep(10)
    assert store.usage("a", Metric.CPU_MILLICORES).last_slot == 0
    reporter.publish(reporter.report(), store, 600)
    assert store.usage("a", Metric.CPU_MILLICORES).values(slot_of(START), 2) == [100, None]
    assert store.usage("a", Metric.MEMORY_MIB).values(slot_of(START), 1) == [256]
    assert store.usage("a", Metric.NET_MBIT_S).last_slot == 0
    reporter.flush(store)
    assert store.usage("a", Metric.CPU_MILLICORES).values(slot_of(START), 2) == [100, 200]


def test_a_metered_hosts_load_and_draw_are_kept_side_by_side() -> None:
    """The mean of both over the same slot, in the host's own rings; RAPL alone is no whole machine's: not kept."""
    clock = FakeClock()
    store = MemoryStore(clock)
    collector = FakeCollector(clock)
    reporter = Reporter(collector, clock, "boot")
    rings = [(Metric.CPU_MILLICORES, host_owner("kvm-1")), (Metric.MILLIWATTS, host_owner("kvm-1"))]
    for usage in (
        HostUsage(cpu_millicores=2000, watts=100.5),
        HostUsage(cpu_millicores=4000, watts=150.5, package_watts=80.0),
        HostUsage(cpu_millicores=8000, package_watts=90.0),
        HostUsage(watts=90.0),
    ):
        collector.usage = usage
        reporter.publish(reporter.report(), store, 600)
        clock.sleep(SLOT_S / 4)
    reporter.flush(store)
    assert [store.usage(owner, metric).values(slot_of(START), 1) for metric, owner in rings] == [[3000], [125_500]]


class ForgetfulStore(MemoryStore):
    """A store whose history does not answer while `away`."""

    away = True

    def record_usage(self, *sample: object) -> None:
        if self.away:
            raise StoreUnavailableError("store: no answer")
        super().record_usage(*sample)  # type: ignore[arg-type]  # passed on as they came


def test_history_outlasts_a_lost_store() -> None:
    """Slots that end while the store is away are written when it is back, oldest first."""
    clock = FakeClock()
    store = ForgetfulStore(clock)
    collector = FakeCollector(clock)
    reporter = Reporter(collector, clock, "boot")
    refused = 0
    for slot in range(3):
        collector.cpu = {"a": slot}
        try:
            reporter.publish(reporter.report(), store, 600)
        except StoreUnavailableError:
            refused += 1
        clock.sleep(SLOT_S)
    assert refused == 2
    store.away = False
    reporter.flush(store)
    assert store.usage("a", Metric.CPU_MILLICORES).values(slot_of(START), 3) == [0, 1, 2]
