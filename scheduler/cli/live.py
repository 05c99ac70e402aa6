"""The live cluster as a verb sees it: the store, the latest reports, and whether a daemon leads."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cluster.config.settings import CollectSource
from cluster.errors import InputError, RefusedError, UnreachableError
from cluster.migration.learned import Learned, learn
from cluster.plan import Plan
from cluster.snapshot import Snapshot
from cluster.store.open import open_store
from cluster.store.protocol import Command, Store
from scheduler.check import why_plan_no_longer_holds
from scheduler.cli.context import Context
from scheduler.parts import Parts
from scheduler.see import Sight, build_snapshot
from scheduler.wiring import PARTS, effective_settings, see

POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Seen:
    """The cluster as the reports show it, the guests that nothing may touch (id to sentence), what moves taught."""

    sight: Sight
    unresolved: Mapping[str, str]
    learned: Learned = Learned()

    @property
    def snapshot(self) -> Snapshot:
        """The cluster."""
        return self.sight.snapshot


@contextmanager
def open_store_now(context: Context) -> Iterator[Store]:
    """Open the configured store for as long as a verb takes. `StoreUnavailableError` when it does not answer."""
    store = open_store(context.settings.store, context.clock)
    try:
        store.ping()
        yield store
    finally:
        store.close()


def look(context: Context, store: Store) -> Seen:
    """Return the cluster from the store's reports, measuring first only where neither agents nor a daemon do."""
    settings = context.settings
    source = settings.collect.source
    if source is CollectSource.AGENTS or (store.status() is not None and source is CollectSource.LIBVIRT):
        sight = from_reports(context, store)
    else:
        parts = PARTS[source](settings, context.clock, store)
        try:
            if store.status() is not None:
                # A daemon runs on the simulated or recorded cluster: its reports are the truth, not a second one's.
                sight = from_reports(context, store, parts)
            else:
                sight = see(parts, settings, context.clock)
        finally:
            if parts.fleet is not None:
                parts.fleet.close()
    for warning in sight.warnings:
        context.note(f"warning: {warning}")
    return Seen(sight, store.unresolved(), learn(store.moves()))


def from_reports(context: Context, store: Store, parts: Parts | None = None) -> Sight:
    """Return the cluster as the reports in the store show it."""
    settings = context.settings if parts is None else effective_settings(context.settings, parts)
    return build_snapshot(store.reports(), settings, store.flags(), context.clock.now(), store.active_plan())


def look_now(context: Context) -> Seen:
    """Open the store, look, and close it. `UnreachableError` when no host has ever reported."""
    with open_store_now(context) as store:
        seen = look(context, store)
    if not seen.snapshot.hosts:
        agents = context.settings.collect.source is CollectSource.AGENTS
        todo = "start 'trimtab agent' on the hosts" if agents else "'trimtab doctor' says why"
        raise UnreachableError(f"no host has reported: {todo}, or name a file with --from")
    return seen


def see_now(context: Context) -> Snapshot:
    """Return the cluster as it is seen now."""
    return look_now(context).snapshot


def who() -> str:
    """Return who asks, for the journal: user and machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def daemon_status(store: Store) -> dict[str, Any] | None:
    """Return what the daemon published, or `None` when none has within its time."""
    text = store.status()
    if text is None:
        return None
    status: dict[str, Any] = json.loads(text)
    return status


def need_daemon(store: Store) -> None:
    """Raise `RefusedError` unless a daemon is there to carry out what is asked."""
    if store.status() is None:
        raise RefusedError("no daemon leads, so nobody would carry it out: start 'trimtab run'")


def refuse_unless_it_holds(context: Context, store: Store, plan: Plan) -> None:
    """Raise `RefusedError` for what would keep the leader from beginning a plan, so that a person learns it here."""
    if (active := store.active_plan()) is not None:
        raise RefusedError(f"plan {active.plan.id} is under way: wait for it or abort it")
    if (by := store.flags().get("paused")) is not None:
        raise RefusedError(f"paused by {by}: trimtab resume")
    snapshot = look(context, store).snapshot
    if (why := why_plan_no_longer_holds(plan, snapshot, context.settings.limits, context.clock.now())) is not None:
        raise RefusedError(why)


def send(context: Context, store: Store, verb: str, argument: str) -> None:
    """Ask the leader for something."""
    now = context.clock.now()
    store.push_command(Command(os.urandom(8).hex(), verb, argument, who(), now))


def wait_until(context: Context, holds: Callable[[], bool], most_s: float) -> bool:
    """Wait until something holds, for so long at most; tell whether it does."""
    clock = context.clock
    deadline_s = clock.monotonic_s() + most_s
    while not holds():
        if clock.monotonic_s() >= deadline_s:
            return False
        clock.sleep(POLL_S)
    return True


def check_host(context: Context, store: Store, host: str) -> None:
    """Raise `InputError` for a host that is neither configured nor has reported."""
    known = {one.id for one in context.settings.hosts} | {report.host for report in store.reports()}
    known |= {flag.partition(":")[2] for flag in store.flags() if flag.startswith(("drain:", "fail:"))}
    if not known and context.settings.collect.source is not CollectSource.AGENTS:
        known = {one.id for one in look(context, store).snapshot.hosts}
    if host not in known:
        more = f" and {len(known) - 8} more" if len(known) > 8 else ""
        named = ", ".join(sorted(known)[:8]) + more if known else "no host has reported yet"
        raise InputError(f"found host {host!r}; allowed: {named}")
