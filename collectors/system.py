"""A host's own load as its kernel tells it: CPU and steal, memory, network, disk, load, pressure (PSI), draw.

For a collector that runs on the host itself. Rates come from the difference to the previous look.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from cluster.clock import Clock
from cluster.report import HostUsage
from collectors.power_meters import PowerMeters

MIB = 1024 * 1024
_PRESSURE = Path("/proc/pressure")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MOUNTS = Path("/proc/self/mountinfo")
_NET = Path("/sys/class/net")
_BLOCK = Path("/sys/block")


@dataclass(frozen=True, slots=True)
class SystemCounters:
    """Counters at one look. `at_s` is monotonic; times are CPU seconds over all CPUs; bytes of both directions."""

    at_s: float
    busy_s: float
    steal_s: float
    net_bytes: Mapping[str, int] = field(default_factory=dict)
    disk_bytes: Mapping[str, int] = field(default_factory=dict)


TICK_S = 0.01
"""The kernel's clock tick, the unit of its CPU counters."""

LEAST_GAP_S = TICK_S
"""Looks closer together tell no rate."""


class SystemCollector:
    """Looks at the machine it runs on. The first look has no rates."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._meters = PowerMeters(clock)
        self._before: SystemCounters | None = None

    def usage(self) -> HostUsage:
        """Look once."""
        import psutil

        now = _look(psutil, self._clock.monotonic_s())
        before, self._before = self._before, now
        rates = rates_between(before, now)
        power = self._meters.read()
        return HostUsage(
            cpu_millicores=rates.cpu_millicores,
            steal_millicores=rates.steal_millicores,
            # What the kernel could give out without swapping: the page cache is not used memory.
            memory_available_mib=int(psutil.virtual_memory().available) // MIB,
            net_mbit_s=rates.net_mbit_s,
            disk_mib_s=rates.disk_mib_s,
            load_1min=psutil.getloadavg()[0],
            cpu_pressure_ratio=_pressure("cpu"),
            memory_pressure_ratio=_pressure("memory"),
            io_pressure_ratio=_pressure("io"),
            watts=power.watts,
            package_watts=power.package_watts,
        )


def rates_between(before: SystemCounters | None, now: SystemCounters) -> HostUsage:
    """Return CPU, steal, network and disk rates between two looks. Unknown without an earlier look."""
    if before is None or now.at_s - before.at_s < LEAST_GAP_S:
        return HostUsage()
    gap_s = now.at_s - before.at_s
    net = _growth(before.net_bytes, now.net_bytes)
    disk = _growth(before.disk_bytes, now.disk_bytes)
    return HostUsage(
        cpu_millicores=_millicores(now.busy_s - before.busy_s, gap_s),
        steal_millicores=_millicores(now.steal_s - before.steal_s, gap_s),
        net_mbit_s=None if net is None else round(net * 8 / gap_s / 1e6, 3),
        disk_mib_s=None if disk is None else round(disk / gap_s / MIB, 3),
    )


def read_pressure(text: str) -> float | None:
    """Read a PSI file: the share of the last 10 s in which some task waited, 0 to 1. `None`: not such a file."""
    match = re.search(r"^some avg10=([0-9.]+)", text, re.MULTILINE)
    try:
        return None if match is None else min(1.0, float(match[1]) / 100)
    except ValueError:
        return None


def boot_id() -> str:
    """Return what names this run of the machine: the kernel's boot id, or the boot time where there is none."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        import psutil

        return f"boot-{psutil.boot_time():.0f}"


def is_this_machine(uri: str) -> bool:
    """Tell whether a URI names this machine: by its host name, with or without a domain, or one of its addresses."""
    name = urlsplit(uri).hostname or ""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name.partition(".")[0] in ("localhost", socket.gethostname().lower().partition(".")[0])
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            # Only an address of this machine can be bound; nothing is sent.
            probe.bind((name, 0))
    except OSError:
        return False
    return True


def network_devices() -> tuple[str, ...] | None:
    """Return the machine's network devices other than guests' own, `None` when it does not say."""
    names = _names(_NET)
    return None if names is None else tuple(sorted(n for n in names if n != "lo" and not n.startswith("vnet")))


def mountinfo() -> str:
    """Return the text of `/proc/self/mountinfo`, empty where there is none."""
    try:
        return _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _look(psutil: ModuleType, at_s: float) -> SystemCounters:
    times: Any = psutil.cpu_times()
    idle_s = times.idle + getattr(times, "iowait", 0.0)
    steal_s = getattr(times, "steal", 0.0)
    # Linux counts the guests' time in user and nice already.
    again_s = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    physical = _physical(_NET)
    net: Mapping[str, Any] = psutil.net_io_counters(pernic=True, nowrap=False)
    disks = psutil.disk_io_counters(perdisk=True, nowrap=False) or {}
    whole_disks = _physical(_BLOCK)
    return SystemCounters(
        at_s=at_s,
        busy_s=sum(times) - idle_s - steal_s - again_s,
        steal_s=steal_s,
        net_bytes={n: io.bytes_sent + io.bytes_recv for n, io in net.items() if physical(n)},
        disk_bytes={n: io.read_bytes + io.write_bytes for n, io in disks.items() if whole_disks(n)},
    )


def _physical(directory: Path) -> Callable[[str], bool]:
    """Tell devices with hardware behind them: bridges, taps, loops, dm and md count the same bytes again."""

    def has_hardware(name: str) -> bool:
        return (directory / name / "device").exists()

    return has_hardware


def _names(directory: Path) -> list[str] | None:
    try:
        return [path.name for path in directory.iterdir()]
    except OSError:
        return None


def _pressure(what: str) -> float | None:
    try:
        return read_pressure((_PRESSURE / what).read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError):
        return None


def _millicores(seconds: float, gap_s: float) -> int | None:
    """Counters that went back say nothing; a difference of sums that is less than a tick under zero is rounding."""
    return None if seconds < -TICK_S else max(0, round(seconds * 1000 / gap_s))


def _growth(before: Mapping[str, int], now: Mapping[str, int]) -> int | None:
    """Growth over the devices of both looks; a counter that went back counts from zero again, so it is unknown."""
    pairs = [(before[name], now[name]) for name in sorted(before.keys() & now.keys())]
    if not pairs or any(later < earlier for earlier, later in pairs):
        return None
    return sum(later - earlier for earlier, later in pairs)
