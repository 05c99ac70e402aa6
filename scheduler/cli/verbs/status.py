"""`trimtab status`: hosts, guests, the running plan and alarms, now."""

from __future__ import annotations

import argparse
from datetime import datetime

from cluster.store.protocol import Store
from reports.status_text import status_text
from reports.units import duration
from scheduler.cli.context import Context
from scheduler.cli.live import daemon_status, from_reports, open_store_now
from scheduler.status import status_of

DESCRIPTION = (
    "Alarms, what runs, and every host with its load and how old its figures are. Works without a daemon, too."
)
EXAMPLES = """\
  trimtab status
  trimtab status --json | jq '.hosts[] | {id, cpu_ratio}'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: none."""


def run(args: argparse.Namespace, context: Context) -> int:
    """Show what the daemon published, or what the store's reports say where there is none."""
    with open_store_now(context) as store:
        status = daemon_status(store)
        runs = status is not None
        if status is None:
            status = status_of(from_reports(context, store), store, context.settings, "", context.clock.now())
        sentence = _sentence(status, runs, context, store)
    context.result(status_text(status, sentence), {**status, "daemon": runs})
    return 0


def _sentence(status: dict[str, object], runs: bool, context: Context, store: Store) -> str:
    if not runs:
        shown = ": this is what the hosts last reported" if status.get("hosts") else ""
        plan = "; the plan below waits for one to go on" if store.active_plan() is not None else ""
        return f"no daemon runs{shown}{plan}"
    try:
        age_s = (context.clock.now() - datetime.fromisoformat(str(status.get("at")))).total_seconds()
    except (ValueError, TypeError):
        return "a daemon runs"
    return f"a daemon runs; this is its view of {duration(max(0.0, age_s))} ago"
