"""Whether the figures at hand show what our own moves have done, judged by what is seen: clocks may differ. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cluster.plan import PlanRecord, StepState
from cluster.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where our last move of a guest brought it, when by the clock of whoever led then, and which step it was."""

    host: str
    at: datetime
    plan: str
    step: str


def arrivals_of(records: Iterable[PlanRecord], latest: datetime) -> dict[str, Arrival]:
    """Return the last arrival of each guest from plans, newest first.

    What is dated after `latest` was written by a clock that was wrong and is left out.
    """
    found: dict[str, Arrival] = {}
    for record in records:
        for step in reversed(record.plan.migrations):
            written = record.steps.get(step.id)
            if written is not None and written.state is StepState.DONE and step.guest not in found:
                found[step.guest] = Arrival(step.target, written.at, record.plan.id, step.id)
    return {guest: arrival for guest, arrival in found.items() if arrival.at <= latest}


def clock_margin(snapshot: Snapshot) -> timedelta:
    """Return by how much a host's time of day may differ from ours while its figures count as fresh.

    They may be ahead of us by `stale_s` and as old as that besides.
    """
    return timedelta(seconds=2 * snapshot.stale_s)


def why_not_shown(snapshot: Snapshot, arrivals: Mapping[str, Arrival]) -> str | None:
    """Say which guest the figures do not show where we brought it, so that they may be older than its arrival.

    A report that is later than the arrival by more than clocks may differ is believed: somebody else has moved or
    stopped the guest.
    """
    margin = clock_margin(snapshot)
    for guest, arrival in sorted(arrivals.items()):
        host = snapshot.host_by_id.get(arrival.host)
        if host is None or snapshot.why_unplannable(host) is not None:
            continue
        if host.measured_at is None or host.measured_at > arrival.at + margin:
            continue
        seen = snapshot.guest_by_id.get(guest)
        if seen is None or seen.host != arrival.host:
            title = guest if seen is None else seen.title
            return f"waiting for figures that show {title} on {arrival.host}, where it was moved"
    return None
