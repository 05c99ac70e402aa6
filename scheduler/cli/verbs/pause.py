"""`trimtab pause`: start nothing more, keep watching."""

from __future__ import annotations

import argparse

from scheduler.cli.context import Context
from scheduler.cli.live import open_store_now, who

DESCRIPTION = "Start nothing more, by anybody, and keep watching. What runs is finished. Undo with 'trimtab resume'."
EXAMPLES = """\
  trimtab pause
"""
FLAG = "paused"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: none."""


def run(args: argparse.Namespace, context: Context) -> int:
    """Set the flag."""
    with open_store_now(context) as store:
        by = store.flags().get(FLAG)
        if by is None:
            by = who()
            store.set_flag(FLAG, by)
            text = "paused: nothing more is started, what runs is finished; go on with: trimtab resume"
        else:
            text = f"already paused by {by}; go on with: trimtab resume"
    context.result(text, {"paused": True, "paused_by": by})
    return 0
