"""Rates out of counters: laws that hold for whatever a host counts, and the figures of one known look."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cluster.guest import Dirty
from collectors.domain_stats import (
    Counters,
    counters,
    delay_ratio,
    disk_sizes_mib,
    measured_dirty,
    memory_used_mib,
    usage,
)

HOST_MILLICORES = 64_000

STATS: dict[str, object] = {
    "state.state": 1,
    "cpu.time": 5_000_000_000,
    "vcpu.maximum": 2,
    "vcpu.0.time": 1_000_000_000,
    "vcpu.0.delay": 30_000_000,
    "vcpu.1.delay": 10_000_000,
    "net.count": 1,
    "net.0.name": "vnet3",
    "net.0.rx.bytes": 1_000,
    "net.0.tx.bytes": 2_000,
    "block.count": 2,
    "block.0.name": "vda",
    "block.0.rd.bytes": 4_096,
    "block.0.wr.bytes": 8_192,
    "block.0.capacity": 10 * 2**30,
    "block.1.name": "sda",
}

amounts = st.integers(min_value=0, max_value=2**63)
names = st.sampled_from(["vnet0", "vnet1", "vda", "vdb"])
looks = st.builds(
    Counters,
    at_s=st.floats(min_value=0, max_value=1e9),
    domain_id=st.integers(min_value=1, max_value=3),
    cpu_ns=st.none() | amounts,
    delay_ns=st.none() | amounts,
    net_bytes=st.dictionaries(names, amounts),
    disk_bytes=st.dictionaries(names, amounts),
)


@given(st.none() | looks, looks, st.integers(min_value=1, max_value=10**6))
def test_rates_are_unknown_or_sane(before: Counters | None, now: Counters, most_millicores: int) -> None:
    """Whatever two looks counted, no figure is negative, and CPU is not more than the host has."""
    rates = usage(before, now, None, most_millicores)
    assert rates.cpu_millicores is None or 0 <= rates.cpu_millicores <= most_millicores
    assert rates.net_mbit_s is None or rates.net_mbit_s >= 0
    assert rates.disk_mib_s is None or rates.disk_mib_s >= 0
    waited = delay_ratio(before, now, vcpus=2)
    assert waited is None or 0 <= waited <= 1


@given(looks, looks)
def test_a_restarted_guest_has_no_rates(before: Counters, now: Counters) -> None:
    """Counters of two runs of a guest are never compared."""
    rates = usage(before, replace(now, domain_id=before.domain_id + 1), 512, HOST_MILLICORES)
    assert (rates.cpu_millicores, rates.net_mbit_s, rates.disk_mib_s, rates.memory_mib) == (None, None, None, 512)


@given(amounts, st.integers(min_value=1, max_value=2**63), st.floats(min_value=0.5, max_value=3600))
def test_a_counter_that_went_back_is_unknown(now_ns: int, more_ns: int, gap_s: float) -> None:
    """A reset never shows as use, neither negative nor huge."""
    before = Counters(at_s=10.0, domain_id=1, cpu_ns=now_ns + more_ns)
    assert usage(before, Counters(10.0 + gap_s, 1, cpu_ns=now_ns), None, HOST_MILLICORES).cpu_millicores is None


@given(st.integers(min_value=0, max_value=HOST_MILLICORES), st.floats(min_value=0.5, max_value=3600), amounts)
def test_cpu_is_time_used_over_time_passed(millicores: int, gap_s: float, start_ns: int) -> None:
    """A guest that used so many thousandths of a core for the whole gap shows just that."""
    before = Counters(at_s=100.0, domain_id=1, cpu_ns=start_ns)
    now = Counters(at_s=100.0 + gap_s, domain_id=1, cpu_ns=start_ns + round(millicores * gap_s * 1e6))
    seen = usage(before, now, None, HOST_MILLICORES).cpu_millicores
    assert seen is not None
    assert abs(seen - millicores) <= 1


def test_the_first_look_and_two_looks_at_once_have_no_rates() -> None:
    """Without time between two looks there is no rate, not a division by zero."""
    now = Counters(at_s=5.0, domain_id=1, cpu_ns=1)
    assert usage(None, now, None, HOST_MILLICORES).cpu_millicores is None
    assert usage(now, now, None, HOST_MILLICORES).cpu_millicores is None


def test_known_figures() -> None:
    """One known pair of looks gives its known rates; a device that came in between does not count."""
    before = counters(STATS, 7, 100.0)
    assert (before.cpu_ns, before.delay_ns) == (5_000_000_000, 40_000_000)
    assert before.disk_bytes == {"vda": 12_288}
    later = STATS | {
        "cpu.time": 7_000_000_000,
        "vcpu.1.delay": 2_010_000_000,
        "net.count": 2,
        "net.0.rx.bytes": 1_251_000,
        "net.1.name": "vnet4",
        "net.1.rx.bytes": 10**12,
        "block.0.wr.bytes": 8_192 + 20 * 2**20,
    }
    now = counters(later, 7, 110.0)
    rates = usage(before, now, 900, HOST_MILLICORES)
    assert (rates.cpu_millicores, rates.memory_mib, rates.net_mbit_s, rates.disk_mib_s) == (200, 900, 1.0, 2.0)
    assert delay_ratio(before, now, vcpus=2) == 0.1


def test_cpu_falls_back_to_the_vcpus() -> None:
    """Where libvirt has no total, the vCPUs' own times are summed."""
    assert counters({"vcpu.current": 2, "vcpu.0.time": 3, "vcpu.1.time": 4}, 1, 0.0).cpu_ns == 7


def test_memory_cache_is_not_used_memory() -> None:
    """With a balloon driver that reports, what the guest could free counts as free."""
    stats: dict[str, object] = {
        "balloon.available": 2_000 * 1024,
        "balloon.unused": 100 * 1024,
        "balloon.usable": 1_500 * 1024,
        "balloon.last-update": 1_700_000_000,
        "balloon.rss": 2_100 * 1024,
    }
    assert memory_used_mib(stats, 2_048) == 500
    del stats["balloon.usable"]
    assert memory_used_mib(stats, 2_048) == 1_900


def test_memory_without_a_balloon_driver_is_qemus() -> None:
    """Without a driver the host's view bounds it, at most the guest's memory; without any figure it is unknown."""
    assert memory_used_mib({"balloon.rss": 300 * 1024, "balloon.last-update": 0}, 2_048) == 300
    assert memory_used_mib({"balloon.rss": 3_000 * 1024}, 2_048) == 2_048
    assert memory_used_mib({"balloon.current": 2_048 * 1024}, 2_048) is None


def test_disk_sizes() -> None:
    """Sizes go by the disk's name in the guest; an empty drive has none."""
    assert disk_sizes_mib(STATS) == {"vda": 10_240}


def test_a_dirty_rate_counts_once_it_is_measured() -> None:
    """Only a finished measurement is one, and it keeps its period."""
    running: dict[str, object] = {"dirtyrate.calc_status": 1, "dirtyrate.megabytes_per_second": 0}
    assert measured_dirty(running, 1.0) is None
    done: dict[str, object] = {
        "dirtyrate.calc_status": 2,
        "dirtyrate.calc_period": 3,
        "dirtyrate.megabytes_per_second": 17,
    }
    assert measured_dirty(done, 1.0) == Dirty(mib_s=17.0, over_s=3.0)
