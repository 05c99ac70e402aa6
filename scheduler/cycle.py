"""One turn of the loop: see, ask the gate, plan, ask the gate again, act. Returns the sentence for the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, partial

from cluster.config.settings import Mode
from cluster.history import Metric
from cluster.migration.learned import learn
from cluster.plan import EVACUATE, Plan, PlanRecord, PlanState, Wake
from cluster.store.protocol import Store
from executors.runner import PlanRunner
from reports.units import count
from scheduler import quiet
from scheduler.check import check_cluster
from scheduler.energy.night import CONSOLIDATE
from scheduler.energy.shortage import is_short_of_room, with_one_more
from scheduler.energy.wake_plan import wake_plan
from scheduler.gate import View, frozen_guests, why_no_action, why_no_plan, why_no_wake, why_not_act, why_not_propose
from scheduler.intent import WAKE, Intent, intent_of, is_urgent
from scheduler.leadership import Leadership
from scheduler.planning import PlanRequest, make_plan

IN_VAIN_FOR = timedelta(minutes=30)
"""So long a consolidation that found nothing to do, or only load to share out better, is not tried again while the
same hosts are on and as many may sleep."""

PRESSING_FOR = timedelta(minutes=5)
"""The same where a host may sleep or is too full: guests that rest may move again by then."""


class Cycle:
    """Turns a view of the cluster into at most one plan under way. Holds nothing that a restart would miss."""

    def __init__(
        self, store: Store, leadership: Leadership, runner: PlanRunner, look: Callable[[PlanRecord | None], View]
    ) -> None:
        self._store = store
        self._leadership = leadership
        self._runner = runner
        self._look = look
        self.latest: Plan | None = None
        self._is_short = False
        self._in_vain: tuple[object, datetime] | None = None

    def run(self) -> str:
        """Do one turn. `StoreUnavailableError` and `CheckFailedError` pass through; nothing was begun then."""
        if self._leadership.keep() is None:
            return "standing by: another scheduler leads"
        active = self._store.active_plan()
        if active is not None:
            self._make_way(active)
            return f"plan {active.plan.id} is under way"
        view = self._look(active)
        if (why := why_no_action(view)) is not None:
            return f"not acting: {why}"
        if self._is_short:
            view = replace(view, advise=cache(partial(with_one_more, view.advise)))
        sentences = []
        for intent in intent_of(view):
            view = replace(view, by_request=intent.by_request)
            if (why := why_no_wake(view) if intent.policy == WAKE else why_no_plan(view)) is not None:
                return f"no plan: {why}"
            if intent.policy == CONSOLIDATE and (why := _why_rest(view) or self._why_in_vain(view)) is not None:
                sentences.append(f"{CONSOLIDATE}: {why}")
                continue
            if intent.policy == WAKE and (relief := self._relief(view)) is not None:
                view, plan = relief
            else:
                plan = self._plan(view, intent)
            self.latest = plan
            if intent.policy == CONSOLIDATE:
                # Load is shared out better now and then only: each time somebody's guests move.
                is_idle = not plan.steps or not _is_pressing(view)
                self._in_vain = (_situation(view), view.now) if is_idle else None
            self._is_short = intent.policy == CONSOLIDATE and is_short_of_room(plan, view.settings.gate.max_moves)
            if plan.steps:
                return self._act(view, plan)
            sentences.append(plan.why)
        return "; ".join(sentences)

    def _relief(self, view: View) -> tuple[View, Plan] | None:
        """Return a plan that relieves full hosts while others are woken, where moves are allowed now and there are any.

        What wakes a host by request does not move guests by request.
        """
        advice = view.advise()
        if advice is None or not advice.is_night or not advice.is_crowded:
            return None
        view = replace(view, by_request=False)
        if why_no_plan(view) is not None:
            return None
        plan = self._plan(view, Intent(CONSOLIDATE), advice.wake)
        return (view, plan) if plan.steps and why_not_act(view, plan) is None else None

    def _why_in_vain(self, view: View) -> str | None:
        """Say since when nothing was found to do, and nothing has changed; looking takes seconds."""
        if self._in_vain is None or self._in_vain[0] != _situation(view):
            return None
        rest = PRESSING_FOR if _is_pressing(view) else IN_VAIN_FOR
        if view.now - self._in_vain[1] >= rest:
            return None
        return f"looked at {self._in_vain[1]:%H:%M} UTC, and the same hosts are needed"

    def _make_way(self, active: PlanRecord) -> None:
        """Start nothing more of a plan that is not as urgent as emptying a host that fails, or waking those needed."""
        wakes = any(isinstance(step, Wake) for step in active.plan.steps)
        if active.plan.policy == EVACUATE or wakes or not is_urgent(view := self._look(active)):
            return
        first, advice = intent_of(view)[0], view.advise()
        if first.policy == EVACUATE:
            self._runner.stop_starting(f"{', '.join(first.drained)} fails and is emptied first")
        elif advice is not None:
            self._runner.stop_starting(f"{advice.wake[0][0]} is woken first: {advice.wake[0][1]}")

    def _plan(self, view: View, intent: Intent, wake: tuple[tuple[str, str], ...] = ()) -> Plan:
        chosen, settings, advice = view.settings.scheduler, view.settings, view.advise()
        if advice is not None and intent.policy == WAKE:
            return wake_plan(view.snapshot, advice.wake, settings)
        terms = None
        if advice is not None and intent.policy == CONSOLIDATE:
            terms, settings = advice.terms, replace(settings, consolidate=advice.settings)
        request = PlanRequest(
            policy=intent.policy,
            level=chosen.level,
            drained=intent.drained,
            max_moves=None if intent.by_request else view.settings.gate.max_moves,
            time_limit_s=chosen.time_limit_s if chosen.work_limit is None else None,
            work_limit=chosen.work_limit,
            workers=chosen.workers,
            seed=chosen.seed,
            engine=chosen.engine,
            frozen=frozen_guests(view, self._store.unresolved()),
            learned=learn(self._store.moves()),
            power=terms,
            wake=wake,
        )
        return make_plan(view.snapshot, request, settings)

    def _act(self, view: View, plan: Plan) -> str:
        if (why := why_not_act(view, plan) or self._why_wait(view, plan)) is None:
            self._runner.begin(plan)
            return f"began plan {plan.id}, {count(len(plan.steps), 'step')}; {plan.why}"
        if view.settings.scheduler.mode is Mode.ADVISE and why_not_propose(view, plan) is None:
            return f"{self._advise(view, plan)}; {plan.why}"
        return f"not acting: {why}; {plan.why}"

    def _why_wait(self, view: View, plan: Plan) -> str | None:
        """Say why a plan that nobody asked for and that mends nothing waits for a quieter hour of its guests."""
        within_s = view.settings.gate.quiet_within_s
        # The first goal is repair; a plan that somebody else wrote may have none.
        mends = any(goal.after < goal.before for goal in plan.goals[:1])
        if within_s <= 0 or view.by_request or mends or plan.policy != "balance":
            return None
        guests = {step.guest for step in plan.migrations}
        rings = {guest: self._store.usage(guest, Metric.CPU_MILLICORES) for guest in sorted(guests)}
        found = {guest: quiet.learned(ring, view.now) for guest, ring in rings.items()}
        known = {guest: levels for guest, levels in found.items() if levels is not None}
        return quiet.why_wait(plan, known, view.now, within_s)

    def _advise(self, view: View, plan: Plan) -> str:
        """Put a plan up for approval, unless one that has not expired waits already."""
        token = self._leadership.lease.token if self._leadership.lease else 0
        for record in self._store.plans(20):
            if record.state is PlanState.WAITING and record.plan.expires_at > view.now:
                return f"plan {record.plan.id} waits: trimtab approve {record.plan.id}"
            if record.state is PlanState.WAITING:
                self._store.set_plan_state(record.plan.id, PlanState.REJECTED, token, view.now, "expired unapproved")
        self._store.open_plan(plan, PlanState.WAITING, token, view.now)
        return f"plan {plan.id} waits: trimtab approve {plan.id}"


def _is_pressing(view: View) -> bool:
    """Tell whether a host may sleep, or is too full."""
    advice = view.advise()
    return advice is not None and (advice.sleepers > 0 or advice.is_crowded)


def _situation(view: View) -> object:
    """Return what decides whether a consolidation would find the same again: who is on, who may sleep, who is full."""
    advice = view.advise()
    on = tuple(host.id for host in view.snapshot.hosts if view.snapshot.why_no_target(host) is None)
    return on, None if advice is None else (advice.sleepers, advice.is_crowded)


def _why_rest(view: View) -> str | None:
    """Say why there is nothing to consolidate, nor to mend: what most cycles of a quiet cluster end with."""
    advice = view.advise()
    if advice is None or advice.why_rest is None or view.settings.scheduler.level <= 1:
        return None
    if any(finding.code != "unplannable" for finding in check_cluster(view.snapshot, view.settings.limits)):
        return None
    return advice.why_rest
