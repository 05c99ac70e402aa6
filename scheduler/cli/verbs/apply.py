"""`trimtab apply`: carry out a saved plan, by the daemon where one leads, else in this process."""

from __future__ import annotations

import argparse
from pathlib import Path

from cluster.errors import RefusedError
from cluster.formats.plan_file import load_plan, write_plan
from cluster.plan import Plan, PlanRecord, PlanState, Status
from scheduler.check import why_plan_no_longer_holds
from scheduler.cli.context import Context
from scheduler.cli.here import exit_status, lead_here, outcome_json
from scheduler.cli.live import open_store_now, refuse_unless_it_holds, send, wait_until

DESCRIPTION = (
    "Carry out a plan that 'trimtab plan --out FILE' wrote, if it still holds. The daemon does it where one leads, "
    "else this process. Ctrl-C finishes what runs and starts nothing more; a second one aborts what runs."
)
EXAMPLES = """\
  trimtab plan --policy drain --host kvm-a1 --out drain.json
  trimtab apply drain.json
"""
BEGUN_WITHIN_S = 20.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("file", metavar="FILE", help="a plan file")


def run(args: argparse.Namespace, context: Context) -> int:
    """Check the plan and see it through."""
    plan = load_plan(Path(args.file))
    if plan.status is Status.INFEASIBLE:
        raise RefusedError(f"{args.file}: the plan says infeasible: {plan.why}")
    if not plan.steps:
        context.result(f"{args.file}: the plan has no steps: nothing to do", {"plan": plan.id, "state": "ended"})
        return 0
    if plan.expires_at <= context.clock.now():
        raise RefusedError(
            f"{args.file}: plan {plan.id} expired at {plan.expires_at:%Y-%m-%d %H:%M:%S} UTC: make a new one"
        )
    record = _by_daemon(plan, context) or _here(plan, context)
    context.result(f"plan {plan.id} has ended: {record.why}", outcome_json(record))
    return exit_status(record)


def _by_daemon(plan: Plan, context: Context) -> PlanRecord | None:
    """Let the daemon do it and watch; `None` when none leads."""
    from scheduler.cli.follow import follow

    with open_store_now(context) as store:
        if store.status() is None:
            return None
        known = store.plan(plan.id)
        if known is not None and known.state is not PlanState.WAITING:
            raise RefusedError(f"plan {plan.id} is {known.state} already: make a new one")
        refuse_unless_it_holds(context, store, plan)
        send(context, store, "apply", write_plan(plan))

        def begun() -> bool:
            record = store.plan(plan.id)
            return record is not None and record.state is not PlanState.WAITING

        if not wait_until(context, begun, BEGUN_WITHIN_S):
            raise RefusedError(f"the daemon did not begin plan {plan.id}; its log says why")
        return follow(context, store, plan.id)


def _here(plan: Plan, context: Context) -> PlanRecord:
    with lead_here(context) as here:
        view = here.view()
        here.refuse_when_held(view)
        if (why := why_plan_no_longer_holds(plan, view.snapshot, view.settings.limits, view.now)) is not None:
            raise RefusedError(why)
        return here.carry_out(plan)
