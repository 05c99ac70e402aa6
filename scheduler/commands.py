"""What people ask of the leader through the store: one function per verb, registered in `COMMANDS`."""

from __future__ import annotations

from collections.abc import Callable

from cluster import power_sight
from cluster.errors import TrimtabError
from cluster.formats.plan_file import read_plan, write_plan
from cluster.plan import Plan, PlanState, Wake
from cluster.store.protocol import Command, Store
from executors.runner import PlanRunner
from scheduler.check import why_plan_no_longer_holds
from scheduler.gate import View, why_no_action
from scheduler.power import by_hand as power_by_hand

Look = Callable[[], View]
Handler = Callable[[Command, Store, PlanRunner, Look, int], str]


def carry_out(command: Command, store: Store, runner: PlanRunner, look: Look, token: int) -> str:
    """Carry out one command; return the sentence for the log. What cannot be done is said, not raised.

    `look` is called by those that need to see the cluster: a command once taken is gone from the store.
    """
    handler = COMMANDS.get(command.verb)
    if handler is None:
        return f"command {command.verb!r} of {command.by} is unknown to this version: ignored"
    try:
        return f"{command.verb} by {command.by}: {handler(command, store, runner, look, token)}"
    except TrimtabError as error:
        return f"{command.verb} by {command.by} refused: {error}"


def _approve(command: Command, store: Store, runner: PlanRunner, look: Look, token: int) -> str:
    record = store.plan(command.argument)
    if record is None or record.state is not PlanState.WAITING:
        return f"refused: plan {command.argument} does not wait for approval"
    if (why := _why_not(record.plan, store, look())) is not None:
        return f"refused: {why}"
    runner.begin(record.plan)
    return f"plan {record.plan.id} is under way"


def _reject(command: Command, store: Store, runner: PlanRunner, look: Look, token: int) -> str:
    record = store.plan(command.argument)
    if record is None or record.state is not PlanState.WAITING:
        return f"refused: plan {command.argument} does not wait for approval"
    store.set_plan_state(record.plan.id, PlanState.REJECTED, token, look().now, f"rejected by {command.by}")
    return f"plan {record.plan.id} will not be carried out"


def _apply(command: Command, store: Store, runner: PlanRunner, look: Look, token: int) -> str:
    plan = read_plan(command.argument, "the plan sent")
    known = store.plan(plan.id)
    if known is not None and write_plan(known.plan) != write_plan(plan):
        return f"refused: the journal holds another plan as {plan.id}: make a new one"
    if (why := _why_not(plan, store, look())) is not None:
        return f"refused: {why}"
    runner.begin(plan)
    return f"plan {plan.id} is under way"


def _abort(command: Command, store: Store, runner: PlanRunner, look: Look, token: int) -> str:
    active = store.active_plan()
    if active is None:
        return "nothing is under way"
    if command.argument not in ("", active.plan.id):
        return f"plan {command.argument} is not under way any more"
    runner.abort(f"aborted by {command.by}")
    return "stopping what runs, starting nothing more"


def _power(command: Command, store: Store, runner: PlanRunner, look: Look, token: int) -> str:
    plan, view = read_plan(command.argument, "the plan sent"), look()
    step = power_by_hand.step_of(plan)
    why = why_no_action(view) or next(iter(view.store_problems), None)
    why = why or power_by_hand.why_not(step, view.snapshot, view.settings, view.flags, view.now)
    if why is not None:
        return f"refused: {why}"
    if isinstance(step, Wake):
        store.set_flag(power_sight.BY_HAND + step.host, command.by)
    runner.begin(plan)
    return f"plan {plan.id} is under way"


def _why_not(plan: Plan, store: Store, view: View) -> str | None:
    if (active := store.active_plan()) is not None:
        return f"plan {active.plan.id} is under way"
    if view.store_problems:
        return f"the store is not safe for a journal: {view.store_problems[0]}"
    return why_no_action(view) or why_plan_no_longer_holds(plan, view.snapshot, view.settings.limits, view.now)


COMMANDS: dict[str, Handler] = {
    "approve": _approve,
    "reject": _reject,
    "apply": _apply,
    "abort": _abort,
    "power": _power,
}
