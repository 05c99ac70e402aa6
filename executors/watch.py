"""A running migration as one process watches it: when it counts as over, overdue, in doubt, or asked to stop.

Nothing here is needed after a crash: a step found in the journal is watched from scratch.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from cluster.clock import Clock
from cluster.errors import RefusedError, StepError, UnreachableError
from cluster.plan import Migrate, Step, StepRecord, StepState
from executors.ladder import Climbs, Ladder, Means
from executors.outcome import Verdict, settle, why_not_startable
from executors.protocol import LeavesBehind, MigrationExecutor, Presence, Progress, Sighting

OnLook = Callable[[Migrate, Sighting], None]


def _nothing(_step: Migrate, _sighting: Sighting) -> None:
    pass


_NOT_RUNNING = Progress(running=False)
_STAYED = frozenset({StepState.FAILED, StepState.ABORTED})


def adopted_age_s(record: StepRecord, now: datetime, timeout_s: float) -> float:
    """Return for how long a step that another process began has been running, as far as its time-out is concerned.

    Its start was written by that process's time of day. An age of less than nothing or more than the time-out says that
    the two clocks differ, or that nobody has led for long: either way the time-out counts from now.
    """
    age_s = (now - record.at).total_seconds()
    return age_s if 0.0 <= age_s <= timeout_s else 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look at a step says: the state it should have now, why, its figures, and a new doubt worth telling."""

    state: StepState
    text: str
    progress: Progress = _NOT_RUNNING
    doubt: str = ""


@dataclass(slots=True)
class _Watched:
    """What is known of one running step. Times are the clock's monotonic seconds."""

    since_s: float
    error: str = ""
    stop_since_s: float | None = None
    stop_why: str = ""
    stopped_by_operator: bool = False
    doubt: StepState | None = None
    doubt_since_s: float = 0.0
    arrived_since_s: float | None = None
    postcopy: bool = False
    gave_up: bool = False
    between_since_s: float = 0.0


