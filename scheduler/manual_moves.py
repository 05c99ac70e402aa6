"""Moves by hand: guests found where no step of ours sent them, left alone for a while.

What was found is kept as a flag of the store, so that the next leader knows it, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cluster.clock import Clock
from cluster.plan import PlanRecord, StepState
from cluster.snapshot import Snapshot
from cluster.store.protocol import Store
from scheduler.arrivals import clock_margin_s

_STAYS = frozenset({StepState.FAILED, StepState.ABORTED})
_BEGUN = _STAYS | {StepState.RUNNING, StepState.DONE, StepState.UNRESOLVED}


def flag_of(guest: str) -> str:
    """Return the name of a guest's flag. Its text: the host it was found on, and when."""
    return f"by_hand:{guest}"


@dataclass(frozen=True, slots=True)
class Sent:
    """Where the last step of ours that was begun for a guest can have left it. `known_s`: for how long we know that."""

    hosts: frozenset[str]
    arrived: bool
    step: tuple[str, str]
    known_s: float = 0.0


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
            arrived = written.state is StepState.DONE
            found[step.guest] = Sent(frozenset(hosts), arrived, (record.plan.id, step.id))
    return found


def moved_by_hand(
    before: Mapping[str, str], seen: Mapping[str, str], sent: Mapping[str, Sent], margin_s: float
) -> dict[str, str]:
    """Return the guests that somebody else has moved, with the host each is on now, `seen`.

    `before` is where they were at the last look. A guest that our last step has brought somewhere and that was not seen
    there yet may be shown by figures older than that step, until it is known for `margin_s`.
    """
    found: dict[str, str] = {}
    for guest, host in seen.items():
        ours = sent.get(guest)
        if ours is not None and host in ours.hosts:
            continue
        if ours is None or not ours.arrived or before.get(guest) in ours.hosts:
            moved = before.get(guest, host) != host
        else:
            moved = ours.known_s > margin_s
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

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._before: dict[str, str] = {}
        self._since_s: dict[tuple[str, str], float] = {}

    def look(self, snapshot: Snapshot, doubled: Collection[str]) -> tuple[str, ...]:
        """Look while no plan is under way; return a sentence for each new find.

        `doubled` are the guests seen on two hosts. A guest that is where our last step left it, or was moved on by us,
        is not left alone any more.
        """
        flags = self._store.flags()
        seen = places(snapshot, doubled)
        found = moved_by_hand(self._before, seen, self._sent(), clock_margin_s(snapshot))
        said = []
        for guest, host in sorted(found.items()):
            if _host_of(flags.get(flag_of(guest))) != host:
                self._store.set_flag(flag_of(guest), f"{host} {self._clock.now().isoformat()}")
                said.append(f"guest {snapshot.guest_by_id[guest].title} was moved to {host} by somebody else")
        for guest, host in seen.items():
            if guest not in found and _host_of(flags.get(flag_of(guest))) not in ("", host):
                self._store.set_flag(flag_of(guest), None)
        self._before |= seen
        return tuple(said)

    def _sent(self) -> dict[str, Sent]:
        """What our last steps did, each with how long this process has known it by its own clock."""
        now_s = self._clock.monotonic_s()
        sent = sent_to(self._store.plans(20))
        self._since_s = {one.step: self._since_s.get(one.step, now_s) for one in sent.values()}
        return {guest: replace(one, known_s=now_s - self._since_s[one.step]) for guest, one in sent.items()}


def _host_of(flag: str | None) -> str:
    return (flag or "").partition(" ")[0]
