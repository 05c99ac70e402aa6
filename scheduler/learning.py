"""What each migration took, noted from the runner's events as facts to learn from. Nothing here outlives the process:
a migration that another process began, or that did not go as planned, is no lesson.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cluster.migration.learned import MoveFact
from cluster.plan import Migrate, StepState
from executors.events import Event, EventKind


@dataclass(slots=True)
class _Running:
    """A migration under way: since when, whether another shared an end with it, whether no rung was needed so far."""

    step: Migrate
    since: datetime
    alone: bool = True
    as_planned: bool = True


class MoveNotes:
    """Watches events, in their order, and says what there is to learn of a migration when it has ended well."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], _Running] = {}

    def note(self, event: Event) -> MoveFact | None:
        """Take in an event; return the fact that it completes, if it does."""
        if event.kind is EventKind.PLAN_ENDED:
            self._running.clear()
        if not isinstance(event.step, Migrate):
            return None
        key = event.plan, event.step.id
        match event.kind:
            case EventKind.STARTED | EventKind.ADOPTED:
                self._begin(key, event)
            case EventKind.RUNG if key in self._running:
                self._running[key].as_planned = False
            case EventKind.ENDED:
                return self._end(key, event)
        return None

    def _begin(self, key: tuple[str, str], event: Event) -> None:
        assert isinstance(event.step, Migrate)
        # Nobody here knows when an adopted one began: it only keeps others from being alone.
        begun = _Running(event.step, event.at, as_planned=event.kind is EventKind.STARTED)
        for other in self._running.values():
            if other.step.source == begun.step.source or other.step.target == begun.step.target:
                other.alone = begun.alone = False
        self._running[key] = begun

    def _end(self, key: tuple[str, str], event: Event) -> MoveFact | None:
        running = self._running.pop(key, None)
        if running is None or not running.as_planned or event.state != StepState.DONE or not event.mib:
            return None
        step, said = running.step, running.step.estimate
        return MoveFact(
            plan=event.plan,
            step=step.id,
            guest=step.guest,
            source=step.source,
            target=step.target,
            at=event.at,
            predicted_mib=said.mib,
            predicted_s=said.seconds,
            mib=event.mib,
            seconds=event.seconds or (event.at - running.since).total_seconds(),
            alone=running.alone,
            mib_ratio=said.mib_ratio or 1.0,
            bandwidth_ratio=said.bandwidth_ratio or 1.0,
        )
