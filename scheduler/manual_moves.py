"""Moves by hand: guests found where no step of ours sent them, left alone for a while.

What was found is kept as a flag of the store, so that the next leader knows it, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cluster.plan import PlanRecord, StepState
from cluster.snapshot import Snapshot
from cluster.store.protocol import Store
from scheduler.arrivals import clock_margin

_STAYS = frozenset({StepState.FAILED, StepState.ABORTED})
_BEGUN = _STAYS | {StepState.RUNNING, StepState.DONE, StepState.UNRESOLVED}


def flag_of(guest: str) -> str:
    """Return the name of a guest's flag. Its text: the host it was found on, and when."""
    return f"by_hand:{guest}"


@dataclass(frozen=True, slots=True)
class Sent:
    """Where the last step of ours that was begun for a guest can have left it."""

    hosts: frozenset[str]
    at: datetime
    arrived: bool


def sent_to(records: Iterable[PlanRecord]) -> dict[str, Sent]:
    """Return what our last step for each guest can have done, from plans, newest first."""
    found: dict[str, Sent] = {}
    for record in records:
        for step in reversed(record.plan.migrations):
            written = record.steps.get(step.id)
            if written is None or written.state not in _BEGUN or step.guest in found:
                continue
            hosts = {step.target} if written.state is StepState.DONE else {step.source, step.target}
            hosts = {step.source} if written.state in _STAYS else hosts
            found[step.guest] = Sent(frozenset(hosts), written.at, written.state is StepState.DONE)
    return found


def moved_by_hand(
    before: Mapping[str, str], seen: Mapping[str, str], snapshot: Snapshot, sent: Mapping[str, Sent]
) -> dict[str, str]:
    """Return the guests that somebody else has moved, with the host each is on now, `seen`.

    What counts is where our last step left them, once the figures are later than clocks may differ: before that they
    may be older than our move. Where no step of ours has arrived, it is where they were at the last look, `before`.
    """
    found: dict[str, str] = {}
    margin = clock_margin(snapshot)
    for guest, host in seen.items():
        ours = sent.get(guest)
        if ours is not None and host in ours.hosts:
            continue
        if ours is None or not ours.arrived:
            moved = before.get(guest, host) != host
        else:
            measured_at = snapshot.host_by_id[host].measured_at
            moved = measured_at is not None and measured_at > ours.at + margin
        if moved:
            found[guest] = host
    return found


def places(snapshot: Snapshot, doubled: Collection[str]) -> dict[str, str]:
    """Return the host of every guest that is seen without doubt: on one host, whose figures are fresh."""
    sure = {host.id for host in snapshot.hosts if snapshot.why_unplannable(host) is None}
    return {guest.id: guest.host for guest in snapshot.guests if guest.host in sure and guest.id not in doubled}


def why_left_alone(flag: str | None, now: datetime, cooldown_s: float) -> str | None:
    """Say why a guest is left alone, or `None`."""
    host, _, since = (flag or "").partition(" ")
    try:
        at = datetime.fromisoformat(since)
    except ValueError:
        return None
    # A time in the future was written by a clock that was wrong.
    if not timedelta(0) <= now - at < timedelta(seconds=cooldown_s):
        return None
    return f"somebody else moved it to {host}, seen at {at:%H:%M:%S} UTC; it is left alone for {cooldown_s:g} s"


class ManualMoves:
    """Remembers from look to look where guests were, and writes down those that somebody else has moved."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._before: dict[str, str] = {}

    def look(self, snapshot: Snapshot, doubled: Collection[str], now: datetime) -> tuple[str, ...]:
        """Look while no plan is under way; return a sentence for each new find.

        `doubled` are the guests seen on two hosts. A guest that is where our last step left it, or was moved on by us,
        is not left alone any more.
        """
        flags = self._store.flags()
        seen = places(snapshot, doubled)
        found = moved_by_hand(self._before, seen, snapshot, sent_to(self._store.plans(20)))
        said = []
        for guest, host in sorted(found.items()):
            if _host_of(flags.get(flag_of(guest))) != host:
                self._store.set_flag(flag_of(guest), f"{host} {now.isoformat()}")
                said.append(f"guest {snapshot.guest_by_id[guest].title} was moved to {host} by somebody else")
        for guest, host in seen.items():
            if guest not in found and _host_of(flags.get(flag_of(guest))) not in ("", host):
                self._store.set_flag(flag_of(guest), None)
        self._before |= seen
        return tuple(said)


def _host_of(flag: str | None) -> str:
    return (flag or "").partition(" ")[0]
