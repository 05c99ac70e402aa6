"""Whether the figures at hand show what our own moves have done, judged by what is seen: clocks may differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cluster.clock import Clock
from cluster.plan import PlanRecord, StepState
from cluster.snapshot import Snapshot

LONG_AGO = timedelta(hours=1)
"""Arrivals dated further from now than this are left out: long known, or written by a clock that was wrong."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where our last move of a guest brought it, and for how long this process has known that, by its own clock."""

    host: str
    known_s: float


class Arrivals:
    """Remembers when this process came to know of each arrival. Times in the journal are those of other clocks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since_s: dict[tuple[str, str], float] = {}

    def of(self, records: Iterable[PlanRecord]) -> dict[str, Arrival]:
        """Return the last arrival of each guest from plans, newest first."""
        now, now_s = self._clock.now(), self._clock.monotonic_s()
        since_s: dict[tuple[str, str], float] = {}
        found: dict[str, Arrival] = {}
        for guest, (host, key) in _arrived(records, now).items():
            since_s[key] = self._since_s.get(key, now_s)
            found[guest] = Arrival(host, now_s - since_s[key])
        self._since_s = since_s
        return found


def _arrived(records: Iterable[PlanRecord], now: datetime) -> dict[str, tuple[str, tuple[str, str]]]:
    """Return the host, plan and step of each guest's last arrival."""
    found: dict[str, tuple[str, tuple[str, str]]] = {}
    outdated: set[str] = set()
    for record in records:
        for step in reversed(record.plan.migrations):
            written = record.steps.get(step.id)
            if written is None or written.state is not StepState.DONE or step.guest in found.keys() | outdated:
                continue
            if abs(now - written.at) > LONG_AGO:
                outdated.add(step.guest)
            else:
                found[step.guest] = step.target, (record.plan.id, step.id)
    return found


def clock_margin_s(snapshot: Snapshot) -> float:
    """Return after how long figures that count as fresh cannot be older than what has been known all the while.

    A host's clock may be ahead of ours by `stale_s`, and its figures as old as that besides.
    """
    return 2 * snapshot.stale_s


def why_not_shown(snapshot: Snapshot, arrivals: Mapping[str, Arrival]) -> str | None:
    """Say which guest the figures do not show where we brought it, so that they may be older than its arrival.

    Once the arrival is known for long enough they are believed: somebody else has moved or stopped the guest.
    """
    for guest, arrival in sorted(arrivals.items()):
        host = snapshot.host_by_id.get(arrival.host)
        if host is None or snapshot.why_unplannable(host) is not None or arrival.known_s > clock_margin_s(snapshot):
            continue
        seen = snapshot.guest_by_id.get(guest)
        if seen is None or seen.host != arrival.host:
            title = guest if seen is None else seen.title
            return f"waiting for figures that show {title} on {arrival.host}, where it was moved"
    return None
