"""The daemon's published status as text: alarms first, then what runs, then every host with its load and its age."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from reports import energy_words, units
from reports.cluster_bars import HostBar, cluster_bars

WIDTH = 100
_FRESH_S = 30.0
_SHOWN_STEPS = 20


def status_text(status: Mapping[str, Any], daemon: str) -> str:
    """Return the status that `scheduler.status` makes as lines of at most 100 columns; `daemon` is a sentence on it."""
    lines: list[str] = []
    for alarm in status.get("alarms", ()):
        lines += _wrap(f"ALARM: {alarm}", "", "  ")
    lines += _wrap(daemon, "", "  ")
    paused = status.get("paused_by")
    lines.append(
        f"mode {status.get('mode', 'unknown')}" + (f", paused by {units.plain(str(paused))}" if paused else "")
    )
    for line in energy_words.status_lines(status):
        lines += _wrap(line, "", "  ")
    if sentence := status.get("sentence"):
        lines += _wrap(f"last: {sentence}", "", "  ")
    for finding in status.get("findings", ()):
        lines += _wrap(f"broken: {finding}", "", "  ")
    for warning in status.get("warnings", ()):
        lines += _wrap(f"warning: {warning}", "", "  ")
    lines += _plan(status.get("plan"))
    for waiting in status.get("waiting", ()):
        text = f"plan {waiting['id']} waits for approval, {units.count(waiting['moves'], 'move')}: {waiting['why']}"
        lines += _wrap(text, "", "  ")
        lines.append(f"  trimtab approve {waiting['id']}")
    hosts: Sequence[Mapping[str, Any]] = status.get("hosts", ())
    lines.append("")
    if hosts:
        lines.append(cluster_bars([_bar(host) for host in hosts]))
    else:
        lines.append("no host has reported")
    return "\n".join(lines) + "\n"


def _bar(host: Mapping[str, Any]) -> HostBar:
    notes = list(host.get("marks", ()))
    why = str(host.get("why_unplannable") or "").removeprefix(f"host {host['id']} is ")
    age_s = host.get("age_s")
    age = f"{units.duration(age_s)} old" if age_s is not None else ""
    if why.startswith("stale"):
        notes.append(f"stale (figures {age})")
    elif why and host.get("power") == "unknown" and host.get("power_requested") == "asleep":
        seen = host.get("power_observed") or "not seen"
        notes.append(f"asked to sleep, {seen if seen == 'not seen' else f'seen {seen}'}")
    elif why:
        notes.append(f"{why} (figures {age})" if age_s is not None and age_s > _FRESH_S else why)
    elif age_s is not None and age_s > _FRESH_S:
        notes.append(f"figures {age}")
    return HostBar(host["id"], host["cpu_ratio"], host["memory_ratio"], host["guests"], ", ".join(notes))


def _plan(plan: Mapping[str, Any] | None) -> list[str]:
    if plan is None:
        return ["no plan is under way"]
    steps: Sequence[Mapping[str, Any]] = plan["steps"]
    done = sum(step["state"] == "done" for step in steps)
    lines = _wrap(f"plan {plan['id']} ({plan['policy']}) is {plan['state']}, {done} of {len(steps)} done", "", "  ")
    lines += _wrap(str(plan["why"]), "  ", "  ")
    open_steps = [step for step in steps if step["state"] != "done"]
    for step in open_steps[:_SHOWN_STEPS]:
        lines.append(units.fit(f"  {step['id']:<4} {_step(step)}", WIDTH))
    if len(open_steps) > _SHOWN_STEPS:
        lines.append(f"  and {len(open_steps) - _SHOWN_STEPS} more (all of them with --json)")
    return lines


def _step(step: Mapping[str, Any]) -> str:
    if step["kind"] == "migrate":
        what = f"move {units.fit(step['guest'], 24)} {units.fit(step['from'], 14)} -> {units.fit(step['to'], 14)}"
    else:
        what = f"{step['kind']} {step['host']}"
    state = step["state"]
    if state == "running" and step.get("progress_ratio"):
        state += f" {units.percent(step['progress_ratio'])}"
    return units.plain(f"{what}: {state}" + (f", {step['detail']}" if step.get("detail") else ""))


def _wrap(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(units.plain(text), WIDTH, initial_indent=first, subsequent_indent=rest)
