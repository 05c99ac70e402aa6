"""`trimtab unfail`: take back that a host fails."""

from __future__ import annotations

import argparse

from scheduler.cli.context import Context
from scheduler.cli.live import check_host, open_store_now

DESCRIPTION = (
    "Take back that a host fails: it takes guests again, unless its own sensors say that it fails. Nothing is moved "
    "back by itself."
)
EXAMPLES = """\
  trimtab unfail kvm-a1
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("host", metavar="HOST", help="id of the host")


def run(args: argparse.Namespace, context: Context) -> int:
    """Clear the flag."""
    flag = f"fail:{args.host}"
    with open_store_now(context) as store:
        check_host(context, store, args.host)
        was = flag in store.flags()
        store.set_flag(flag, None)
    text = (
        f"host {args.host} is not marked as failing any more"
        if was
        else f"host {args.host} was not marked as failing: nothing to do"
    )
    context.result(text, {"host": args.host, "was_failing": was})
    return 0
