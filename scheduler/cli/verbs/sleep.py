"""`trimtab sleep`: put an empty host to sleep by hand."""

from __future__ import annotations

import argparse

from cluster.plan import Sleep
from scheduler.cli import powering
from scheduler.cli.context import Context
from scheduler.cli.live import who
from scheduler.power.by_hand import STEP

DESCRIPTION = (
    "Put an empty host to sleep, after a last look on the host itself: gracefully, never hard. A host that holds "
    "guests, is the scheduler's own, or has not passed its wake test is refused. The daemon does it where one leads, "
    "else this process. The host sleeps until 'trimtab wake': the night's policy leaves it alone. Exit status 0: it "
    "sleeps, 1: refused, and why, 4: it did not go to sleep."
)
EXAMPLES = """\
  trimtab drain kvm-a1 && trimtab sleep kvm-a1
  trimtab sleep kvm-a1 --json
"""

add_arguments = powering.add_arguments


def run(args: argparse.Namespace, context: Context) -> int:
    """See it put to sleep."""
    return powering.change(context, Sleep(STEP, args.host, f"{who()} asked for it"))
