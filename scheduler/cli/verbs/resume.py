"""`trimtab resume`: undo a pause, or let a guest whose outcome was unclear be touched again."""

from __future__ import annotations

import argparse

from cluster.errors import RefusedError
from cluster.migration.backoff import PREFIX, flag_of
from cluster.store.protocol import Store
from scheduler import regret
from scheduler.cli.context import Context
from scheduler.cli.live import open_store_now, who
from scheduler.cli.verbs.pause import FLAG

DESCRIPTION = (
    "Undo 'trimtab pause'. With --guest: you have looked where an unresolved guest runs, and it may be touched again; "
    "or a guest that did not converge may be tried again at once."
)
EXAMPLES = """\
  trimtab resume
  trimtab resume --guest 2f0c5b2e-8f5e-5b54-9f57-7d3f5d9b7f10
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--guest", metavar="G", help="id or name of an unresolved or resting guest")


def run(args: argparse.Namespace, context: Context) -> int:
    """Clear the flag, or the guest's mark."""
    with open_store_now(context) as store:
        if args.guest is not None:
            guest = _find(store, args.guest)
            store.resolve(guest, who(), context.clock.now())
            store.set_flag(flag_of(guest), None)
            context.result(f"guest {args.guest} may be touched again", {"guest": guest, "resolved": True})
            return 0
        by = store.flags().get(FLAG)
        store.set_flag(FLAG, None)
        regret.forget(store)
        marks = store.unresolved()
    text = "not paused: nothing to do" if by is None else f"resumed (it was paused by {by})"
    if marks:
        context.note(f"{len(marks)} guests are still unresolved: see 'trimtab status'")
    context.result(text, {"paused": False, "was_paused_by": by})
    return 0


def _find(store: Store, name: str) -> str:
    resting = {flag.removeprefix(PREFIX) for flag in store.flags() if flag.startswith(PREFIX)}
    marked = {*store.unresolved(), *resting}
    if name in marked:
        return name
    for report in store.reports():
        for guest in report.observation.guests:
            if guest.name == name and guest.id in marked:
                return guest.id
    named = ", ".join(sorted(store.unresolved())) or "none is"
    raise RefusedError(f"guest {name} is not unresolved (unresolved: {named}), nor left out of plans")
