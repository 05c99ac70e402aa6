"""The cluster as small text bars: CPU and memory of each host, one line per host."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cluster.limits import Resource, demand, room
from cluster.snapshot import Snapshot
from reports import units

BAR = 14
WIDTH = 100
_EIGHTHS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True)
class HostBar:
    """One host's line: use as ratios of (capacity - reserved), and a remark such as `draining`."""

    host: str
    cpu_ratio: float
    memory_ratio: float
    guests: int
    note: str = ""


def bars_of(snapshot: Snapshot) -> tuple[HostBar, ...]:
    """Return the hosts of a snapshot as lines, in its order; a host that cannot be planned with says why."""
    bars = []
    for host in snapshot.hosts:
        guests = snapshot.guests_by_host[host.id]
        ratios = []
        for resource in (Resource.CPU, Resource.MEMORY):
            whole = room(host, resource)
            ratios.append(sum(demand(guest, resource) for guest in guests) / whole if whole else 0.0)
        why = snapshot.why_no_target(host)
        bars.append(
            HostBar(host.id, ratios[0], ratios[1], len(guests), (why or "").removeprefix(f"host {host.id} is "))
        )
    return tuple(bars)


def cluster_bars(bars: Sequence[HostBar], ascii_only: bool = False) -> str:
    """Return the hosts as lines of at most 100 columns under a head; empty for no hosts."""
    if not bars:
        return ""
    width = min(20, max(4, *(len(bar.host) for bar in bars)))
    lines = [f"{'host':<{width}}  {'CPU':<{BAR + 7}}  {'memory':<{BAR + 7}}  guests"]
    for bar in bars:
        cells = "  ".join(
            f"{_bar(ratio, ascii_only)} {units.percent(ratio):>6}" for ratio in (bar.cpu_ratio, bar.memory_ratio)
        )
        line = f"{units.fit(units.plain(bar.host), width):<{width}}  {cells}  {bar.guests:>6}"
        note = units.plain(bar.note)
        if len(line) + 2 + len(note) <= WIDTH:
            lines.append(f"{line}  {note}".rstrip())
        else:
            lines += [line, *textwrap.wrap(note, WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8)]
    return "\n".join(lines)


def spread(ratios: Iterable[float]) -> float:
    """Return the population's standard deviation, 0 for nothing."""
    values = list(ratios)
    if not values:
        return 0.0
    mean = sum(values) / len(values)
    return float((sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5)


def _bar(ratio: float, ascii_only: bool) -> str:
    if ascii_only:
        filled = round(min(1.0, max(0.0, ratio)) * BAR)
        return "#" * filled + "." * (BAR - filled)
    eighths = round(min(1.0, max(0.0, ratio)) * BAR * 8)
    full, part = divmod(eighths, 8)
    text = "█" * full + (_EIGHTHS[part] if part else "")
    return f"{text:·<{BAR}}"
