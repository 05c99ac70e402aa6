"""The machine's own load: pressure files, rates, and that this very machine gives sane figures."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.clock import SystemClock
from collectors.ownership import cluster_owned
from collectors.system import SystemCollector, SystemCounters, boot_id, rates_between, read_pressure

PRESSURE = """\
some avg10=12.34 avg60=1.00 avg300=0.10 total=123456
full avg10=2.00 avg60=0.50 avg300=0.05 total=6543
"""

seconds = st.floats(min_value=0, max_value=1e9)
devices = st.dictionaries(st.sampled_from(["eth0", "eth1", "sda"]), st.integers(0, 2**63))
looks = st.builds(SystemCounters, at_s=seconds, busy_s=seconds, steal_s=seconds, net_bytes=devices, disk_bytes=devices)


def test_pressure_is_the_share_of_ten_seconds() -> None:
    """The `some avg10` figure, as a ratio."""
    assert read_pressure(PRESSURE) == pytest.approx(0.1234)


@pytest.mark.parametrize("text", ["", "full avg10=1.00", "some avg10=..", "some avg60=1.00", "nonsense"])
def test_what_is_no_pressure_is_unknown(text: str) -> None:
    """A kernel without PSI, or with a format of its own, says nothing."""
    assert read_pressure(text) is None


@given(looks, looks)
def test_rates_are_unknown_or_not_negative(before: SystemCounters, now: SystemCounters) -> None:
    """Whatever was counted, nothing is negative."""
    usage = rates_between(before, now)
    for figure in (usage.cpu_millicores, usage.steal_millicores, usage.net_mbit_s, usage.disk_mib_s):
        assert figure is None or figure >= 0


def test_known_rates() -> None:
    """One known pair of looks gives its known rates."""
    before = SystemCounters(100.0, busy_s=50.0, steal_s=1.0, net_bytes={"eth0": 0}, disk_bytes={"sda": 2**20})
    now = SystemCounters(
        110.0, busy_s=75.0, steal_s=2.0, net_bytes={"eth0": 1_250_000, "eth1": 7}, disk_bytes={"sda": 21 * 2**20}
    )
    usage = rates_between(before, now)
    assert (usage.cpu_millicores, usage.steal_millicores, usage.net_mbit_s, usage.disk_mib_s) == (2500, 100, 1.0, 2.0)


def test_this_machine_is_sane() -> None:
    """Two looks at this machine: CPU within its cores, and available memory is more than what is merely free."""
    psutil = pytest.importorskip("psutil")
    collector = SystemCollector(SystemClock())
    assert collector.usage().cpu_millicores is None
    time.sleep(0.2)
    usage = collector.usage()
    assert usage.cpu_millicores is not None
    # Ticks of the kernel's clock may fall on either side of a short look.
    assert 0 <= usage.cpu_millicores <= psutil.cpu_count() * 1000 * 1.3
    assert usage.memory_available_mib is not None
    assert 0 < usage.memory_available_mib <= psutil.virtual_memory().total // 2**20


def test_a_quiet_machine_is_at_zero() -> None:
    """Sums of counters that differ by less than a tick are rounding, not counters that went back."""
    before = SystemCounters(at_s=0.0, busy_s=100.3, steal_s=0.0, net_bytes={}, disk_bytes={})
    usage = rates_between(before, replace(before, at_s=10.0, busy_s=100.3 - 1e-9))
    assert usage.cpu_millicores == 0
    assert rates_between(before, replace(before, at_s=10.0, busy_s=99.0)).cpu_millicores is None


def test_cache_is_not_used_memory() -> None:
    """What the page cache holds counts as available, as the kernel's own estimate has it."""
    available_mib = SystemCollector(SystemClock()).usage().memory_available_mib
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    kernel_mib = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) // 1024
    assert available_mib is not None
    assert available_mib == pytest.approx(kernel_mib, abs=256)


def test_the_boot_id_is_stable() -> None:
    """It names this run of the machine: the same each time it is asked."""
    assert boot_id() == boot_id() != ""


def test_pacemaker_guests_are_known_by_their_state_files(tmp_path: Path) -> None:
    """A state file of the VirtualDomain agent marks its guest; other files and missing directories say nothing."""
    (tmp_path / "VirtualDomain-vm1.state").write_text("web-1\n")
    (tmp_path / "VirtualDomain-empty.state").write_text("")
    (tmp_path / "IPaddr2-ip.state").write_text("web-2\n")
    assert cluster_owned((tmp_path, tmp_path / "none")) == {"web-1": "Pacemaker"}
