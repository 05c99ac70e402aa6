"""One planning run: policy, solver, planner and checker put together. No I/O; time comes in through arguments."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from cluster.config.settings import Settings
from cluster.errors import TrimtabError
from cluster.host import Host
from cluster.plan import NotMoved, Plan, Status, TierValue
from cluster.problem import DrainGoal, Problem, Proposal
from cluster.snapshot import Snapshot
from policies.registry import make_problem
from scheduler.check import check_plan
from scheduler.check.goals import figures, power_states, watts_of
from scheduler.planner.order import Ordering, order_moves
from scheduler.planner.schedule import makespan_bound_s, makespan_s
from scheduler.planner.steps import build_steps

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class CheckFailedError(TrimtabError):
    """The independent checker refused our own plan. A defect of Trimtab: the plan is never executed."""

    exit_status = 4


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What to plan for. `frozen` guests stay, each with (code, sentence); `drained` hosts are to be emptied."""

    policy: str = "balance"
    level: int = 3
    drained: tuple[str, ...] = ()
    max_moves: int | None = None
    time_limit_s: float | None = None
    work_limit: float | None = None
    workers: int = 1
    seed: int = 1
    frozen: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def make_plan(
    snapshot: Snapshot, request: PlanRequest, settings: Settings, stop: Callable[[], bool] | None = None
) -> Plan:
    """Return a checked plan for a snapshot, dated by it. Raises `InputError` for a bad request, `CheckFailedError`.

    `stop` is asked now and then; once it says yes, the best found so far is taken.
    """
    # Late, because numpy and OR-Tools take a second to load.
    from scheduler.solver.evaluate import Objective
    from scheduler.solver.solve import Budget, solve

    problem = make_problem(
        request.policy,
        snapshot,
        limits=settings.limits,
        consolidate=settings.consolidate,
        level=request.level,
        drained=request.drained,
        max_moves=request.max_moves,
        frozen=request.frozen,
    )
    budget = Budget(request.time_limit_s or 1.0, request.work_limit, request.workers, request.seed)
    proposal = solve(problem, budget, stop)
    # A drained host is cordoned from here on: the plan is about the cluster as the policy saw it.
    seen = problem.snapshot
    start = {guest.id: guest.host for guest in seen.guests}
    worth = Objective(problem)
    at_start = worth(start)
    ordering = order_moves(problem, proposal.placement, lambda placement: worth(placement) < at_start)
    if ordering.dropped:
        proposal = _with_what_is_left(problem, proposal, ordering, worth.floats)
    tier = _main_tier(proposal.values)
    steps = build_steps(
        problem,
        ordering.moves,
        proposal.asleep,
        lambda placement: worth.floats(placement)[tier],
        settings.migration,
        {host: saved_watts(seen.host_by_id[host]) for host in proposal.asleep},
    )
    final = {**start, **{move.guest: move.target for move in ordering.moves}}
    plan = Plan(
        id=_plan_id(snapshot, request),
        snapshot=snapshot.id,
        policy=request.policy,
        level=request.level,
        seed=request.seed,
        made_at=snapshot.taken_at,
        expires_at=snapshot.taken_at + timedelta(seconds=settings.scheduler.plan_expires_s),
        status=proposal.status,
        why=proposal.why,
        goals=proposal.values,
        gap=proposal.values[0 if request.policy == "repair" else 1].gap,
        steps=steps,
        before=figures(seen, start, power_states(seen, ())),
        after=figures(seen, final, power_states(seen, steps)),
        blamed=proposal.blamed,
        not_moved=_not_moved(problem, ordering),
        solve_s=round(proposal.solve_s, 3),
    )
    plan = replace(
        plan,
        makespan_s=makespan_s(plan.migrations, settings.migration),
        makespan_bound_s=makespan_bound_s(plan.migrations, settings.migration),
        moved_mib=sum(step.estimate.mib for step in plan.migrations),
    )
    if findings := check_plan(plan, snapshot, settings.limits, request.max_moves):
        raise CheckFailedError(f"the checker refused the plan: {findings[0]}: please report it with 'trimtab capture'")
    return plan


def _with_what_is_left(
    problem: Problem, proposal: Proposal, ordering: Ordering, floats: Callable[[Mapping[str, str]], dict[str, float]]
) -> Proposal:
    """Return the proposal cut down to the moves that could be ordered, with values to match."""
    placement = {guest.id: guest.host for guest in problem.snapshot.guests}
    placement |= {move.guest: move.target for move in ordering.moves}
    after = floats(placement)
    occupied = set(placement.values())
    dropped = f"{len(ordering.dropped)} moves could not be ordered safely and were left out"
    return replace(
        proposal,
        status=Status.FEASIBLE if ordering.moves else Status.NOTHING_TO_DO,
        why=f"{proposal.why}; {dropped}",
        placement=placement,
        values=tuple(_revalued(tier, after[tier.tier]) for tier in proposal.values),
        asleep=tuple(host for host in proposal.asleep if host not in occupied) if ordering.moves else (),
    )


def _revalued(tier: TierValue, after: float) -> TierValue:
    bound = min(tier.bound, after)
    gap = (after - bound) / max(tier.before - bound, 1e-9) if after > bound else 0.0
    return replace(tier, after=after, bound=bound, gap=gap)


def _main_tier(values: Sequence[TierValue]) -> str:
    """Return the tier whose gain is shared out among the steps: the first after repair to get better, else repair."""
    for tier in values[1:]:
        if tier.after < tier.before:
            return tier.tier
    return values[0].tier


def saved_watts(host: Host) -> float:
    """Return what an empty host saves by sleeping."""
    return watts_of(host, 0.0) - host.power.sleep_watts


def _not_moved(problem: Problem, ordering: Ordering) -> tuple[NotMoved, ...]:
    """List guests that stay, each with why: not ordered, left on drained hosts, or fixed."""
    listed = {guest: NotMoved(guest, "order_blocked", text) for guest, text in ordering.dropped.items()}
    drained = set(problem.goal.drained) if isinstance(problem.goal, DrainGoal) else set()
    moving = {move.guest for move in ordering.moves}
    for guest in problem.snapshot.guests:
        if guest.id in problem.why_fixed:
            listed[guest.id] = NotMoved(guest.id, *problem.why_fixed[guest.id])
        elif guest.host in drained and guest.id not in moving | set(listed):
            elsewhere = problem.allowed[guest.id] - drained
            code = "no_room" if elsewhere else "incompatible"
            text = "no other host has room for it within limits and rules" if elsewhere else "no other host can run it"
            listed[guest.id] = NotMoved(guest.id, code, f"{guest.title} stays on {guest.host}: {text}")
    return tuple(listed[guest] for guest in sorted(listed))


def _plan_id(snapshot: Snapshot, request: PlanRequest) -> str:
    """Return a ULID: 48 bits of the snapshot's time, 80 bits of what was asked: the same question has the same id."""
    asked = (snapshot.id, request.policy, request.level, request.drained, request.max_moves, request.seed)
    digest = hashlib.sha256(repr((*asked, sorted(request.frozen))).encode()).digest()
    number = int(snapshot.taken_at.timestamp() * 1000) << 80 | int.from_bytes(digest[:10], "big")
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -5, -5))
