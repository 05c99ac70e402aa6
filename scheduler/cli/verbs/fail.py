"""`trimtab fail`: mark a host as failing: it is emptied ahead of everything, at the urgent limits."""

from __future__ import annotations

import argparse

from scheduler.cli import emptying
from scheduler.cli.context import Context

DESCRIPTION = (
    "Mark a host as failing: it takes no guests any more, and those it has are moved away before anything else is "
    "done, at the urgent limits (migration.urgent_out_per_host and its like). The daemon does it where one leads, else "
    "this process. Exit status 0: it is empty, 1: some guests stay, each listed with the reason, 4: a move failed. The "
    "host stays failing until 'trimtab unfail'."
)
EXAMPLES = """\
  trimtab fail kvm-a1
  trimtab fail kvm-a1 --no-wait             leave it to the daemon
  trimtab unfail kvm-a1
"""

add_arguments = emptying.add_arguments


def run(args: argparse.Namespace, context: Context) -> int:
    """Set the flag and see the host emptied."""
    return emptying.empty_host(args, context, emptying.BECAUSE_IT_FAILS)
