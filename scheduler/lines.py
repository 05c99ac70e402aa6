"""What the runner did, as one line for the log or the live view."""

from __future__ import annotations

from cluster.plan import Migrate, Step
from executors.events import Event, EventKind


def line_of(event: Event) -> str:
    """Return the line for an event: what, of whom, and why or how it ended."""
    if event.step is None:
        return f"plan {event.plan}: {event.text}" if event.plan else event.text
    about = _about(event.step)
    match event.kind:
        case EventKind.STARTED:
            return f"started  {about}: {event.step.reason}"
        case EventKind.ENDED:
            moved = f", {event.mib} MiB" if event.mib else ""
            down = f", {event.downtime_ms} ms down" if event.downtime_ms is not None else ""
            return f"{event.state:<8} {about}: {event.text}{moved}{down}"
        case EventKind.PROGRESS:
            return f"moving   {about}: {event.progress_ratio:.0%}"
        case _:
            return f"{event.kind.value:<8} {about}: {event.text}"


def _about(step: Step) -> str:
    if isinstance(step, Migrate):
        return f"{step.guest_name or step.guest} {step.source} -> {step.target}"
    return f"{type(step).__name__.lower()} {step.host}"
