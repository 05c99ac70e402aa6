"""Whether what a plan says of itself is true: goals before and after, bounds, gaps, figures, head-room and reserve."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from fractions import Fraction
from math import floor, sqrt

from cluster.plan import EMPTYING, Figures, Sleep, Status
from scheduler.check.case import Case
from scheduler.check.goals import (
    PRICES,
    energy_watts,
    figures,
    imbalance,
    moved_share,
    power_states,
    repair_value,
    soft_broken,
    steepest_watts,
    watts_of,
)
from scheduler.check.load import guests_on, most_of
from scheduler.check.losses import crowding, unheld_losses

UNITS = {"repair": 1e-6, "drain": 1.0, "balance": 1e-12, "consolidate": 1e-3, "moved_mib": 1.0, "moves": 1.0}
"""One unit of each tier: what a gap is divided by at least."""
TOLERANCE = 1e-6
"""Relative difference allowed between two floats that mean the same."""
REPAIR_LEVEL = 1
"""The level that only repairs."""
ONLY_REPAIR = 3
"""Tiers of a plan that only repairs: it has no goal of its own beside repair and what moving costs."""


def _tiers(case: Case) -> Iterator[str]:
    """Check that the tiers are those of the policy, that no later one is paid for by nothing, and bounds and gaps."""
    plan = case.plan
    names = [goal.tier for goal in plan.goals]
    wanted = [plan.policy] if plan.policy in ("balance", "consolidate") else []
    possible = [["repair", "moved_mib", "moves"]]
    if plan.policy in EMPTYING:
        possible = [["repair", "drain", "balance", "moved_mib", "moves"]]
    elif wanted and plan.level != REPAIR_LEVEL:
        possible.append(["repair", *wanted, "moved_mib", "moves"])
    if names not in possible:
        yield f"the goals are {', '.join(names) or 'none'}, those of {plan.policy} are {', '.join(possible[-1])}"
        return
    for index, goal in enumerate(plan.goals):
        earlier = plan.goals[:index]
        if goal.after > goal.before and not any(tier.after < tier.before for tier in earlier):
            yield f"goal {goal.tier} gets worse, {goal.before:g} to {goal.after:g}, and nothing before it gets better"
        if goal.bound > goal.after:
            yield f"goal {goal.tier}: the bound {goal.bound:g} is above the value {goal.after:g}"
        unit = UNITS[goal.tier]
        gap = (goal.after - goal.bound) / max(goal.before - goal.bound, unit) if goal.after > goal.bound else 0.0
        if not _same(goal.gap, gap):
            yield f"goal {goal.tier} says a gap of {goal.gap:g}, it is {gap:g}"
        if plan.status is Status.OPTIMAL and goal.gap:
            yield f"the plan says it is optimal, and goal {goal.tier} has a gap of {goal.gap:g}"
    main = plan.goals[0 if len(plan.goals) == ONLY_REPAIR else 1]
    if not _same(plan.gap, main.gap):
        yield f"the plan says a gap of {plan.gap:g}, that of goal {main.tier} is {main.gap:g}"


def _values(case: Case) -> Iterator[str]:
    """Check each goal's values against its definition."""
    true = {tier: value for value_of in VALUES for tier, value in value_of(case).items()}
    for goal in case.plan.goals:
        if goal.tier not in true:
            continue
        before, after, slack = true[goal.tier]
        for when, said, value in (("before", goal.before, before), ("after", goal.after, after)):
            if abs(said - value) > slack + TOLERANCE * abs(value):
                yield f"goal {goal.tier} says {said:g} {when}, it is {value:g}"


Truth = Mapping[str, tuple[float, float, float]]
"""By tier: the value before, the value after, and how far the solver's rounding may be from them."""


def _repair(case: Case) -> Truth:
    before, after = (
        repair_value(case.snapshot, one, case.limits) + float(crowding(case, one)) for one in (case.start, case.final)
    )
    # Each overload is rounded up to a millionth.
    return {"repair": (before, after, 8e-6 * len(case.snapshot.hosts))}


def _moves(case: Case) -> Truth:
    moved_mib = sum(guest.memory_mib for guest in case.moved)
    return {"moved_mib": (0.0, float(moved_mib), 0.0), "moves": (0.0, float(len(case.moved)), 0.0)}


def _balance(case: Case) -> Truth:
    """Balance of `balance` and of what empties hosts; use and mean are rounded to a millionth in the solver."""
    if case.plan.policy in EMPTYING and case.drained is None:
        return {}
    emptied = case.drained or () if case.plan.policy in EMPTYING else ()
    level = 2 if case.plan.policy in EMPTYING and case.plan.level == REPAIR_LEVEL else case.plan.level
    price = PRICES.get(level, 0.0)
    before = imbalance(case.snapshot, case.start, case.usable, emptied)
    after = imbalance(case.snapshot, case.final, case.usable, emptied)
    terms = 2 * len(case.usable)
    slack = (1 + price) * (3e-6 * sqrt(terms * max(before, after)) + 2e-12 * terms) + 1e-12 * (1 + len(case.moved))
    after += price * before * moved_share(case.snapshot, case.moved)
    return {"balance": _with_soft_rules(case, before, after, slack, UNITS["balance"])}


