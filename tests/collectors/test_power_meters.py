"""The machine's own power meters, on a made-up sysfs: RAPL added up and gone round, the ACPI meter, none at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.power_meters import MOST_GAP_S, PowerMeters, PowerReading, RaplCounters, Zone, watts_between
from tests.collectors.fakes import FakeClock

RANGE_UJ = 262_143_328_850


class Sysfs:
    """A tree as the kernel shows it, with two packages, their memory, and zones that must not be added."""

    def __init__(self, root: Path) -> None:
        self.powercap, self.hwmon = root / "powercap", root / "hwmon"
        for zone, name in {
            "intel-rapl:0": "package-0",
            "intel-rapl:0:0": "core",
            "intel-rapl:0:1": "dram",
            "intel-rapl:1": "package-1",
            "intel-rapl:1:0": "dram",
            "intel-rapl:2": "psys",
            "intel-rapl-mmio:0": "package-0",
        }.items():
            self._write(self.powercap / zone / "name", name)
            self._write(self.powercap / zone / "max_energy_range_uj", str(RANGE_UJ))
            self.count(zone, 1_000_000)
        self._write(self.powercap / "intel-rapl" / "enabled", "1")
        self.chip("hwmon0", "coretemp")

    def count(self, zone: str, energy_uj: int) -> None:
        """Set a counter."""
        self._write(self.powercap / zone / "energy_uj", str(energy_uj))

    def grow(self, **joules: float) -> None:
        """Let every counter grow by 500 J, some by other amounts."""
        for path in self.powercap.glob("*/energy_uj"):
            more = joules.get(path.parent.name.replace(":", "_").replace("-", "_"), 500.0)
            path.write_text(f"{(int(path.read_text()) + round(more * 1e6)) % RANGE_UJ}\n", encoding="ascii")

    def chip(self, name: str, kind: str, microwatts: int | None = None, below: str = "") -> None:
        """Add a sensor chip, with a power meter's figure."""
        self._write(self.hwmon / name / "name", kind)
        if microwatts is not None:
            self._write(self.hwmon / name / below / "power1_average", str(microwatts))

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="ascii")


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    """A fresh tree."""
    return Sysfs(tmp_path)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that moves when told."""
    return FakeClock()


def meters(sysfs: Sysfs, clock: FakeClock) -> PowerMeters:
    """The meters of the made-up machine, looked at once."""
    found = PowerMeters(clock, sysfs.powercap, sysfs.hwmon)
    assert found.read().package_watts is None
    return found


def test_packages_and_their_memory_are_added_up(sysfs: Sysfs, clock: FakeClock) -> None:
    """Cores are a part of a package, psys and the second view of a package are the same joules again."""
    looked = meters(sysfs, clock)
    sysfs.grow(intel_rapl_0=900.0, intel_rapl_0_1=100.0, intel_rapl_1=800.0, intel_rapl_1_0=200.0)
    clock.sleep(10)
    assert looked.read() == PowerReading(watts=None, package_watts=200.0)


def test_a_counter_that_went_round_is_counted_on(sysfs: Sysfs, clock: FakeClock) -> None:
    """The figure begins at 0 again after its range; no joule is lost."""
    sysfs.count("intel-rapl:0", RANGE_UJ - 300_000_000)
    looked = meters(sysfs, clock)
    sysfs.grow()
    clock.sleep(10)
    assert looked.read().package_watts == 200.0


def test_a_counter_that_began_anew_tells_nothing_once(sysfs: Sysfs, clock: FakeClock) -> None:
    """It would pass for one that went round, at an absurd rate; the look after is good again."""
    sysfs.count("intel-rapl:0", RANGE_UJ // 2)
    looked = meters(sysfs, clock)
    sysfs.count("intel-rapl:0", 5)
    clock.sleep(10)
    assert looked.read().package_watts is None
    sysfs.grow()
    clock.sleep(10)
    assert looked.read().package_watts == 200.0


def test_a_part_that_cannot_be_read_is_not_left_out_of_the_sum(sysfs: Sysfs, clock: FakeClock) -> None:
    """Without a right to read, or with a broken counter, the whole is unknown."""
    looked = meters(sysfs, clock)
    (sysfs.powercap / "intel-rapl:1:0" / "energy_uj").unlink()
    clock.sleep(10)
    assert looked.read().package_watts is None


def test_a_zone_that_came_or_went_tells_nothing_once(sysfs: Sysfs, clock: FakeClock) -> None:
    """Sums of different parts are not compared."""
    looked = meters(sysfs, clock)
    sysfs.grow()
    (sysfs.powercap / "intel-rapl:1" / "name").write_text("gone\n", encoding="ascii")
    clock.sleep(10)
    assert looked.read().package_watts is None


def test_a_long_gap_tells_nothing(sysfs: Sysfs, clock: FakeClock) -> None:
    """A counter may have gone round more than once."""
    looked = meters(sysfs, clock)
    sysfs.grow()
    clock.sleep(MOST_GAP_S + 1)
    assert looked.read().package_watts is None


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, RANGE_UJ - 1), min_size=1),
    st.floats(0.0, 1000.0),
    st.floats(1.0, MOST_GAP_S),
)
def test_wherever_the_counters_stand_the_same_draw_reads_the_same(
    starts: dict[str, int], watts: float, gap_s: float
) -> None:
    """Each zone at these watts: the sum is found, gone round or not."""
    grown = round(watts * gap_s * 1e6)
    before = RaplCounters(0.0, {name: Zone(start, RANGE_UJ) for name, start in starts.items()})
    now = RaplCounters(gap_s, {name: Zone((start + grown) % RANGE_UJ, RANGE_UJ) for name, start in starts.items()})
    assert watts_between(before, now) == pytest.approx(watts * len(starts), abs=0.01)


@pytest.mark.parametrize("below", ["", "device"])
def test_the_acpi_meter_is_of_the_whole_machine(sysfs: Sysfs, clock: FakeClock, below: str) -> None:
    """Where the driver keeps its figure, older kernels or newer."""
    sysfs.chip("hwmon3", "power_meter", 187_500_000, below)
    assert PowerMeters(clock, sysfs.powercap, sysfs.hwmon).read().watts == 187.5


def test_two_acpi_meters_or_a_dead_one_say_nothing(sysfs: Sysfs, clock: FakeClock) -> None:
    """Nobody knows what each of two is of; no machine that runs draws nothing."""
    sysfs.chip("hwmon3", "power_meter", 0)
    assert PowerMeters(clock, sysfs.powercap, sysfs.hwmon).read().watts is None
    sysfs.chip("hwmon3", "power_meter", 100_000_000)
    sysfs.chip("hwmon4", "power_meter", 90_000_000)
    assert PowerMeters(clock, sysfs.powercap, sysfs.hwmon).read().watts is None


def test_a_machine_without_meters_says_nothing(tmp_path: Path, clock: FakeClock) -> None:
    """As most virtual machines."""
    looked = PowerMeters(clock, tmp_path / "no", tmp_path / "none")
    looked.read()
    clock.sleep(10)
    assert looked.read() == PowerReading()
