"""Watching what the daemon does with a plan, by the store: a line for every step that changes."""

from __future__ import annotations

from cluster.errors import RefusedError
from cluster.plan import Migrate, PlanRecord, PlanState, Step, StepState
from cluster.store.protocol import Store
from scheduler.cli.context import Context
from scheduler.cli.live import POLL_S


def follow(context: Context, store: Store, plan: str) -> PlanRecord:
    """Tell of every step's change until the plan has ended; return its record. `RefusedError`: the daemon is gone."""
    told: dict[str, StepState] = {}
    while True:
        record = store.plan(plan)
        if record is None:
            raise RefusedError(f"plan {plan} is not in the journal any more")
        for step in record.plan.steps:
            state = record.step_state(step.id)
            if state is not told.get(step.id, StepState.WAITING):
                told[step.id] = state
                detail = record.steps[step.id].detail
                context.progress(f"{state:<10} {about(step)}" + (f": {detail}" if state.is_final and detail else ""))
        if record.state in (PlanState.ENDED, PlanState.REJECTED):
            return record
        if store.status() is None:
            raise RefusedError(f"the daemon is gone; plan {plan} stays journalled and 'trimtab run' takes it up again")
        context.clock.sleep(POLL_S)


def about(step: Step) -> str:
    """Return what a step does, in a few words."""
    if isinstance(step, Migrate):
        return f"{step.guest_name or step.guest} {step.source} -> {step.target}"
    return f"{type(step).__name__.lower()} {step.host}"
