"""`trimtab reject`: drop a plan that waits."""

from __future__ import annotations

import argparse

from cluster.errors import RefusedError
from cluster.plan import PlanState
from scheduler.cli.context import Context
from scheduler.cli.live import need_daemon, open_store_now, send
from scheduler.cli.verbs.approve import answered, waiting_plan

DESCRIPTION = "Drop a plan that waits for approval. It will not be carried out."
EXAMPLES = """\
  trimtab reject 01JDABCDEF
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("plan", metavar="PLAN", help="id of a waiting plan")


def run(args: argparse.Namespace, context: Context) -> int:
    """Send the rejection and wait until the daemon has taken it."""
    with open_store_now(context) as store:
        plan = waiting_plan(store, args.plan).plan
        need_daemon(store)
        send(context, store, "reject", plan.id)
        state = answered(context, store, plan.id)
    if state is not PlanState.REJECTED:
        raise RefusedError(f"plan {plan.id} is {state}: the daemon did not take the rejection; its log says why")
    context.result(f"plan {plan.id} is rejected", {"plan": plan.id, "state": state})
    return 0
