"""Carrying plans out in this process, for when no daemon leads: the real loop with no will of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from cluster.errors import RefusedError, StoreUnavailableError
from cluster.plan import Plan, PlanRecord, PlanState, StepState
from scheduler.cli.context import Context
from scheduler.gate import View, why_no_action
from scheduler.loop import Loop
from scheduler.turns import Turns, interrupts_stop
from scheduler.wiring import build_loop, open_parts

_JOBS = ("lease", "collect", "tick", "wake_tests", "power")


class Here:
    """A leading loop of our own, and its jobs to be taken in turn."""

    def __init__(self, loop: Loop, turns: Turns) -> None:
        self.loop = loop
        self.turns = turns

    def view(self) -> View:
        """Return the cluster as the gate sees it, for something that a person asked for."""
        return replace(self.loop.view(None), by_request=True)

    def refuse_when_held(self, view: View, before: str = "") -> None:
        """Raise `RefusedError` when nothing may be done: paused, kill switch, blackout, a store that may forget."""
        why = why_no_action(view)
        if why is None and view.store_problems:
            why = f"the store is not safe for a journal: {view.store_problems[0]}"
        if why is not None:
            raise RefusedError(before + why)

    def carry_out(self, plan: Plan) -> PlanRecord:
        """Begin a plan and return its record when it has ended."""
        store = self.loop.parts.store
        self.loop.keep_lease()  # planning may have taken longer than it lasts
        self.loop.runner.begin(plan)

        def ended() -> bool:
            try:
                record = store.plan(plan.id)
            except StoreUnavailableError:
                return False  # the runner says so itself, and goes on when the store is back
            return record is not None and record.state is PlanState.ENDED

        self.turns.until(ended)
        record = store.plan(plan.id)
        assert record is not None
        return record


@contextmanager
def lead_here(context: Context) -> Iterator[Here]:
    """Open everything, take the lease and measure once. `RefusedError` while another leads or has left a plan."""
    settings, clock = context.settings, context.clock
    parts = open_parts(settings, clock, own_store=True)
    try:
        loop = build_loop(parts, settings, clock, context.progress)
    except BaseException:
        parts.close()
        raise
    try:
        jobs = {job.name: job for job in loop.jobs()}
        led = Turns([jobs["lease"]], clock, context.note)
        if not led.until(lambda: loop.leadership.lease is not None, settings.scheduler.lease_s):
            raise RefusedError("another scheduler leads and says nothing: look for a 'trimtab run' that hangs")
        if (active := parts.store.active_plan()) is not None:
            raise RefusedError(
                f"plan {active.plan.id} was left under way by another scheduler: 'trimtab run' takes it up again"
            )
        turns = Turns([jobs[name] for name in _JOBS], clock, context.note)
        if not turns.until(lambda: bool(loop.view(None).snapshot.hosts), settings.collect.interval_s * 2):
            raise RefusedError("no host has reported: start 'trimtab agent' on the hosts")
        with interrupts_stop(loop, context.note):
            yield Here(loop, turns)
    finally:
        loop.close()


def exit_status(record: PlanRecord) -> int:
    """Return the exit status that a plan's end means: 0 all done, 4 a step failed or is unresolved, 1 otherwise."""
    states = {record.step_state(step.id) for step in record.plan.steps}
    if states & {StepState.FAILED, StepState.UNRESOLVED}:
        return 4
    return 0 if states <= {StepState.DONE} else 1


def outcome_json(record: PlanRecord) -> dict[str, object]:
    """Return what became of a plan, ready for JSON."""
    return {
        "plan": record.plan.id,
        "state": record.state.value,
        "why": record.why,
        "steps": [
            {
                "id": step.id,
                "state": record.step_state(step.id).value,
                "detail": record.steps[step.id].detail if step.id in record.steps else "",
            }
            for step in record.plan.steps
        ],
    }