@dataclass(slots=True)
class MigrationWatch:
    """Watches running migrations through their executor. Raises nothing of the protocol's errors.

    After `timeout_s` a migration is asked to stop; `settle_s` later it is settled by a look, whatever its job says.
    """

    migrations: MigrationExecutor
    clock: Clock
    timeout_s: float
    settle_s: float
    confirm_s: float
    on_look: OnLook = _nothing
    _watched: dict[str, _Watched] = field(default_factory=dict)
    _ladder: Ladder | None = None

    def __post_init__(self) -> None:
        """Have a ladder for migrations that can be helped."""
        if isinstance(self.migrations, Climbs):
            self._ladder = Ladder(self.migrations, self.clock)

    def why_not_startable(self, step: Migrate) -> str | None:
        """Look, and say why the migration may not begin."""
        return why_not_startable(step, self._sighting(step))

    def begin(self, step: Migrate) -> None:
        """Start the clock of a step that is about to be started."""
        self._watched[step.id] = _Watched(self.clock.monotonic_s())
        if self._ladder is not None and isinstance(step, Migrate):
            self._ladder.forget(step)

    def gave_up(self, step: Step) -> bool:
        """Tell whether a step was given up because it does not converge."""
        watched = self._watched.get(step.id)
        return watched is not None and watched.gave_up

    def note(self, step: Step, error: str) -> None:
        """Remember what the start said; how the step ended is for the next look to tell."""
        if step.id in self._watched:
            self._watched[step.id].error = error

    def forget(self, step: Step) -> None:
        """Stop watching a step."""
        self._watched.pop(step.id, None)
        if self._ladder is not None and isinstance(step, Migrate):
            self._ladder.forget(step)

    def clear(self) -> None:
        """Forget everything."""
        self._watched.clear()
        if self._ladder is not None:
            self._ladder.clear()

    def look(
        self, step: Migrate, record: StepRecord, now: datetime, abort_why: str, means: Means | None = None
    ) -> Seen:
        """Look at a running step; `abort_why` (not empty) asks its migration to stop.

        With `means` one that does not converge is helped along. One in post-copy is not stopped by anything.
        """
        now_s = self.clock.monotonic_s()
        if step.id not in self._watched:
            since_s = now_s - adopted_age_s(record, now, self.timeout_s)
            self._watched[step.id] = _Watched(since_s, error="interrupted before it began or in mid-migration")
        watched = self._watched[step.id]
        progress = self._poll(step)
        if not progress.error:
            progress = replace(progress, error=watched.error)
        watched.postcopy = watched.postcopy or progress.postcopy
        self._stop_if_due(step, watched, now_s, abort_why)
        if means is not None and self._ladder is not None and watched.stop_since_s is None:
            between = self._climb(self._ladder, step, watched, progress, means)
            if between is not None:
                return between
        stopping_s = 0.0 if watched.stop_since_s is None or watched.postcopy else now_s - watched.stop_since_s
        overdue = stopping_s > self.settle_s
        if progress.running and not overdue:
            watched.doubt = None
            return Seen(StepState.RUNNING, "", progress)
        over = replace(progress, running=False)
        verdict = self._explained(step, settle(step, self._sighting(step), over), watched)
        if verdict.state is StepState.RUNNING and not overdue:
            watched.doubt = None
            return Seen(StepState.RUNNING, verdict.text, progress)
        # A job that still runs and could begin in earnest later is no failure yet.
        if verdict.state is StepState.RUNNING or (progress.running and verdict.state in _STAYED):
            verdict = Verdict(StepState.UNRESOLVED, f"{watched.stop_why}, but it does not stop: {verdict.text}")
        return self._believe(step, record, watched, verdict, over, now_s)

    def _believe(
        self, step: Migrate, record: StepRecord, watched: _Watched, verdict: Verdict, over: Progress, now_s: float
    ) -> Seen:
        """Take a good end at once, a bad or unclear one only when it is still so after a while."""
        if verdict.state is StepState.DONE and not verdict.passing:
            return self._bring_along(step, record, watched, verdict, over, now_s)
        doubt = ""
        if watched.doubt is not verdict.state:
            watched.doubt, watched.doubt_since_s, doubt = verdict.state, now_s, verdict.text
        patience_s = self.settle_s if verdict.state is StepState.UNRESOLVED else self.confirm_s
        if now_s - watched.doubt_since_s < patience_s:
            return Seen(StepState.RUNNING, verdict.text, over, doubt)
        if verdict.state is StepState.DONE:
            return self._bring_along(step, record, watched, verdict, over, now_s)
        return Seen(verdict.state, verdict.text, over)

    def _bring_along(
        self, step: Migrate, record: StepRecord, watched: _Watched, verdict: Verdict, over: Progress, now_s: float
    ) -> Seen:
        """Let what the migration left behind follow before the step counts as done, so that a crash repeats it."""
        if not record.detail or not isinstance(self.migrations, LeavesBehind):
            return Seen(verdict.state, verdict.text, over)
        if watched.arrived_since_s is None:
            watched.arrived_since_s = now_s
        try:
            self.migrations.bring_along(step, record.detail)
        except (UnreachableError, StepError) as error:
            if now_s - watched.arrived_since_s < self.settle_s:
                return Seen(StepState.RUNNING, str(error), over)
            return Seen(verdict.state, f"{verdict.text}, but did not get {record.detail}: {error}", over)
        return Seen(verdict.state, verdict.text, over)

    def _climb(self, ladder: Ladder, step: Migrate, watched: _Watched, progress: Progress, means: Means) -> Seen | None:
        """Help a running migration along. What is seen while one try is over and the next not begun, or `None`."""
        if not ladder.is_between_tries(step):
            if not progress.running or watched.postcopy:
                return None
            if why := ladder.look(step, means):
                watched.gave_up, watched.stop_why, watched.stop_since_s = True, why, self.clock.monotonic_s()
                self._abort(step)
            if not ladder.is_between_tries(step):
                return None
            watched.between_since_s = self.clock.monotonic_s()
        if progress.running:
            self._abort(step)
        elif (why_not := self.why_not_startable(step)) is None:
            try:
                watched.error = ""
                ladder.second_try(step, means)
            except (UnreachableError, StepError, RefusedError) as error:
                watched.error = str(error)
            return Seen(StepState.RUNNING, "tried again", progress)
        elif self.clock.monotonic_s() - watched.between_since_s > self.settle_s:
            ladder.call_off(step)
            watched.error = f"it was stopped to be tried again, but {why_not}"
        return Seen(StepState.RUNNING, "stopped, to be tried again", progress)

    def _abort(self, step: Migrate) -> None:
        """Ask the migration to stop; what comes of it is seen, not believed."""
        with suppress(UnreachableError, StepError):
            self.migrations.abort(step)

    def _stop_if_due(self, step: Migrate, watched: _Watched, now_s: float, abort_why: str) -> None:
        if watched.stop_since_s is None:
            if abort_why:
                watched.stop_why, watched.stopped_by_operator = abort_why, True
            elif now_s - watched.since_s > self.timeout_s:
                watched.stop_why = f"it took longer than {self.timeout_s:g} s and was asked to stop"
            else:
                return
            watched.stop_since_s = now_s
        # Asked again at every look. One in post-copy goes on: its executor does not stop it, and nor does time.
        self._abort(step)

    def _explained(self, step: Migrate, verdict: Verdict, watched: _Watched) -> Verdict:
        if verdict.state is not StepState.FAILED or not watched.stop_why:
            return verdict
        state = StepState.ABORTED if watched.stopped_by_operator else StepState.FAILED
        return Verdict(state, f"{watched.stop_why}; {verdict.text}")

    def _poll(self, step: Migrate) -> Progress:
        try:
            return self.migrations.poll(step)
        except (UnreachableError, StepError) as error:
            return Progress(running=False, error=str(error))

    def _sighting(self, step: Migrate) -> Sighting:
        try:
            sighting = self.migrations.look(step)
            self.on_look(step, sighting)
            return sighting
        except (UnreachableError, StepError):
            return Sighting(Presence.UNKNOWN, Presence.UNKNOWN)
