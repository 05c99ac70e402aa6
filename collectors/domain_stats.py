"""Counters of libvirt's bulk statistics, and the rates between two looks at them. Pure.

A rate is unknown (`None`), never zero and never negative, when there is no earlier look, when the guest was restarted
in between (its libvirt id changed), or when a counter went back. Sources: virConnectGetAllDomainStats.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from cluster.guest import Dirty, Usage

MIB = 1024 * 1024
LEAST_GAP_S = 0.2
_MEASURED = 2


@dataclass(frozen=True, slots=True)
class Counters:
    """What one look counted for a guest. `at_s` is monotonic; bytes are read and written, or received and sent.

    `delay_ns` is how long its vCPUs waited for a CPU of the host, summed over vCPUs.
    """

    at_s: float
    domain_id: int
    cpu_ns: int | None = None
    delay_ns: int | None = None
    net_bytes: Mapping[str, int] = field(default_factory=dict)
    disk_bytes: Mapping[str, int] = field(default_factory=dict)


def counters(stats: Mapping[str, object], domain_id: int, at_s: float) -> Counters:
    """Pick the counters out of one domain's statistics."""
    cpu_ns = _whole(stats, "cpu.time")
    if cpu_ns is None:
        cpu_ns = _sum(stats, "vcpu", "time")
    return Counters(
        at_s=at_s,
        domain_id=domain_id,
        cpu_ns=cpu_ns,
        delay_ns=_sum(stats, "vcpu", "delay"),
        net_bytes=_by_name(stats, "net", ("rx.bytes", "tx.bytes")),
        disk_bytes=_by_name(stats, "block", ("rd.bytes", "wr.bytes")),
    )


def usage(
    before: Counters | None, now: Counters, memory_mib: int | None, most_millicores: int, most_mib_s: float = 1e6
) -> Usage:
    """Return the use between two looks.

    `most_millicores` is what the host has: more cannot have been used, so a larger figure is cut to it (clocks of two
    machines differ by a little). A device that came or went between the looks does not count.
    """
    gap_s = 0.0 if before is None else now.at_s - before.at_s
    if before is None or before.domain_id != now.domain_id or gap_s < LEAST_GAP_S:
        return Usage(cpu_millicores=None, memory_mib=memory_mib)
    cpu_ns = _grown(before.cpu_ns, now.cpu_ns)
    net = _grown_all(before.net_bytes, now.net_bytes)
    disk = _grown_all(before.disk_bytes, now.disk_bytes)
    return Usage(
        cpu_millicores=None if cpu_ns is None else min(most_millicores, round(cpu_ns / gap_s / 1e6)),
        memory_mib=memory_mib,
        net_mbit_s=None if net is None else min(most_mib_s * 8, round(net * 8 / gap_s / 1e6, 3)),
        disk_mib_s=None if disk is None else min(most_mib_s, round(disk / gap_s / MIB, 3)),
    )


def delay_ratio(before: Counters | None, now: Counters, vcpus: int) -> float | None:
    """Return the share of the time between two looks that a vCPU was ready but had no CPU, mean of its vCPUs."""
    if before is None or before.domain_id != now.domain_id or now.at_s - before.at_s < LEAST_GAP_S or vcpus < 1:
        return None
    delay_ns = _grown(before.delay_ns, now.delay_ns)
    return None if delay_ns is None else min(1.0, delay_ns / 1e9 / vcpus / (now.at_s - before.at_s))


def memory_used_mib(stats: Mapping[str, object], memory_mib: int) -> int | None:
    """Return what a guest uses of its memory.

    With a balloon driver that reports: available less usable (cache is not used memory), or less unused. Without one:
    the resident memory of its QEMU, an upper bound, at most `memory_mib`. `None` when libvirt says nothing.
    """
    available = _whole(stats, "balloon.available")
    for key in ("balloon.usable", "balloon.unused"):
        free = _whole(stats, key)
        if available is not None and free is not None and _whole(stats, "balloon.last-update") and free <= available:
            return min(memory_mib, math.ceil((available - free) / 1024))
    rss = _whole(stats, "balloon.rss")
    return min(memory_mib, math.ceil(rss / 1024)) if rss else None


def disk_sizes_mib(stats: Mapping[str, object]) -> dict[str, int]:
    """Return the size of each disk that libvirt gives one for, by its name in the guest, rounded up."""
    sizes = {}
    for number in range(_whole(stats, "block.count") or 0):
        name, capacity = stats.get(f"block.{number}.name"), _whole(stats, f"block.{number}.capacity")
        if isinstance(name, str) and capacity:
            sizes[name] = math.ceil(capacity / MIB)
    return sizes


def measured_dirty(stats: Mapping[str, object], period_s: float) -> Dirty | None:
    """Return a finished dirty-rate measurement; `None` while there is none."""
    rate = _whole(stats, "dirtyrate.megabytes_per_second")
    if _whole(stats, "dirtyrate.calc_status") != _MEASURED or rate is None or rate < 0:
        return None
    return Dirty(mib_s=float(rate), over_s=float(_whole(stats, "dirtyrate.calc_period") or period_s))


def _whole(stats: Mapping[str, object], key: str) -> int | None:
    value = stats.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _sum(stats: Mapping[str, object], group: str, what: str) -> int | None:
    count = _whole(stats, f"{group}.maximum") or _whole(stats, f"{group}.current") or 0
    found = [value for number in range(count) if (value := _whole(stats, f"{group}.{number}.{what}")) is not None]
    return sum(found) if found else None


def _by_name(stats: Mapping[str, object], group: str, keys: tuple[str, ...]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for number in range(_whole(stats, f"{group}.count") or 0):
        values = [value for key in keys if (value := _whole(stats, f"{group}.{number}.{key}")) is not None]
        if values:
            totals[str(stats.get(f"{group}.{number}.name", number))] = sum(values)
    return totals


def _grown(before: int | None, now: int | None) -> int | None:
    return None if before is None or now is None or now < before else now - before


def _grown_all(before: Mapping[str, int], now: Mapping[str, int]) -> int | None:
    """Growth summed over the devices of both looks; unknown when there is none or one went back."""
    growths = [_grown(before[name], now[name]) for name in sorted(before.keys() & now.keys())]
    known = [growth for growth in growths if growth is not None]
    return sum(known) if known and len(known) == len(growths) else None
