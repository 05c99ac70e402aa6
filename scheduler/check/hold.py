"""Whether a plan, or one step of it, still holds in the world as it is seen now. Drift of usage does not refuse."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cluster.guest import Guest
from cluster.limits import Limits
from cluster.migration.compatibility import why_cannot_run
from cluster.plan import BY_HAND, Migrate, Plan, Sleep, Step, Wake
from cluster.rules import Affinity, Enforcement, Near
from cluster.snapshot import Snapshot
from scheduler.check.load import FIXED_RESOURCES, demand_of, most_of, use_of
from scheduler.check.plan import check_still_safe
from scheduler.check.rules import Whereabouts, broken, members, settled


def why_plan_no_longer_holds(plan: Plan, seen: Snapshot, limits: Limits, now: datetime) -> str | None:
    """Say what changed since a plan was made so that it must not be begun; `None` when it still holds.

    A plan that comes from a file may have been edited: it is checked against the world as seen, whatever it claims.
    """
    if now >= plan.expires_at:
        return f"plan {plan.id} expired at {plan.expires_at:%H:%M:%S} UTC: make a new one"
    where: dict[str, str] = {}
    for move in plan.migrations:
        guest = seen.guest_by_id.get(move.guest)
        name = move.guest_name or move.guest
        if guest is None:
            return f"guest {name} is gone: make a new plan"
        if move.guest not in where and guest.host != move.source:
            return f"guest {name} is on {guest.host}, not on {move.source} as planned: make a new plan"
        where[move.guest] = move.target
        if (why := _why_resized(move, guest)) is not None:
            return f"{why}: make a new plan"
    woken = {step.host for step in plan.steps if isinstance(step, Wake)}
    for step in plan.steps:
        if (why := _why_hosts_changed(step, seen, woken)) is not None:
            return why
    if unsafe := check_still_safe(plan, seen, limits):
        return f"{unsafe[0]}: make a new plan"
    return None


def why_step_no_longer_holds(
    plan: Plan, step: Step, seen: Snapshot, limits: Limits, now: datetime, under_way: Sequence[Migrate] = ()
) -> str | None:
    """Say why a step must not start now; `None` when it may.

    `seen` is the world with earlier steps done, and with the guests of the steps `under_way` on their sources.
    """
    if now >= plan.expires_at:
        return f"plan {plan.id} expired at {plan.expires_at:%H:%M:%S} UTC"
    if (why := _why_hosts_changed(step, seen, frozenset(), by_hand=plan.policy == BY_HAND)) is not None:
        return why
    if isinstance(step, Sleep):
        if seen.guests_by_host[step.host]:
            return f"host {step.host} has guests: {seen.guests_by_host[step.host][0].title}"
        return None
    if not isinstance(step, Migrate):
        return None
    guest = seen.guest_by_id.get(step.guest)
    if guest is None:
        return f"guest {step.guest_name or step.guest} is gone"
    if guest.host != step.source:
        return f"guest {guest.title} is on {guest.host}, not on {step.source}"
    if not guest.movable:
        return f"guest {guest.title} may not move any more: {guest.why_not}"
    if (why := _why_resized(step, guest)) is not None:
        return why
    target = seen.host_by_id[step.target]
    if (why := why_cannot_run(guest, target)) is not None:
        return why
    where = dict(settled({one.id: one.host for one in seen.guests}))
    where |= {move.guest: where[move.guest] | {move.target} for move in under_way if move.guest in where}
    return _why_newly_broken(plan, step, seen, where) or _why_no_room(step, seen, limits, where)


def _why_resized(move: Migrate, guest: Guest) -> str | None:
    planned = (move.guest_memory_mib or guest.memory_mib, move.guest_vcpus or guest.vcpus)
    return None if planned == (guest.memory_mib, guest.vcpus) else f"guest {guest.title} was resized since the plan"


def _why_hosts_changed(
    step: Step, seen: Snapshot, woken: frozenset[str] | set[str], *, by_hand: bool = False
) -> str | None:
    """Say what keeps a host of the step from its part. By hand also a drained host sleeps, and an unseen one wakes."""
    ends = (step.source, step.target) if isinstance(step, Migrate) else (step.host,)
    for one in ends:
        host = seen.host_by_id.get(one)
        if host is None and by_hand and isinstance(step, Wake):
            continue
        if host is None:
            return f"host {one} is gone: make a new plan"
        if isinstance(step, Wake) or one in woken:
            continue
        is_target = one == ends[-1] and not (by_hand and isinstance(step, Sleep))
        if (why := seen.why_no_target(host) if is_target else seen.why_unplannable(host)) is not None:
            return f"{why}: make a new plan"
    return None


def _why_newly_broken(plan: Plan, step: Migrate, seen: Snapshot, where: Whereabouts) -> str | None:
    """Rules may not get worse by this step, with the guest on both hosts.

    Affinity and near are waived while their group moves: they may not be worse at the plan's end than at its start.
    """
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    for move in plan.migrations:
        if move.guest in where:
            first.setdefault(move.guest, move.source)
            last[move.guest] = move.target
    for rule in seen.rules:
        if rule.enforcement is Enforcement.SOFT or step.guest not in members(rule, seen):
            continue
        if isinstance(rule, Affinity | Near):
            before = broken(rule, seen, {**where, **settled(first)})
            worst = broken(rule, seen, {**where, **settled(last)})
        else:
            before = broken(rule, seen, where)
            both = {**where, step.guest: frozenset((step.source, step.target))}
            after = {**where, step.guest: frozenset((step.target,))}
            worst = max(broken(rule, seen, both), broken(rule, seen, after))
        if worst > before:
            return f"{rule.title} would be newly broken"
    return None


def _why_no_room(step: Migrate, seen: Snapshot, limits: Limits, where: Whereabouts) -> str | None:
    """Capacity that is certain (memory, huge pages, local disk, virtual CPUs) must be there; use of CPU may drift."""
    guest, target = seen.guest_by_id[step.guest], seen.host_by_id[step.target]
    there = [one for one in seen.guests if target.id in where[one.id]]
    for resource in FIXED_RESOURCES:
        most = most_of(target, resource, limits)
        if most is None:
            continue
        used = use_of(there, resource)
        if demand_of(guest, resource) and used + demand_of(guest, resource) > most:
            return f"host {target.id} has no room for {guest.title} any more: {resource} {used} of {most} used"
    return None
