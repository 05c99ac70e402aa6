"""`trimtab wake-test`: prove that a host comes back from sleep, before it is ever relied on."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from cluster import wake_proof
from cluster.errors import RefusedError, UnreachableError
from cluster.store.protocol import Store
from scheduler.cli import emptying
from scheduler.cli.context import Context
from scheduler.cli.here import Here, lead_here
from scheduler.cli.live import POLL_S, check_host, daemon_status, open_store_now, who
from scheduler.power import wake_state
from scheduler.power.wake_state import Phase, WakeTest
from scheduler.power.wake_tests import MARK

DESCRIPTION = (
    "Put an empty host to sleep, see that it sleeps, wake it, and wait until it reports again: only a host that has "
    "passed is put to sleep at night. The time that it took is measured and planned with. The daemon does it where "
    "one leads, else this process. Exit status 0: passed, 1: not tested, and why, 3: store or hosts unreachable, "
    "4: failed: the host is blocked until it passes."
)
EXAMPLES = """\
  trimtab wake-test kvm-a1
  trimtab wake-test kvm-a1 --drain          move its guests away first
"""
STATUS = {Phase.PASSED: 0, Phase.REFUSED: 1, Phase.FAILED: 4}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("host", metavar="HOST", help="id of the host")
    parser.add_argument("--drain", action="store_true", help="move its guests away first, where they can")


def run(args: argparse.Namespace, context: Context) -> int:
    """Ask for the test and see it through."""
    host = args.host
    with open_store_now(context) as store:
        check_host(context, store, host)
        test = wake_state.read(store.flags(), host)
        if test is not None and not test.phase.is_over:
            raise RefusedError(f"host {host} is being tested already, asked for by {test.by}: trimtab status")
        if store.status() is not None:
            _ask(context, store, host, drain=args.drain)
            return _tell(context, store, _watch(context, store, host))
    with lead_here(context) as here:
        if args.drain and (status := emptying.empty_here(here, context, host, MARK)):
            return status
        _ask(context, here.loop.parts.store, host, drain=False)
        return _tell(context, here.loop.parts.store, _see_through(here, context, host))


def _ask(context: Context, store: Store, host: str, *, drain: bool) -> None:
    test = WakeTest(host, who(), context.clock.now().isoformat(), drain=drain)
    store.set_flag(wake_state.PREFIX + host, wake_state.write(test))


def _watch(context: Context, store: Store, host: str) -> WakeTest:
    """Show how far the daemon is, until the test is over."""
    said = ""
    while True:
        test = _latest(store.flags(), host)
        if test.phase.is_over:
            return test
        if test.phase != said:
            said = test.phase
            context.progress(f"wake test of {host}: {said}")
        if daemon_status(store) is None:
            raise UnreachableError(
                f"the daemon is gone in the middle of the test of host {host} ({test.phase}): "
                f"'trimtab run' goes on with it; look at the host"
            )
        context.clock.sleep(POLL_S)


def _see_through(here: Here, context: Context, host: str) -> WakeTest:
    """Do it in this process."""
    store = here.loop.parts.store
    settings = context.settings
    most_s = settings.power.sleep_timeout_s + 2 * settings.power.wake_timeout_s + 60 * settings.collect.interval_s
    here.turns.until(lambda: _latest(store.flags(), host).phase.is_over, most_s)
    test = _latest(store.flags(), host)
    if not test.phase.is_over:
        raise RefusedError(
            f"the test of host {host} is not over after {most_s:.0f} s ({test.phase}): 'trimtab run' goes on with it"
        )
    return test


def _latest(flags: Mapping[str, str], host: str) -> WakeTest:
    test = wake_state.read(flags, host)
    if test is None:
        raise RefusedError(f"the test of host {host} was forgotten: somebody cleared its flag")
    return test


def _tell(context: Context, store: Store, test: WakeTest) -> int:
    proof = wake_proof.read(store.flags(), test.host)
    result: dict[str, Any] = {
        "host": test.host,
        "outcome": test.phase.value,
        "text": test.text,
        "took_s": proof.took_s if test.phase is Phase.PASSED else None,
        "blocked": proof.is_blocked,
    }
    context.result(test.text, result)
    return STATUS[test.phase]
