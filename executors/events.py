"""What the runner tells of its work, one value per line that a person may want to see. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cluster.plan import Step


class EventKind(StrEnum):
    """What happened.

    `held`: nothing is started for now, and why; `doubt`: the outcome is not clear yet; `rung`: a migration does not
    converge, and what is done about it.
    """

    ADOPTED = "adopted"
    STARTED = "started"
    PROGRESS = "progress"
    ENDED = "ended"
    DOUBT = "doubt"
    RUNG = "rung"
    HELD = "held"
    STOPPING = "stopping"
    PLAN_ENDED = "plan_ended"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of what the runner did or saw. `state` is the new state of `step`, or of the plan without one."""

    kind: EventKind
    at: datetime
    plan: str
    text: str
    state: str = ""
    step: Step | None = None
    progress_ratio: float = 0.0
    mib: int = 0
    downtime_ms: int | None = None
    seconds: float | None = None
