"""What the machine's own meters say of its draw: RAPL counters and the ACPI power meter, both read from sysfs.

RAPL (`/sys/class/powercap`) counts the energy of the CPU packages and their memory: not of the whole machine, whose
fans, disks, boards and power supplies draw half as much again or more. The ACPI power meter (`/sys/class/hwmon`, name
`power_meter`), where the board has one, is of the whole machine. RAPL's counters are for root's eyes only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cluster.clock import Clock

POWERCAP = Path("/sys/class/powercap")
HWMON = Path("/sys/class/hwmon")
MOST_ZONE_WATTS = 2000.0
"""No package draws more: a rate above it is a counter that began anew."""
MOST_GAP_S = 120.0
"""Looks further apart tell nothing: the smallest counters in use (65 kJ) go round in that time at 550 W."""


@dataclass(frozen=True, slots=True)
class Zone:
    """One RAPL counter at one look: microjoules, and the figure after which it begins at 0 again."""

    energy_uj: int
    range_uj: int


@dataclass(frozen=True, slots=True)
class RaplCounters:
    """All counters that are added up, by the name of their directory, at one moment of the monotonic clock."""

    at_s: float
    zones: Mapping[str, Zone] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PowerReading:
    """Watts of the whole machine, and of its CPU packages and their memory alone; `None`: no meter says."""

    watts: float | None = None
    package_watts: float | None = None


class PowerMeters:
    """The meters of the machine it runs on. The first look has no RAPL figure: it takes two to tell a rate."""

    def __init__(self, clock: Clock, powercap: Path = POWERCAP, hwmon: Path = HWMON) -> None:
        self._clock = clock
        self._powercap = powercap
        self._hwmon = hwmon
        self._before: RaplCounters | None = None

    def read(self) -> PowerReading:
        """Look once."""
        now = RaplCounters(self._clock.monotonic_s(), read_zones(self._powercap))
        before, self._before = self._before, now
        package_watts = None if before is None else watts_between(before, now)
        return PowerReading(read_power_meter(self._hwmon), package_watts)


def read_zones(powercap: Path) -> dict[str, Zone]:
    """Return RAPL's package zones and the memory below each; none without RAPL or without the right to read it.

    `core` and `uncore` are parts of a package, `psys` holds the packages, and `intel-rapl-mmio` shows the same package
    a second time: adding any of them would count twice.
    """
    zones = {}
    for path in sorted(powercap.glob("intel-rapl:*")):
        parents = path.name.count(":")
        kind = _text(path / "name")
        if (parents == 1 and kind.startswith("package")) or (parents == 2 and kind == "dram"):
            energy_uj, range_uj = _whole(path / "energy_uj"), _whole(path / "max_energy_range_uj")
            if energy_uj is None or range_uj is None:
                return {}  # a sum with a part missing would pass for the whole
            zones[path.name] = Zone(energy_uj, range_uj)
    return zones


def watts_between(before: RaplCounters, now: RaplCounters) -> float | None:
    """Return the mean watts between two looks, wrap-around counted; `None` where they do not tell.

    That is: no counters, other ones than before, a gap so long that a counter may have gone round more than once, or
    a counter that began anew (after a resume, a module loaded again).
    """
    gap_s = now.at_s - before.at_s
    if not 0 < gap_s <= MOST_GAP_S or not now.zones or now.zones.keys() != before.zones.keys():
        return None
    joules = 0.0
    for name, zone in now.zones.items():
        grown_uj = zone.energy_uj - before.zones[name].energy_uj
        if grown_uj < 0:
            grown_uj += zone.range_uj
        if not 0 <= grown_uj <= gap_s * MOST_ZONE_WATTS * 1e6:
            return None
        joules += grown_uj / 1e6
    return round(joules / gap_s, 3)


def read_power_meter(hwmon: Path) -> float | None:
    """Return what the ACPI power meter shows; `None` without one, or with several, whose parts nobody knows."""
    meters = [path for path in sorted(hwmon.glob("hwmon*")) if _text(path / "name") == "power_meter"]
    if len(meters) != 1:
        return None
    for place in (meters[0], meters[0] / "device"):
        microwatts = _whole(place / "power1_average")
        if microwatts is not None:
            return round(microwatts / 1e6, 3) if microwatts > 0 else None
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _whole(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdecimal() else None
