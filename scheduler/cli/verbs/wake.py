"""`trimtab wake`: wake a host by hand."""

from __future__ import annotations

import argparse

from cluster.plan import Wake
from scheduler.cli import powering
from scheduler.cli.context import Context
from scheduler.cli.live import who
from scheduler.power.by_hand import STEP

DESCRIPTION = (
    "Wake a host and wait until it reports. By itself Trimtab wakes only hosts that it put to sleep; this verb wakes "
    "any host whose entry has a bmc. The daemon does it where one leads, else this process. Exit status 0: it is on, "
    "1: refused, and why, 4: it did not come up."
)
EXAMPLES = """\
  trimtab wake kvm-a1
  trimtab wake kvm-a1 --json
"""

add_arguments = powering.add_arguments


def run(args: argparse.Namespace, context: Context) -> int:
    """See it woken."""
    return powering.change(context, Wake(STEP, args.host, f"{who()} asked for it"))
