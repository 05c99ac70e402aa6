"""Whether a plan is possible, allowed, within its caps and safe at every moment; `claims.py` checks its figures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace

from cluster.config.settings import ConsolidateSettings
from cluster.limits import Limits
from cluster.migration.compatibility import why_cannot_run
from cluster.plan import Migrate, Plan, Sleep, Status, Wake
from cluster.rules import Enforcement, GroupMoveLimit, Ignore
from cluster.snapshot import Snapshot
from scheduler.check.case import Case
from scheduler.check.claims import CLAIMS
from scheduler.check.load import FIXED_RESOURCES, guests_on, most_of, use_of
from scheduler.check.rules import broken, settled
from scheduler.check.safety import ancestors_of, unsafe_room, unsafe_rules


def check_plan(
    plan: Plan,
    snapshot: Snapshot,
    limits: Limits,
    max_moves: int | None = None,
    *,
    drained: Collection[str] | None = None,
    consolidate: ConsolidateSettings | None = None,
    frozen: Collection[str] = (),
    planned: Mapping[str, int] | None = None,
    planned_total: int | None = None,
) -> list[str]:
    """Return what is wrong with a plan for the snapshot it was made from, a sentence each; empty: accepted.

    The rest is what was asked for and a plan does not say itself. Without `drained` or `consolidate` the values of
    those goals are not looked at. `planned`: the CPU by guest that a consolidation was planned with,
    `planned_total` that of all guests together.
    """
    if plan.snapshot != snapshot.id:
        return [f"the plan was made from snapshot {plan.snapshot}, not {snapshot.id}"]
    structure = list(_structure(plan, snapshot))
    if structure:
        return structure
    case = replace(
        _case(plan, snapshot, limits, max_moves),
        drained=drained,
        consolidate=consolidate,
        frozen=frozenset(frozen),
        planned=planned,
        planned_total=planned_total,
    )
    return [finding for check in (*_SAFETY, *CLAIMS) for finding in check(case)]


def check_still_safe(plan: Plan, seen: Snapshot, limits: Limits) -> list[str]:
    """Return what makes a plan unsafe in the world as it is seen now, a sentence each.

    Its figures are those of the world it was made in and are not looked at; nor is use that drifts by itself.
    """
    structure = list(_structure(plan, seen))
    if structure:
        return structure
    case = replace(_case(plan, seen, limits, None), resources=FIXED_RESOURCES)
    return [finding for check in _SAFETY for finding in check(case)]


def _case(plan: Plan, snapshot: Snapshot, limits: Limits, max_moves: int | None) -> Case:
    final = {guest.id: guest.host for guest in snapshot.guests}
    for move in plan.migrations:
        final[move.guest] = move.target
    return Case(plan, snapshot, limits, max_moves, final)


def _structure(plan: Plan, snapshot: Snapshot) -> Iterator[str]:
    """Check that steps name known things, wait only for known steps, form a DAG, and continue from where guests are."""
    if plan.status in (Status.NOTHING_TO_DO, Status.INFEASIBLE) and plan.steps:
        yield f"a plan that says {plan.status} has steps"
    seen: set[str] = set()
    where = {guest.id: guest.host for guest in snapshot.guests}
    last_step: dict[str, Migrate] = {}
    waits_for: dict[str, frozenset[str]] = {}
    for step in plan.steps:
        if step.id in seen:
            yield f"step id {step.id} stands twice"
        if not set(step.after) <= seen:
            yield f"step {step.id} waits for a step that does not come before it"
        waits_for[step.id] = frozenset(step.after).union(*(waits_for[one] for one in step.after if one in seen))
        seen.add(step.id)
        for host in (step.source, step.target) if isinstance(step, Migrate) else (step.host,):
            if host not in snapshot.host_by_id:
                yield f"step {step.id} names an unknown host {host}"
        if not isinstance(step, Migrate):
            continue
        if step.guest not in where:
            yield f"step {step.id} names an unknown guest {step.guest}"
            continue
        if where[step.guest] != step.source or step.source == step.target:
            path = f"from {step.source} to {step.target}"
            yield f"step {step.id} moves {step.guest} {path}, but it is on {where[step.guest]}"
        earlier = last_step.get(step.guest)
        if earlier is not None and (not earlier.parking or step.parking or earlier.id not in waits_for[step.id]):
            yield f"step {step.id} moves {step.guest} again: only a final move after one parking move is allowed"
        where[step.guest] = step.target
        last_step[step.guest] = step
    for step in last_step.values():
        if step.parking:
            yield f"step {step.id} parks {step.guest}, and no final move follows"


def _permitted(case: Case) -> Iterator[str]:
    """Check that every move is of a guest that may move, to a host that takes it."""
    snapshot = case.snapshot
    ignored = {
        guest
        for rule in snapshot.rules
        if isinstance(rule, Ignore)
        for guest in snapshot.guest_directory.select(rule.guests)
    }
    woken = {step.host for step in case.plan.steps if isinstance(step, Wake)}
    for move in case.plan.migrations:
        guest, source, target = (
            snapshot.guest_by_id[move.guest],
            snapshot.host_by_id[move.source],
            snapshot.host_by_id[move.target],
        )
        if not guest.movable:
            yield f"step {move.id} moves {guest.title}, which is not movable: {guest.why_not}"
        if guest.id in ignored:
            yield f"step {move.id} moves {guest.title}, which a rule says to ignore"
        if guest.usage.cpu_millicores is None:
            yield f"step {move.id} moves {guest.title}, whose CPU use is unknown"
        if (why := snapshot.why_unplannable(source)) is not None:
            yield f"step {move.id} moves from where nothing may be moved: {why}"
        if target.id not in woken and (why := snapshot.why_no_target(target)) is not None:
            yield f"step {move.id} moves to where nothing may be moved: {why}"
        if guest.id in case.frozen:
            yield f"step {move.id} moves {guest.title}, which is not to be moved now"
        if target.id in (case.drained or ()):
            yield f"step {move.id} moves to {target.id}, which is to be emptied"
        if (why := why_cannot_run(guest, target)) is not None:
            yield f"step {move.id} cannot work: {why}"


def _within_caps(case: Case) -> Iterator[str]:
    moves = case.plan.migrations
    if case.max_moves is not None and len(moves) > case.max_moves:
        yield f"{len(moves)} moves, {case.max_moves} allowed"
    for rule in case.snapshot.rules:
        if isinstance(rule, GroupMoveLimit):
            group = set(case.snapshot.guest_directory.select(rule.guests))
            count = sum(move.guest in group for move in moves)
            if count > rule.at_most:
                yield f"{rule.title}: {count} moves, {rule.at_most} allowed"


def _rules_at_the_end(case: Case) -> Iterator[str]:
    start = settled({guest.id: guest.host for guest in case.snapshot.guests})
    end = settled(case.final)
    for rule in case.snapshot.rules:
        if rule.enforcement is Enforcement.SOFT:
            continue
        before, after = broken(rule, case.snapshot, start), broken(rule, case.snapshot, end)
        if after > before:
            yield f"{rule.title} ends worse: {after} broken, {before} before"
        if after and rule.enforcement is Enforcement.HARD and case.plan.status is not Status.INFEASIBLE:
            yield f"{rule.title} is hard and does not hold at the end"


def _room_at_the_end(case: Case) -> Iterator[str]:
    """Check limits by a plain sum at the end; the moments before are `_moments`' part."""
    on = guests_on(case.snapshot, case.final)
    for host in case.snapshot.hosts:
        for resource in case.resources:
            most = most_of(host, resource, case.limits)
            used = use_of(on[host.id], resource)
            start = use_of(case.snapshot.guests_by_host[host.id], resource)
            if most is not None and used > max(most, start):
                yield f"host {host.id} ends over its {resource} limit: {used} used, {most} allowed"


