"""`trimtab drain`: take a host out of service: keep guests off it and move away those it has."""

from __future__ import annotations

import argparse

from scheduler.cli import emptying
from scheduler.cli.context import Context

DESCRIPTION = (
    "Take a host out of service: it takes no guests any more, and those it has are moved away. The daemon does it "
    "where one leads, else this process. Exit status 0: it is empty, 1: some guests stay, each listed with the "
    "reason, 4: a move failed. The host stays drained until 'trimtab undrain'."
)
EXAMPLES = """\
  trimtab drain kvm-a1
  trimtab drain kvm-a1 --no-wait            leave it to the daemon
  trimtab undrain kvm-a1
"""

add_arguments = emptying.add_arguments


def run(args: argparse.Namespace, context: Context) -> int:
    """Set the flag and see the host emptied."""
    return emptying.empty_host(args, context, emptying.FOR_MAINTENANCE)
