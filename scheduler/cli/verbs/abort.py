"""`trimtab abort`: stop the plan that runs."""

from __future__ import annotations

import argparse

from cluster.errors import RefusedError
from cluster.plan import PlanState
from scheduler.cli.context import Context
from scheduler.cli.live import need_daemon, open_store_now, send, wait_until

DESCRIPTION = (
    "Stop the plan that runs: nothing more is started, and migrations under way are aborted where that is safe; "
    "their guests stay where they are."
)
EXAMPLES = """\
  trimtab abort
"""
STOPPED_WITHIN_S = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: none."""


def run(args: argparse.Namespace, context: Context) -> int:
    """Send it and wait until the plan has ended."""
    with open_store_now(context) as store:
        active = store.active_plan()
        if active is None:
            raise RefusedError("no plan is under way: nothing to abort")
        need_daemon(store)
        plan = active.plan.id
        send(context, store, "abort", plan)

        def ended() -> bool:
            record = store.plan(plan)
            return record is None or record.state is PlanState.ENDED

        if not wait_until(context, ended, STOPPED_WITHIN_S):
            raise RefusedError(f"plan {plan} is asked to stop and has not ended yet; follow it with: trimtab status")
        record = store.plan(plan)
    why = record.why if record is not None else ""
    context.result(f"plan {plan} has ended: {why}", {"plan": plan, "state": PlanState.ENDED, "why": why})
    return 0