def _drain(case: Case) -> Truth:
    if case.drained is None:
        return {}
    before, after = (
        float(sum(host in case.drained for host in placement.values())) for placement in (case.start, case.final)
    )
    return {"drain": (before, after, 0.0)}


def _consolidate(case: Case) -> Truth:
    if case.consolidate is None:
        return {}
    asleep = {step.host for step in case.plan.steps if isinstance(step, Sleep)}
    before = energy_watts(case.snapshot, case.start, frozenset(), (), case.consolidate)
    after = energy_watts(case.snapshot, case.final, asleep, case.moved, case.consolidate)
    # The solver's curves have their corners at whole millicores.
    slack = sum(steepest_watts(host) + 0.003 for host in case.snapshot.hosts) + 0.001 * len(case.moved)
    return {"consolidate": _with_soft_rules(case, before, after, slack, UNITS["consolidate"])}


def _with_soft_rules(case: Case, before: float, after: float, slack: float, unit: float) -> tuple[float, float, float]:
    """Add weight x value before x broken / guests selected for each soft rule."""
    worth = max(before, unit)
    added = [
        sum(weight * count for weight, count in soft_broken(case.snapshot, placement))
        for placement in (case.start, case.final)
    ]
    counts = sum(count for placement in (case.start, case.final) for _, count in soft_broken(case.snapshot, placement))
    slack += slack * max(added, default=0.0) + unit * counts
    return before + worth * added[0], after + worth * added[1], slack


def _room_to_spare(case: Case) -> Iterator[str]:
    """Check that consolidation keeps head-room where guests are added, and hosts on beyond the need."""
    settings, snapshot = case.consolidate, case.snapshot
    if settings is None or case.plan.policy != "consolidate" or case.plan.level == REPAIR_LEVEL:
        return
    on = guests_on(snapshot, case.final)
    receiving = {case.final[guest.id] for guest in case.moved}
    asleep = {step.host for step in case.plan.steps if isinstance(step, Sleep)}
    for resource in ("cpu", "memory"):
        offers = {}
        for one in case.usable:
            most = most_of(snapshot.host_by_id[one], resource, case.limits) or 0
            offers[one] = floor(most * (1 - Fraction(str(settings.headroom_ratio))))
            used = case.planned_of(on[one], resource)
            if one in receiving and used > offers[one]:
                yield f"host {one} ends with {used} of {resource} used, {offers[one]} is all that head-room leaves"
        reserve = sum(sorted(offers.values(), reverse=True)[: max(0, settings.reserve_hosts)])
        planned = case.planned_of((guest for guest in snapshot.guests if guest.host in offers), resource)
        together = planned if resource != "cpu" or case.planned_total is None else min(planned, case.planned_total)
        needed = max(planned, reserve + together)
        offered = sum(offer for one, offer in offers.items() if one not in asleep)
        if asleep and offered < needed:
            yield f"the hosts that stay on offer {offered} of {resource}, with the reserve {needed} is needed"


def _shown_figures(case: Case) -> Iterator[str]:
    """Check the before and after figures, the watts saved and the memory moved."""
    snapshot, plan = case.snapshot, case.plan
    before = figures(snapshot, case.start, power_states(snapshot, ()))
    after = figures(snapshot, case.final, power_states(snapshot, plan.steps))
    for when, said, true in (("before", plan.before, before), ("after", plan.after, after)):
        for field in fields(Figures):
            if abs(getattr(said, field.name) - getattr(true, field.name)) > 1e-3 * max(
                1.0, abs(getattr(true, field.name))
            ):
                yield f"{when}.{field.name} says {getattr(said, field.name)}, it is {getattr(true, field.name)}"
    for step in plan.steps:
        if isinstance(step, Sleep):
            host = snapshot.host_by_id[step.host]
            saves = watts_of(host, 0.0) - host.power.sleep_watts
            if abs(step.saves_watts - saves) > 0.1:
                yield f"step {step.id} says it saves {step.saves_watts:g} W, it is {saves:g} W"
    moved_mib = sum(move.estimate.mib for move in plan.migrations)
    if plan.moved_mib != moved_mib:
        yield f"moved_mib says {plan.moved_mib}, its steps' estimates sum to {moved_mib}"
    if plan.makespan_s < plan.makespan_bound_s:
        yield f"makespan_s says {plan.makespan_s:g}, under its bound of {plan.makespan_bound_s:g}"


def _same(said: float, true: float) -> bool:
    return abs(said - true) <= TOLERANCE * max(1.0, abs(true))


VALUES: tuple[Callable[[Case], Truth], ...] = (_repair, _moves, _balance, _drain, _consolidate)
CLAIMS: tuple[Callable[[Case], Iterator[str]], ...] = (
    _tiers,
    _values,
    _room_to_spare,
    unheld_losses,
    _shown_figures,
)
