"""What all policies share: who may move, where to, and the rules as forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cluster.guest import Guest
from cluster.host import Host
from cluster.migration.compatibility import why_cannot_run
from cluster.problem import BalanceGoal, Goal, Problem
from cluster.rules import Ignore
from cluster.snapshot import Snapshot
from policies.request import Level, Request
from policies.rules.registry import lower


def usable_hosts(snapshot: Snapshot, request: Request) -> tuple[str, ...]:
    """Hosts that take guests, sorted by id; drained ones count as cordoned."""
    drained = set(request.drained)
    usable = (host.id for host in snapshot.hosts if snapshot.why_no_target(host) is None)
    return tuple(sorted(host for host in usable if host not in drained))


def balance_goal(snapshot: Snapshot, request: Request, level: Level) -> BalanceGoal:
    """Even use of the usable hosts; the drained ones count as emptied."""
    return BalanceGoal(
        hosts=usable_hosts(snapshot, request),
        price=level.price,
        rms_threshold=level.rms_threshold,
        emptied=tuple(sorted(request.drained)),
    )


def problem(policy: str, snapshot: Snapshot, request: Request, goal: Goal) -> Problem:
    """Put together a problem from a goal: movable guests with their hosts, forms, limits and caps.

    In its snapshot the drained hosts are cordoned.
    """
    snapshot = _cordoned(snapshot, request)
    why_fixed = _why_fixed(snapshot, request)
    movable = tuple(sorted(guest.id for guest in snapshot.guests if guest.id not in why_fixed))
    targets = usable_hosts(snapshot, request)
    forms = (lower(rule, snapshot) for rule in sorted(snapshot.rules, key=lambda rule: rule.name))
    return Problem(
        policy=policy,
        level=request.level,
        snapshot=snapshot,
        limits=request.limits,
        movable=movable,
        targets=targets,
        allowed=_allowed(snapshot, movable, targets),
        forms=tuple(form for form in forms if form is not None),
        goal=goal,
        why_fixed=why_fixed,
        max_moves=request.max_moves,
    )


def _cordoned(snapshot: Snapshot, request: Request) -> Snapshot:
    if not request.drained:
        return snapshot
    hosts = (replace(host, cordoned=True) if host.id in request.drained else host for host in snapshot.hosts)
    return replace(snapshot, hosts=tuple(hosts))


def _why_fixed(snapshot: Snapshot, request: Request) -> dict[str, tuple[str, str]]:
    ignored: dict[str, str] = {}
    for rule in snapshot.rules:
        if isinstance(rule, Ignore):
            ignored |= dict.fromkeys(snapshot.guest_directory.select(rule.guests), rule.name)
    reasons: dict[str, tuple[str, str]] = {}
    for guest in snapshot.guests:
        why = _why_guest_fixed(snapshot, guest, ignored, request.frozen)
        if why is not None:
            reasons[guest.id] = why
    return reasons


def _why_guest_fixed(
    snapshot: Snapshot, guest: Guest, ignored: Mapping[str, str], frozen: Mapping[str, tuple[str, str]]
) -> tuple[str, str] | None:
    if guest.id in ignored:
        return "ignored", f"{guest.title} is never touched (rule ignore:{ignored[guest.id]})"
    if not guest.movable:
        return "not_movable", f"{guest.title} cannot be moved: {guest.why_not or 'marked as not movable'}"
    if (why := snapshot.why_unplannable(snapshot.host_by_id[guest.host])) is not None:
        return "unplannable_host", f"{guest.title} stays: {why}"
    if guest.usage.cpu_millicores is None:
        return "not_movable", f"{guest.title} stays: its CPU use is unknown"
    return frozen.get(guest.id)


def _allowed(snapshot: Snapshot, movable: tuple[str, ...], targets: tuple[str, ...]) -> dict[str, frozenset[str]]:
    """Targets each movable guest can run on; worked out once per kind of guest and kind of host."""
    hosts: dict[tuple[object, ...], list[Host]] = {}
    for host_id in targets:
        host = snapshot.host_by_id[host_id]
        kind = (host.cpu_models, host.machines, host.storage, host.networks, host.offers, host.migration_tls)
        hosts.setdefault(kind, []).append(host)
    by_need: dict[tuple[object, ...], frozenset[str]] = {}
    allowed: dict[str, frozenset[str]] = {}
    for guest_id in movable:
        guest = snapshot.guest_by_id[guest_id]
        need = (
            guest.cpu_model,
            guest.machine,
            guest.storage,
            guest.networks,
            guest.needs,
            guest.migration.must_encrypt,
        )
        if need not in by_need:
            fit = (alike for alike in hosts.values() if why_cannot_run(guest, alike[0]) is None)
            by_need[need] = frozenset(host.id for alike in fit for host in alike)
        allowed[guest_id] = by_need[need]
    return allowed
