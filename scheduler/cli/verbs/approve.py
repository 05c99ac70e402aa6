"""`trimtab approve`: let a plan that waits be carried out."""

from __future__ import annotations

import argparse

from cluster.errors import RefusedError
from cluster.plan import PlanRecord, PlanState
from cluster.store.protocol import Store
from scheduler.cli.context import Context
from scheduler.cli.live import need_daemon, open_store_now, refuse_unless_it_holds, send, wait_until

DESCRIPTION = "Let a plan that waits for approval (mode advise) be carried out by the daemon."
EXAMPLES = """\
  trimtab status                            shows the plans that wait
  trimtab approve 01JDABCDEF
"""
ANSWER_WITHIN_S = 20.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("plan", metavar="PLAN", help="id of a waiting plan")


def run(args: argparse.Namespace, context: Context) -> int:
    """Send the approval and wait until the daemon has taken it."""
    with open_store_now(context) as store:
        plan = waiting_plan(store, args.plan).plan
        if plan.expires_at <= context.clock.now():
            raise RefusedError(f"plan {plan.id} expired at {plan.expires_at:%H:%M:%S} UTC; wait for a new one")
        need_daemon(store)
        refuse_unless_it_holds(context, store, plan)
        send(context, store, "approve", plan.id)
        state = answered(context, store, plan.id)
    if state is PlanState.WAITING:
        raise RefusedError(f"plan {plan.id} still waits: the daemon did not begin it; its log says why")
    context.result(f"plan {plan.id} is approved; follow it with: trimtab status", {"plan": plan.id, "state": state})
    return 0


def waiting_plan(store: Store, plan: str) -> PlanRecord:
    """Return the plan that waits for approval under this id. `RefusedError` when there is none."""
    record = store.plan(plan)
    if record is not None and record.state is PlanState.WAITING:
        return record
    waiting = [one.plan.id for one in store.plans(20) if one.state is PlanState.WAITING]
    said = f"it is {record.state}" if record is not None else "there is no such plan"
    named = f"waiting: {', '.join(waiting)}" if waiting else "no plan waits"
    raise RefusedError(f"plan {plan} does not wait for approval: {said} ({named})")


def answered(context: Context, store: Store, plan: str) -> PlanState:
    """Wait until a plan does not wait any more, or for a while; return its state."""

    def state() -> PlanState:
        record = store.plan(plan)
        return PlanState.WAITING if record is None else record.state

    wait_until(context, lambda: state() is not PlanState.WAITING, ANSWER_WITHIN_S)
    return state()