def _moments(case: Case) -> Iterator[str]:
    yield from unsafe_room(case.snapshot, case.limits, case.plan.steps, case.resources)
    yield from unsafe_rules(case.snapshot, case.plan.steps)


def _power(case: Case) -> Iterator[str]:
    """Check that a host sleeps only when empty and after all that leaves it, and wakes before anything comes."""
    ancestors = ancestors_of(case.plan.steps)
    left_behind = set(case.final.values())
    for step in case.plan.steps:
        if isinstance(step, Sleep):
            host = case.snapshot.host_by_id[step.host]
            if step.host in left_behind:
                yield f"step {step.id} puts {step.host} to sleep with guests on it"
            if not host.power.controllable:
                yield f"step {step.id} puts {step.host} to sleep, whose power cannot be controlled"
            if (why := case.snapshot.why_no_target(host)) is not None:
                yield f"step {step.id} puts a host to sleep that may not be: {why}"
            for move in case.plan.migrations:
                if step.host in (move.source, move.target) and move.id not in ancestors[step.id]:
                    yield f"step {step.id} puts {step.host} to sleep without waiting for {move.id}"
        elif isinstance(step, Wake):
            if not case.snapshot.host_by_id[step.host].power.controllable:
                yield f"step {step.id} wakes {step.host}, whose power cannot be controlled"
            for move in case.plan.migrations:
                if step.host == move.target and step.id not in ancestors[move.id]:
                    yield f"step {move.id} moves to {step.host} without waiting for it to wake"


_SAFETY: tuple[Callable[[Case], Iterator[str]], ...] = (
    _permitted,
    _within_caps,
    _rules_at_the_end,
    _room_at_the_end,
    _moments,
    _power,
)
