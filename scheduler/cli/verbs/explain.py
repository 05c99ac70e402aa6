"""`trimtab explain`: where a guest can go and why not elsewhere; who can leave a host; how a plan's steps ended."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from cluster.errors import InputError
from cluster.guest import Guest
from cluster.host import Host
from cluster.plan import PlanRecord
from cluster.snapshot import Snapshot
from reports import units
from reports.plan_text import plan_text
from scheduler.cli.arguments import read_snapshot
from scheduler.cli.context import Context
from scheduler.explain import Reach

DESCRIPTION = (
    "Of a guest: the hosts it can go to, for each other one the reason why not, the rules that bind it and its latest "
    "moves. Of a host: whether it takes guests, and who can leave it. Of a plan in the journal: its steps and how they "
    "ended. Touches nothing."
)
EXAMPLES = """\
  trimtab explain web-1                     a guest, by name or id
  trimtab explain kvm-a1                    a host
  trimtab explain web-1 --from cluster.json
"""
PLANS_LOOKED_AT = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("what", metavar="GUEST|HOST|PLAN", help="name or id of a guest, id of a host or of a plan")
    parser.add_argument("--from", dest="file", metavar="FILE", help="a cluster file, - for standard input")


def run(args: argparse.Namespace, context: Context) -> int:
    """Look and tell."""
    plans: tuple[PlanRecord, ...] = ()
    frozen: dict[str, str] = {}
    if args.file is not None:
        snapshot = read_snapshot(args.file, context.settings)
    else:
        from scheduler.cli.live import look, open_store_now

        with open_store_now(context) as store:
            plans = store.plans(PLANS_LOOKED_AT)
            if (one := store.plan(args.what)) is not None:
                return _tell_plan(context, one)
            seen = look(context, store)
            snapshot = seen.snapshot
            frozen = {guest: f"unresolved: {text}" for guest, text in seen.unresolved.items()}
    reach = Reach(snapshot, context.settings.limits, frozen)
    if args.what in snapshot.host_by_id:
        return _tell_host(context, snapshot, reach, snapshot.host_by_id[args.what])
    return _tell_guest(context, reach, _guest(snapshot, args.what), plans)


def _guest(snapshot: Snapshot, what: str) -> Guest:
    named = [guest for guest in snapshot.guests if what in (guest.id, guest.name)]
    if len(named) > 1:
        raise InputError(
            f"explain: {len(named)} guests are named {what!r}: say which by its id: {_some(g.id for g in named)}"
        )
    if not named:
        known = _some(sorted((*snapshot.host_by_id, *(guest.title for guest in snapshot.guests))))
        raise InputError(f"explain: found {what!r}; allowed: a guest, a host, or a plan of the journal: {known}")
    return named[0]


def _some(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:8]) + (f" and {len(every) - 8} more" if len(every) > 8 else "")


# -- a guest -------------------------------------------------------------------------------------------------------


def _tell_guest(context: Context, reach: Reach, guest: Guest, plans: tuple[PlanRecord, ...]) -> int:
    stays, targets, rules = reach.why_stays(guest), reach.targets(guest), reach.rules_of(guest)
    moves = _moves(guest, plans)
    open_to = [target.host for target in targets if target.why_not is None]
    lines = [f"guest {guest.title} on {guest.host}: {guest.vcpus} vCPUs, {units.size(guest.memory_mib)}"]
    lines.append(f"  stays: {stays}" if stays else "  can be moved")
    for rule in rules:
        count = reach.broken_now(rule)
        lines.append(f"  rule {rule.title} ({rule.enforcement})" + (f": broken now ({count})" if count else ""))
    lines.append(f"  fits on: {', '.join(open_to) or 'no other host'}")
    lines += [f"  not on {target.host}: {target.why_not}" for target in targets if target.why_not is not None]
    lines += [f"  {move['at']} {move['from']} -> {move['to']}: {move['state']}: {move['detail']}" for move in moves]
    document = {
        "guest": guest.id,
        "name": guest.name,
        "host": guest.host,
        "why_stays": stays,
        "rules": [
            {"rule": one.title, "enforcement": one.enforcement.value, "broken": reach.broken_now(one)} for one in rules
        ],
        "targets": [{"host": one.host, "why_not": one.why_not, "for_good": one.for_good} for one in targets],
        "moves": moves,
    }
    context.result("\n".join(lines), document)
    return 0


def _moves(guest: Guest, plans: tuple[PlanRecord, ...]) -> list[dict[str, Any]]:
    """Return what the journal has of the guest's moves, newest first."""
    moves = []
    for record in plans:
        for step in reversed(record.plan.migrations):
            written = record.steps.get(step.id)
            if step.guest == guest.id and written is not None:
                moves.append(
                    {
                        "at": written.at.isoformat(timespec="seconds"),
                        "plan": record.plan.id,
                        "from": step.source,
                        "to": step.target,
                        "reason": step.reason,
                        "state": written.state.value,
                        "detail": written.detail,
                    }
                )
    return moves


# -- a host --------------------------------------------------------------------------------------------------------


def _tell_host(context: Context, snapshot: Snapshot, reach: Reach, host: Host) -> int:
    closed = snapshot.why_no_target(host)
    guests: list[dict[str, Any]] = []
    lines = [f"host {host.id}: {units.size(host.memory_mib)}, {host.cpu_millicores / 1000:g} cores"]
    lines.append(f"  takes no guest: {closed}" if closed else "  takes guests")
    for guest in sorted(snapshot.guests_by_host[host.id], key=lambda one: one.title):
        stays, targets = reach.why_stays(guest), reach.targets(guest)
        fits = [target.host for target in targets if target.why_not is None]
        guests.append({"guest": guest.id, "name": guest.name, "why_stays": stays, "fits_on": fits})
        first_why = next((target.why_not for target in targets if target.why_not), "there is no other host")
        can = f"fits on {_some(fits)}" if fits else f"fits nowhere else: {first_why}"
        lines.append(f"  {guest.title}: {f'stays: {stays}' if stays else can}")
    context.result("\n".join(lines), {"host": host.id, "why_no_target": closed, "guests": guests})
    return 0


# -- a plan --------------------------------------------------------------------------------------------------------


def _tell_plan(context: Context, record: PlanRecord) -> int:
    lines = [plan_text(record.plan).rstrip(), f"  {record.state}{f': {record.why}' if record.why else ''}"]
    steps = []
    for step in record.plan.steps:
        written = record.steps.get(step.id)
        state, detail = record.step_state(step.id), written.detail if written is not None else ""
        lines.append(f"  {step.id} {state}{f': {detail}' if detail else ''}")
        steps.append({"id": step.id, "reason": step.reason, "state": state.value, "detail": detail})
    document = {"plan": record.plan.id, "state": record.state.value, "why": record.why, "steps": steps}
    context.result("\n".join(lines), document)
    return 0
