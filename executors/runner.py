"""The plan's conductor: starts steps in order and within limits, watches them, and writes down how each one ended.

Look first, journal, act, observe. All that matters is in the store's journal; what is kept here may be lost at any
moment. A step is started only between its journal line `running` and that line's end, and only by whoever wrote it:
a step found `running` is watched, never started again. The first surprise ends the plan: nothing more is started.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from cluster.clock import Clock
from cluster.config.settings import MigrationSettings
from cluster.errors import (
    ConflictError,
    FencedError,
    RateLimitError,
    RefusedError,
    StepError,
    StoreUnavailableError,
    UnreachableError,
)
from cluster.migration.links import Links
from cluster.plan import EVACUATE, Migrate, Plan, PlanRecord, PlanState, Sleep, Step, StepRecord, StepState, Wake
from cluster.store.protocol import Lease, Store
from executors.admission import Admission
from executors.bandwidth import Bandwidth
from executors.events import Event, EventKind
from executors.journal import Journal
from executors.ladder import Means, Rung
from executors.power_watch import PowerWatch, power_permits
from executors.protocol import LeavesBehind, MayBegin, MigrationExecutor, PowerExecutor, Progress
from executors.slots import limit_mib_s
from executors.terms import SpareCpu, TermsOf, no_terms, nothing_known
from executors.watch import MigrationWatch, OnLook, Seen

LastLook = Callable[[Plan, Migrate | Sleep | Wake], str | None]


class PlanRunner:
    """Carries out the store's active plan, one short pass per `tick`.

    `last_look` is a step's own look at the world (a sentence refuses the step); `may_act` says why nothing may be
    started now (kill switch, pause, blackout), `may_last` why nothing that takes so many seconds; `lease` is the
    leadership held by this process's own clock;
    `why_not_adopt` says why a plan that another process began is only finished, not gone on with; `on_look` is told
    what each look at a guest's hosts saw.
    `terms` are a migration's permits and allowed downtime, `links` what running migrations share, `spare_millicores`
    what each host's CPU limit leaves beside its guests.
    An unclear outcome is looked at again for `settle_s` before it is `unresolved`, a bad one for `confirm_s`.
    """

    def __init__(
        self,
        store: Store,
        migrations: MigrationExecutor,
        power: PowerExecutor | None,
        clock: Clock,
        settings: MigrationSettings,
        last_look: LastLook,
        may_act: Callable[[], str | None],
        lease: Callable[[], Lease | None],
        *,
        may_last: Callable[[float], str | None] = lambda _seconds: None,
        why_not_adopt: Callable[[], str | None] = lambda: None,
        on_look: OnLook = lambda _step, _sighting: None,
        terms: TermsOf = no_terms,
        links: Callable[[], Links] = lambda: Links({}),
        spare_millicores: SpareCpu = nothing_known,
        settle_s: float = 60.0,
        confirm_s: float = 3.0,
    ) -> None:
        self._journal = Journal(store, clock, lease)
        self._migrations = migrations
        self._power = PowerWatch(power, clock, settings.timeout_s, self._journal)
        self._clock = clock
        self._last_look = last_look
        self._may_act = may_act
        self._may_last = may_last
        self._why_not_adopt = why_not_adopt
        share = Bandwidth(migrations, links, clock, limit_mib_s(settings), settings.least_mib_s)
        self._admission = Admission(self._journal, share, settings, terms, clock, spare_millicores)
        self._watch = MigrationWatch(migrations, clock, settings.timeout_s, settle_s, confirm_s, on_look)
        self._seen: tuple[str, int] | None = None
        self._began = ""
        self._to_begin: set[tuple[str, str]] = set()
        self._closing = ""
        self._wish_stop = ""
        self._wish_abort = ""
        self._held = ""
        self._events: list[Event] = []

    def begin(self, plan: Plan) -> None:
        """Make a plan the active one.

        `FencedError`, `ConflictError` (one is active), `StoreUnavailableError`, `RefusedError` after `wind_up`.
        """
        if self._closing:
            raise RefusedError(f"no plan is begun any more: {self._closing}")
        self._journal.enter()
        self._journal.open(plan)
        self._forget()
        self._began = plan.id

    def adopt(self) -> PlanRecord | None:
        """Pick up the store's active plan after a start or a change of leader. `FencedError`, `StoreUnavailableError`.

        Its steps found `running` are watched from now on and settled by what is seen. `tick` does this by itself
        whenever the fencing token has changed.
        """
        self._journal.enter()
        self._forget()
        return self._journal.active()

    def stop_starting(self, why: str = "an operator asked to finish what runs and start nothing more") -> None:
        """Start nothing more of the active plan; what runs is finished."""
        self._wish_stop = self._wish_stop or why

    def wind_up(self, why: str = "an operator asked to finish what runs and start nothing more") -> None:
        """Start nothing more, of the active plan or of any later one."""
        self._closing = self._closing or why
        self.stop_starting(why)

    def abort(self, why: str = "an operator aborted the plan") -> None:
        """Start nothing more and stop running migrations where that is safe; their guests stay on their sources."""
        self.stop_starting(why)
        self._wish_abort = why

    @property
    def waits(self) -> Mapping[str, str]:
        """Why steps of the active plan wait for more than their turn or a slot, by step id."""
        return dict(self._admission.waits)

    def tick(self) -> tuple[Event, ...]:
        """Do one pass: watch what runs, settle what ended, start what may start. Return what is worth telling.

        Without the store or leadership nothing is started and running migrations are let alone; the next pass goes on
        by itself. What the executor raises beyond its protocol passes through, and the next pass looks again.
        """
        self._events = []
        try:
            self._pass()
        except StoreUnavailableError as error:
            self._hold("", f"the store does not answer, nothing is started: {error}")
        except (FencedError, ConflictError) as error:
            self._hold("", str(error))
        return tuple(self._events)

    # -- one pass --------------------------------------------------------------------------------------------------
    def _pass(self) -> None:
        token = self._journal.enter()
        record = self._journal.active()
        if record is None:
            self._forget()
            self._held = ""
            return
        if self._seen != (record.plan.id, token):
            self._forget(keep_wishes=True)
            self._seen = (record.plan.id, token)
            self._tell_adopted(record)
            if record.plan.id != self._began and (why := self._why_not_adopt()) is not None:
                self.stop_starting(why)
        record = self._stop(record, self._wish_stop)
        for step in _in_state(record, StepState.RUNNING):
            record = _with(record, step, self._observe(record, step))
        self._admission.enter(record)
        record = self._stop_at_surprise(record)
        if record.state is PlanState.ACTIVE:
            record = self._start_ready(record)
            record = self._stop_at_surprise(record)
        self._end_if_over(record)

    def _stop(self, record: PlanRecord, why: str) -> PlanRecord:
        if not why or record.state is not PlanState.ACTIVE:
            return record
        self._journal.move_plan(record.plan.id, PlanState.STOPPING, why)
        self._tell(EventKind.STOPPING, record, f"nothing more is started: {why}", state=PlanState.STOPPING)
        return replace(record, state=PlanState.STOPPING, why=why)

    def _stop_at_surprise(self, record: PlanRecord) -> PlanRecord:
        for step in record.plan.steps:
            state = record.step_state(step.id)
            if state.is_final and state is not StepState.DONE:
                return self._stop(record, f"step {step.id} {state}: {record.steps[step.id].detail}")
        return record

    def _end_if_over(self, record: PlanRecord) -> None:
        if _in_state(record, StepState.RUNNING):
            return
        if record.state is PlanState.ACTIVE and any(_ready(record, step) for step in record.plan.steps):
            return
        done, all_steps = len(_in_state(record, StepState.DONE)), len(record.plan.steps)
        why = f"{done} of {all_steps} steps done"
        if record.why and record.state is PlanState.STOPPING:
            why = f"{record.why}; {why}"
        self._journal.move_plan(record.plan.id, PlanState.ENDED, why)
        self._tell(EventKind.PLAN_ENDED, record, why, state=PlanState.ENDED)
        self._forget()

    # -- starting --------------------------------------------------------------------------------------------------
    def _start_ready(self, record: PlanRecord) -> PlanRecord:
        for step in record.plan.steps:
            if self._wish_stop:
                return record  # asked for while this pass was busy; the next one writes it down
            if not _ready(record, step):
                continue
            if isinstance(step, Migrate) and not self._admission.has_slot(record, step):
                continue
            if (why := self._may_act() or self._may_last(_lasting_s(record, step))) is not None:
                self._hold(record.plan.id, why)
                return record
            self._held = ""
            if isinstance(step, Migrate) and self._has_to_wait(record, step):
                continue
            started = self._start(record, step)
            if started is None:
                continue
            record = _with(record, step, started)
            if record.step_state(step.id).is_final:
                return record
        return record

    def _has_to_wait(self, record: PlanRecord, step: Migrate) -> bool:
        why = self._admission.why_wait(record, step)
        if why is not None and self._admission.is_news(why):
            self._tell(EventKind.HELD, record, why, step=step, state=StepState.WAITING)
        return why is not None

    def _start(self, record: PlanRecord, step: Step) -> StepRecord | None:
        """Start a step and return its record; `None`: it has to wait after all, nothing was written."""
        why = self._watch.why_not_startable(step) if isinstance(step, Migrate) else None
        if why is None and isinstance(step, Migrate) and (alarm := self._journal.unresolved().get(step.guest)):
            why = f"the guest waits for an operator: {alarm}"
        why = why or self._last_look(record.plan, step)
        if why is not None:
            return self._end(record, step, Seen(StepState.REFUSED, why))
        try:
            left_behind = self._left_behind(step)
            limit = self._admission.make_room(record, step) if isinstance(step, Migrate) else 0
            if limit is None:
                return None
            permits = self._admission.terms(record, step).permits if isinstance(step, Migrate) else power_permits(step)
            written = self._journal.begin(record, step, left_behind, permits)
            # Writing may have taken longer than the lease lasts: whoever leads now settles the step from its line.
            token = self._journal.token()
            record = _with(record, step, written)
            if isinstance(step, Migrate):
                self._watch.begin(step)
                self._migrations.start(step, limit, self._permit(record, step, token))
            else:
                self._power.start(record, step, self._permit(record, step, token))
        except RefusedError as error:
            return self._end(record, step, Seen(StepState.REFUSED, str(error)))
        except RateLimitError as error:
            self._admission.note(step, str(error))
            return None
        except StoreUnavailableError:
            raise
        except (UnreachableError, StepError) as error:
            if record.step_state(step.id) is StepState.WAITING:
                return self._end(record, step, Seen(StepState.REFUSED, str(error)))
            self._watch.note(step, str(error))
        self._tell(EventKind.STARTED, record, step.reason, step=step, state=StepState.RUNNING)
        return written

    def _permit(self, record: PlanRecord, step: Step, token: int) -> MayBegin:
        """Return what an executor asks last: whether we still lead as we did, and the step has not ended meanwhile."""
        key = record.plan.id, step.id
        self._to_begin.add(key)
        return lambda: key in self._to_begin and not self._wish_abort and self._journal.confirms(record, step, token)

    def _left_behind(self, step: Step) -> str:
        if isinstance(step, Migrate) and isinstance(self._migrations, LeavesBehind):
            return self._migrations.left_behind(step)
        return ""

    # -- watching --------------------------------------------------------------------------------------------------
    def _observe(self, record: PlanRecord, step: Step) -> StepRecord:
        before = record.steps[step.id]
        if isinstance(step, Migrate):
            means = self._means(record, step)
            seen = self._watch.look(step, before, self._clock.now(), self._wish_abort, means)
        else:
            token = self._journal.token()
            seen = self._power.look(record, step, lambda now: self._permit(now, step, token))
        if seen.doubt:
            self._tell(EventKind.DOUBT, record, seen.doubt, step=step, state=StepState.RUNNING)
        if seen.state.is_final:
            return self._end(record, step, seen)
        progress = seen.progress
        if (progress.ratio, progress.mib) == (before.progress_ratio, before.mib) or not progress.running:
            return before
        written = self._journal.progress(record, step, progress.ratio, progress.mib, progress.downtime_ms)
        self._tell(EventKind.PROGRESS, record, "", step=step, state=StepState.RUNNING, progress=progress)
        return written

    def _means(self, record: PlanRecord, step: Migrate) -> Means:
        """Return what the ladder needs to help a running migration along."""

        def note(rung: Rung, text: str) -> None:
            self._journal.note(record, step, rung, text)
            self._tell(EventKind.RUNG, record, text, step=step, state=StepState.RUNNING)

        permit = self._permit(record, step, self._journal.token())
        return Means(note, lambda: self._journal.noted(record, step), permit, self._admission.limit_mib_s(step))

    def _end(self, record: PlanRecord, step: Step, seen: Seen) -> StepRecord:
        before = record.steps.get(step.id)
        progress = seen.progress
        mib, downtime_ms, ratio = progress.mib, progress.downtime_ms, 0.0
        if before is not None:
            # The last look may know less than an earlier one: a job's statistics go with its host.
            mib, ratio = max(mib, before.mib), before.progress_ratio
            downtime_ms = before.downtime_ms if downtime_ms is None else downtime_ms
        if seen.state is StepState.DONE:
            ratio = 1.0
        if isinstance(step, Migrate) and before is not None:
            self._journal.mark_convergence(step.guest, seen.state, gave_up=self._watch.gave_up(step))
        written = self._journal.end(record, step, seen.state, seen.text, ratio=ratio, mib=mib, downtime_ms=downtime_ms)
        self._watch.forget(step)
        self._to_begin.discard((record.plan.id, step.id))
        self._power.forget(step.id)
        final = replace(progress, ratio=ratio, mib=mib, downtime_ms=downtime_ms)
        self._tell(EventKind.ENDED, record, seen.text, step=step, state=seen.state, progress=final)
        return written

    # -- telling ---------------------------------------------------------------------------------------------------
    def _tell(
        self,
        kind: EventKind,
        record: PlanRecord,
        text: str,
        *,
        step: Step | None = None,
        state: str = "",
        progress: Progress | None = None,
    ) -> None:
        known = progress or Progress(running=False)
        now, plan = self._clock.now(), record.plan.id
        figures = (known.ratio, known.mib, known.downtime_ms, known.seconds)
        self._events.append(Event(kind, now, plan, text, str(state), step, *figures))

    def _tell_adopted(self, record: PlanRecord) -> None:
        for step in _in_state(record, StepState.RUNNING):
            text = "found under way in the journal; watched, not started again"
            self._tell(EventKind.ADOPTED, record, text, step=step, state=StepState.RUNNING)

    def _hold(self, plan: str, why: str) -> None:
        if why != self._held:
            self._held = why
            self._events.append(Event(EventKind.HELD, self._clock.now(), plan, why))

    def _forget(self, *, keep_wishes: bool = False) -> None:
        self._seen = None
        self._watch.clear()
        self._admission.clear()
        self._to_begin.clear()
        self._power.clear()
        if not keep_wishes:
            self._wish_stop = self._wish_abort = ""


def _in_state(record: PlanRecord, state: StepState) -> tuple[Step, ...]:
    return tuple(step for step in record.plan.steps if record.step_state(step.id) is state)


def _ready(record: PlanRecord, step: Step) -> bool:
    """Whether a step waits for nothing but its turn."""
    if record.step_state(step.id) is not StepState.WAITING:
        return False
    return all(record.step_state(before) is StepState.DONE for before in step.after)


def _lasting_s(record: PlanRecord, step: Step) -> float:
    """How long a step is expected to take. A host that fails is emptied as long as anything may be begun at all."""
    return step.estimate.seconds if isinstance(step, Migrate) and record.plan.policy != EVACUATE else 0.0


def _with(record: PlanRecord, step: Step, written: StepRecord) -> PlanRecord:
    return replace(record, steps={**record.steps, step.id: written})
