"""When hosts went to sleep and woke by our doing: a short log per host, kept as text in a flag of the store. Pure.

The text is JSON, oldest first: `[["2026-11-24T01:00:00+00:00", "asleep"], ...]`; entries older than `KEPT` are let go,
the latest is always kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cluster.host import PowerState

PREFIX = "power_log:"
KEPT = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class Transition:
    """A host came to `state` (`on` or `asleep`) at `at`, by our doing."""

    at: datetime
    state: PowerState


def flag_of(host: str) -> str:
    """Return the name of the flag that a host's log is kept in."""
    return PREFIX + host


def read(text: str | None) -> tuple[Transition, ...]:
    """Return a host's log, oldest first. What cannot be read counts as nothing: it is knowledge, never a permission."""
    try:
        entries = json.loads(text or "[]")
        return tuple(Transition(datetime.fromisoformat(at), PowerState(state)) for at, state in entries)
    except (ValueError, TypeError):
        return ()


def with_transition(text: str | None, at: datetime, state: PowerState) -> str:
    """Return the log with a transition added; the same state again, as after a crash, changes nothing."""
    log = read(text)
    if not log or log[-1].state is not state:
        log = (*log, Transition(at, state))
    kept = [one for one in log[:-1] if at - one.at <= KEPT] + [log[-1]]
    return json.dumps([[one.at.isoformat(), one.state.value] for one in kept])


def last_change(flags: Mapping[str, str], host: str) -> Transition | None:
    """Return a host's latest transition, `None` where none is known."""
    log = read(flags.get(flag_of(host)))
    return log[-1] if log else None


def cycles_within(flags: Mapping[str, str], host: str, now: datetime, seconds: float) -> int:
    """Return how often a host was put to sleep in the last so many seconds."""
    since = now - timedelta(seconds=seconds)
    return sum(one.state is PowerState.ASLEEP and one.at > since for one in read(flags.get(flag_of(host))))
