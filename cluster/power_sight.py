"""What is known of hosts' power beside their reports: asked for, observed, and what that comes to. Pure.

Flags of the store hold it: `power:HOST` what Trimtab asked for (`asleep`; without the flag: on), `power_seen:HOST` what
its driver last saw, `power_facts:HOST` the last report of a host that we put to sleep, `wake_asked:HOST` who wants it
woken by hand. Asked for and observed have different writers and are never mixed; plans go by `effective_state`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from cluster.errors import InputError
from cluster.formats.report_file import report_from_json_text, report_to_json_text
from cluster.host import PowerState
from cluster.plan import PlanRecord, Sleep, StepState, Wake
from cluster.report import Report

ASKED = "power:"
SEEN = "power_seen:"
FACTS = "power_facts:"
BY_HAND = "wake_asked:"
THEIRS = "asleep_by_hand:"
"""Flag of a host that a person put to sleep, or a wake test: it is theirs to wake."""

DOWN = frozenset({PowerState.ASLEEP, PowerState.OFF})
"""States of a host that runs nothing."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What a host's driver saw when it last looked, and, where that was nothing, why."""

    state: PowerState
    at: datetime
    why: str = ""


def asked_state(flags: Mapping[str, str], host: str) -> PowerState:
    """Return the state that Trimtab asked of a host: `asleep`, or `on` where it never asked."""
    return PowerState.ON if ASKED + host not in flags else PowerState.ASLEEP


def observed(flags: Mapping[str, str], host: str) -> Observed | None:
    """Return what a host's driver last saw; `None` where it was not asked, as with a host that reports."""
    if (text := flags.get(SEEN + host)) is None:
        return None
    try:
        known = json.loads(text)
        at = datetime.fromisoformat(known["at"])
        return Observed(PowerState(known["state"]), at, str(known.get("why", ""))) if at.tzinfo else None
    except (KeyError, ValueError, TypeError):
        return None


def observed_text(seen: Observed) -> str:
    """Return an observation as its flag's text."""
    return json.dumps({"state": seen.state.value, "at": seen.at.isoformat(), "why": seen.why})


def facts_text(report: Report) -> str:
    """Return a host's last report as its flag's text, without guests: it is kept only of hosts that hold none."""
    return report_to_json_text(replace(report, observation=replace(report.observation, guests=())))


def with_kept(reports: Iterable[Report], flags: Mapping[str, str]) -> tuple[Report, ...]:
    """Return the reports, and the kept one of each host that sleeps by our doing and whose own has expired."""
    known = tuple(reports)
    flagged = sorted(flag for flag in flags if flag.startswith(FACTS))
    if not flagged:
        return known
    reporting = {report.host for report in known}
    kept = []
    for flag in flagged:
        host = flag.removeprefix(FACTS)
        if host not in reporting and ASKED + host in flags and (report := _facts(flags[flag])) is not None:
            kept.append(report)
    return (*known, *kept)


@lru_cache(maxsize=8192)
def _facts(text: str) -> Report | None:
    """Read a kept report, once: it stays the same for as long as its host sleeps."""
    try:
        return report_from_json_text(text, "a kept report")
    except InputError:
        return None  # another version's: the host comes back with its first report


def why_not_wake(host: str, flags: Mapping[str, str]) -> str | None:
    """Say why Trimtab does not wake a host by itself: not it put the host to sleep, or a person has taken it out."""
    if BY_HAND + host in flags:
        return None
    if ASKED + host not in flags:
        return f"host {host} was not put to sleep by Trimtab, which leaves it alone: trimtab wake {host}"
    for mark, what in (("drain", "is drained"), ("cordon", "is cordoned"), ("fail", "is marked as failing")):
        if f"{mark}:{host}" in flags:
            return f"host {host} {what}, and left asleep: trimtab wake {host}"
    return None


def effective_state(
    host: str,
    reported: PowerState,
    is_fresh: bool,
    flags: Mapping[str, str],
    steps: Sequence[tuple[Sleep | Wake, StepState]] = (),
) -> PowerState:
    """Return the state that plans go by: never `on` unless that is safe.

    `reported` is what its report says, `is_fresh` whether that is recent, `steps` its own of the active plan. A host
    that we asked to sleep is `asleep` as long as its driver says so or says nothing; seen on it is `unknown` (going
    down, come up by itself, or its driver lies), and `waking` while a step wakes it. One that we did not ask is as it
    reports, and as seen when it is silent.
    """
    asleep = asked_state(flags, host) is PowerState.ASLEEP
    seen = observed(flags, host)
    # The flag is written after a step's end; what waits for the step begins before that.
    for step, state in steps:
        if state is StepState.RUNNING and isinstance(step, Wake):
            return PowerState.WAKING
        if state is StepState.RUNNING and (seen is None or seen.state not in DOWN):
            return PowerState.UNKNOWN
        if state is StepState.DONE:
            asleep = isinstance(step, Sleep)
    if asleep:
        if seen is None or seen.state in DOWN:
            return PowerState.ASLEEP
        return PowerState.WAKING if seen.state is PowerState.WAKING else PowerState.UNKNOWN
    if is_fresh or seen is None or seen.state in (PowerState.ON, PowerState.UNKNOWN):
        return reported
    return seen.state


def power_steps(active: PlanRecord | None) -> dict[str, list[tuple[Sleep | Wake, StepState]]]:
    """Return the active plan's power steps with their states, by host, in the plan's order."""
    found: dict[str, list[tuple[Sleep | Wake, StepState]]] = {}
    for step in active.plan.steps if active is not None else ():
        if active is not None and isinstance(step, Sleep | Wake):
            found.setdefault(step.host, []).append((step, active.step_state(step.id)))
    return found
