"""`trimtab undrain`: put a drained host back into service."""

from __future__ import annotations

import argparse

from scheduler.cli.context import Context
from scheduler.cli.live import check_host, open_store_now

DESCRIPTION = "Put a drained host back into service: it takes guests again. Nothing is moved back by itself."
EXAMPLES = """\
  trimtab undrain kvm-a1
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("host", metavar="HOST", help="id of the host")


def run(args: argparse.Namespace, context: Context) -> int:
    """Clear the flag."""
    flag = f"drain:{args.host}"
    with open_store_now(context) as store:
        check_host(context, store, args.host)
        was = flag in store.flags()
        store.set_flag(flag, None)
    text = f"host {args.host} is back in service" if was else f"host {args.host} was not drained: nothing to do"
    context.result(text, {"host": args.host, "was_drained": was})
    return 0
