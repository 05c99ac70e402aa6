"""`trimtab history`: past plans, predicted against measured, and what sleeping was worth."""

from __future__ import annotations

import argparse
from datetime import timedelta

from cluster.store.bounds import ENERGY_DAYS_KEPT, JOURNAL_KEPT, PLANS_KEPT
from reports.history_text import history_text
from scheduler.cli.arguments import whole
from scheduler.cli.context import Context
from scheduler.cli.live import open_store_now
from scheduler.past import energy_of, measured, plans_of
from scheduler.watts.watch import read_days

DESCRIPTION = (
    "Past plans with how their steps ended, what their moves sent and took against what was predicted, and how much of "
    "the promised gain was kept; the energy that sleeping hosts saved by day and night, in kWh and money, and how well "
    "that is known. Touches nothing."
)
EXAMPLES = """\
  trimtab history
  trimtab history --days 30 --json | jq '.energy.total'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "--days", type=whole(1, ENERGY_DAYS_KEPT), default=7, metavar="N", help="how far back to look (default: 7)"
    )


def run(args: argparse.Namespace, context: Context) -> int:
    """Show what the store has of the last days."""
    now = context.clock.now()
    since = now - timedelta(days=args.days)
    with open_store_now(context) as store:
        records, journal = store.plans(PLANS_KEPT), store.journal(JOURNAL_KEPT)
        plans = plans_of(records, journal, store.moves(), store.flags(), since)
        days = read_days(store, args.days + 1)
    moves = [move for plan in plans for move in plan["moves"]]
    history = {
        "at": now.isoformat(timespec="seconds"),
        "days": args.days,
        "plans": plans,
        "measured": measured(moves),
        "energy": energy_of(days, (since + timedelta(days=1)).date().isoformat()),
    }
    context.result(history_text(history), history)
    return 0
