"""One planning run: policy, solver, planner and checker put together. No I/O; time comes in through arguments."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from cluster.config.settings import Encryption, Settings
from cluster.errors import TrimtabError
from cluster.guest import Guest
from cluster.host import Host
from cluster.migration.encryption import CODE as NO_TLS
from cluster.migration.encryption import in_the_clear, under_policy, why_no_target, why_stays
from cluster.migration.learned import Learned
from cluster.plan import NotMoved, Plan, Status, TierValue
from cluster.problem import ConsolidateGoal, DrainGoal, MoveLimit, Problem, Proposal
from cluster.rules import Enforcement
from cluster.snapshot import Snapshot
from policies.registry import make_problem
from policies.request import PowerTerms
from scheduler.check import check_plan
from scheduler.check.goals import figures, power_states, watts_of
from scheduler.energy.kept import NOBODY_SLEEPS, solve_keeping, why_not_kept
from scheduler.planner.foresight import CODE, Foresight
from scheduler.planner.order import Ordering, order_moves
from scheduler.planner.reasons import Reasons
from scheduler.planner.schedule import timed
from scheduler.planner.state import count_broken
from scheduler.planner.steps import build_steps, with_wakes
from scheduler.watts.plan_note import with_energy

if TYPE_CHECKING:
    from scheduler.solver.worth import Objective

UNITS = {"repair": 1e-6, "drain": 1.0, "balance": 1e-12, "consolidate": 1e-3, "moved_mib": 1.0, "moves": 1.0}
"""One unit of each tier: what a gap is divided by at least."""

COST_TIERS = ("moved_mib", "moves")
"""The last tiers of every plan: what it costs."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class CheckFailedError(TrimtabError):
    """The independent checker refused our own plan. A defect of Trimtab: the plan is never executed."""

    exit_status = 4


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What to plan for. `frozen` guests stay, each with (code, sentence); `drained` hosts are to be emptied.

    `learned` is what past migrations teach of coming ones, `power` what the energy policy says of a consolidation.
    `wake`: hosts that a plan with any steps wakes beside them, each with a sentence.
    """

    policy: str = "balance"
    level: int = 3
    drained: tuple[str, ...] = ()
    max_moves: int | None = None
    time_limit_s: float | None = None
    work_limit: float | None = None
    workers: int = 1
    seed: int = 1
    engine: str = "local"
    frozen: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    learned: Learned = Learned()
    power: PowerTerms | None = None
    wake: tuple[tuple[str, str], ...] = ()


def make_plan(
    snapshot: Snapshot, request: PlanRequest, settings: Settings, stop: Callable[[], bool] | None = None
) -> Plan:
    """Return a checked plan for a snapshot, dated by it. Raises `InputError` for a bad request, `CheckFailedError`.

    `stop` is asked now and then; once it says yes, the best found so far is taken.
    """
    # Late, because numpy and OR-Tools take a second to load.
    from scheduler.solver.solve import Budget, solve
    from scheduler.solver.worth import Objective

    snapshot = under_policy(snapshot, settings.migration.encryption)
    request = replace(request, frozen={**_kept_by_encryption(snapshot), **request.frozen})
    foresight = Foresight(snapshot, settings, request.learned)
    problem, request = _without_hopeless(snapshot, request, settings, foresight)
    budget = Budget(request.time_limit_s or 1.0, request.work_limit, request.workers, request.seed, request.engine)
    problem, proposal = solve_keeping(problem, lambda one: solve(one, budget, stop))
    # A drained host is cordoned from here on: the plan is about the cluster as the policy saw it.
    seen = problem.snapshot
    start = {guest.id: guest.host for guest in seen.guests}
    worth = Objective(problem)
    at_start = worth(start)

    def is_better(placement: Mapping[str, str]) -> bool:
        value = worth(placement)
        return value.hard == 0 and value < at_start and worth.is_valid(placement)

    ordering = order_moves(problem, proposal.placement, is_better)
    if ordering.dropped:
        proposal = _with_what_is_left(problem, proposal, ordering, worth)
        if why_not_kept(problem, proposal) is not None:
            # Nothing sleeps that only moves which are left out would have made safe.
            return make_plan(snapshot, replace(request, power=NOBODY_SLEEPS), settings, stop)
    tier = _main_tier(proposal.values)
    steps = build_steps(
        problem,
        ordering.moves,
        proposal.asleep,
        worth.along([(move.guest, move.target) for move in ordering.moves], tier),
        settings.migration,
        {host: saved_watts(seen.host_by_id[host]) for host in proposal.asleep},
        foresight,
    )
    slots = settings.migration.for_policy(request.policy)
    final = {**start, **{move.guest: move.target for move in ordering.moves}}
    reasons = Reasons(problem, final)
    mending = frozenset(move.guest for move in ordering.moves if not move.parking and reasons.mends(move))
    planned = timed(steps, seen, replace(settings, migration=slots), mending)
    all_steps = with_wakes(planned.steps, request.wake)
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
        gap=_goal_tier(proposal.values).gap,
        steps=all_steps,
        before=figures(seen, start, power_states(seen, ())),
        after=figures(seen, final, power_states(seen, all_steps)),
        blamed=proposal.blamed,
        not_moved=_not_moved(problem, ordering),
        solve_s=round(proposal.solve_s, 3),
    )
    plan = replace(
        plan,
        makespan_s=planned.makespan_s,
        makespan_bound_s=planned.makespan_bound_s,
        moved_mib=sum(step.estimate.mib for step in plan.migrations),
        why=f"{plan.why}{_note_of_clear_moves(plan, seen, settings)}",
    )
    plan = with_energy(plan, seen, settings)
    findings = check_plan(
        plan,
        snapshot,
        settings.limits,
        request.max_moves,
        drained=request.drained,
        consolidate=settings.consolidate,
        frozen=request.frozen,
        planned=problem.goal.planned_millicores if isinstance(problem.goal, ConsolidateGoal) else None,
        planned_total=problem.goal.total_millicores if isinstance(problem.goal, ConsolidateGoal) else None,
    )
    if findings:
        raise CheckFailedError(f"the checker refused the plan: {findings[0]}: please report it with 'trimtab capture'")
    return plan


def _without_hopeless(
    snapshot: Snapshot, request: PlanRequest, settings: Settings, foresight: Foresight
) -> tuple[Problem, PlanRequest]:
    """Return the problem without moves that would not converge, and the request with the guests that then stay."""
    problem = _problem(snapshot, request, settings)
    hopeless, allowed = foresight.hopeless(problem)
    if hopeless:
        frozen = {**{guest: (CODE, text) for guest, text in hopeless.items()}, **request.frozen}
        request = replace(request, frozen=frozen)
        problem = _problem(snapshot, request, settings)
    return replace(problem, allowed={guest: allowed[guest] for guest in problem.movable}), request


def _problem(snapshot: Snapshot, request: PlanRequest, settings: Settings) -> Problem:
    return make_problem(
        request.policy,
        snapshot,
        limits=settings.limits,
        consolidate=settings.consolidate,
        level=request.level,
        drained=request.drained,
        max_moves=request.max_moves,
        frozen=request.frozen,
        power=request.power,
    )


def _with_what_is_left(problem: Problem, proposal: Proposal, ordering: Ordering, worth: Objective) -> Proposal:
    """Return the proposal cut down to the moves that could be ordered, with values to match."""
    placement = {guest.id: guest.host for guest in problem.snapshot.guests}
    dropped = f"{len(ordering.dropped)} moves could not be ordered safely and were left out"
    if not ordering.moves:
        broken = tuple(
            form.rule
            for form in problem.forms
            if not isinstance(form, MoveLimit)
            and form.enforcement is Enforcement.HARD
            and count_broken(form, placement, None)
        )
        return replace(
            proposal,
            status=Status.INFEASIBLE if broken else Status.NOTHING_TO_DO,
            why=f"{problem.policy}: nothing can be done; {dropped}",
            placement=placement,
            values=_revalued(proposal.values, {tier.tier: tier.before for tier in proposal.values}),
            asleep=(),
            blamed=broken,
        )
    placement |= {move.guest: move.target for move in ordering.moves}
    return replace(
        proposal,
        status=Status.FEASIBLE,
        why=f"{proposal.why}; {dropped}",
        placement=placement,
        values=_revalued(proposal.values, worth.floats(placement)),
        asleep=worth.asleep(placement),
    )


def _revalued(values: Sequence[TierValue], after: Mapping[str, float]) -> tuple[TierValue, ...]:
    """Return the tiers with other values; a bound was proven given the tiers before it, else no value is under 0."""
    tiers: list[TierValue] = []
    same_so_far = True
    for tier in values:
        value = after[tier.tier]
        bound = min(tier.bound, value) if same_so_far else 0.0
        gap = (value - bound) / max(tier.before - bound, UNITS[tier.tier]) if value > bound else 0.0
        tiers.append(replace(tier, after=value, bound=bound, gap=gap))
        same_so_far = same_so_far and value == tier.after
    return tuple(tiers)


def _goal_tier(values: Sequence[TierValue]) -> TierValue:
    """Return the tier whose gap is the plan's: the policy's goal, or repair where nothing else was asked."""
    return values[1] if values[1].tier not in COST_TIERS else values[0]


def _main_tier(values: Sequence[TierValue]) -> str:
    """Return the tier whose gain is shared out among the steps: the first after repair to get better, else repair."""
    for tier in values[1:]:
        if tier.after < tier.before and tier.tier not in COST_TIERS:
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
            code, text = _why_left(problem, guest, len(ordering.moves), bool(problem.allowed[guest.id] - drained))
            listed[guest.id] = NotMoved(guest.id, code, f"{guest.title} stays on {guest.host}: {text}")
    return tuple(listed[guest] for guest in sorted(listed))


def _note_of_clear_moves(plan: Plan, snapshot: Snapshot, settings: Settings) -> str:
    """Return what a plan says of moves that are known not to be encrypted, where that was preferred."""
    ends = {host for step in plan.migrations for host in (step.source, step.target)}
    hosts = in_the_clear(snapshot.host_by_id[host] for host in ends)
    if settings.migration.encryption is not Encryption.PREFER or not hosts:
        return ""
    return f"; not encrypted: no TLS is set up for migrations on {', '.join(hosts)}"


def _kept_by_encryption(snapshot: Snapshot) -> dict[str, tuple[str, str]]:
    kept = {guest.id: why_stays(guest, snapshot.host_by_id[guest.host]) for guest in snapshot.guests}
    return {guest: why for guest, why in kept.items() if why is not None}


def _why_left(problem: Problem, guest: Guest, moves: int, could_go: bool) -> tuple[str, str]:
    """Return (code, sentence) for a guest that is left on a drained host, movable though it is."""
    if not could_go:
        targets = (problem.snapshot.host_by_id[host] for host in problem.targets)
        if (why := why_no_target(guest, targets)) is not None:
            return NO_TLS, why
        return "incompatible", "no other host can run it"
    if problem.max_moves is not None and moves >= problem.max_moves:
        return "cap_reached", f"the plan has its most moves already ({problem.max_moves})"
    return "no_room", "no other host has room for it within limits and rules"


def _plan_id(snapshot: Snapshot, request: PlanRequest) -> str:
    """Return a ULID: 48 bits of the snapshot's time, 80 bits of what was asked: the same question has the same id."""
    asked = (snapshot.id, request.policy, request.level, request.drained, request.max_moves, request.seed)
    return plan_id_of(snapshot, (*asked, sorted(request.frozen)))


def plan_id_of(snapshot: Snapshot, asked: Sequence[object]) -> str:
    """Return the id of the plan that answers what was asked of a snapshot."""
    digest = hashlib.sha256(repr((*asked,)).encode()).digest()
    number = int(snapshot.taken_at.timestamp() * 1000) << 80 | int.from_bytes(digest[:10], "big")
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -5, -5))
