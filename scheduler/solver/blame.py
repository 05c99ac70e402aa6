"""Why hard rules cannot hold: a minimal set of rules and limits that cannot all be kept, by deletion.

First among the guests of the hard rules alone, with the room that the others take given back: what is impossible even
so is impossible, and that is asked quickly of clusters of any size. Then, where it is not too large, of the whole.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from ortools.sat.python import cp_model

from cluster.problem import Problem, RepairGoal
from cluster.rules import Enforcement
from scheduler.solver.evaluate import HARD
from scheduler.solver.forms import Index
from scheduler.solver.instance import UNLIMITED, Instance
from scheduler.solver.lower import lower_problem
from scheduler.solver.meter import Meter
from scheduler.solver.model import Model

LIMITS, MAX_MOVES = "limits", "max_moves"
CHECK_WORK = 0.1
"""Deterministic seconds for one question; one not answered counts as possible, so what is left is truly to blame."""
MOST_CHECKS = 60
LEAST_S = 0.5
"""A person wants to know what is in the way: so long is asked even when the deadline has passed."""
MOST_BOOLEANS = 20_000
"""Guests times hosts of one question."""


def blame(problem: Problem, meter: Meter) -> tuple[str, ...]:
    """Return rule titles, `limits` and `max_moves` that cannot hold together: without any one of them they could.

    Empty when impossibility cannot be shown within the work allowed; more than needed when time runs out before.
    """
    whole = lower_problem(replace(problem, goal=RepairGoal())).instance
    few = _of_hard_rules(whole)
    for guests in (few, whole.movable):
        if len(guests) * whole.hosts <= MOST_BOOLEANS:
            blamed = _least(problem, guests, meter)
            if blamed:
                return blamed
    return ()


def _of_hard_rules(whole: Instance) -> Index:
    """Return the movable guests in hard rules, and in rules that those are in."""
    hard = [form.members for form in whole.binding if form.enforcement is Enforcement.HARD]
    asked = _members(hard)
    asked = _members([asked, *(form.members for form in whole.binding if np.isin(form.members, asked).any())])
    return whole.movable[np.isin(whole.movable, asked)]


def _members(parts: list[Index]) -> Index:
    return np.unique(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.intp)


def _least(problem: Problem, guests: Index, meter: Meter) -> tuple[str, ...]:
    over = meter.deadline(LEAST_S)
    hard = [form.rule for form in problem.forms if form.enforcement is Enforcement.HARD]
    others = [form.rule for form in problem.forms if form.enforcement is Enforcement.REPAIR]
    parts = [LIMITS, MAX_MOVES, *others, *hard]
    if not _impossible(problem, guests, parts):
        return ()
    checks = 0
    # Whole halves first: most rules have nothing to do with it.
    size = max(1, len(parts) // 2)
    while size >= 1:
        start = 0
        while start < len(parts) and checks < MOST_CHECKS and not over():
            without = parts[:start] + parts[start + size :]
            checks += 1
            if _impossible(problem, guests, without):
                parts = without
            else:
                start += size
        size = size // 2
    return tuple(sorted(parts))


def _impossible(problem: Problem, guests: Index, parts: Collection[str]) -> bool:
    """Tell whether it is proven that the hard rules among `parts` cannot all hold while the other parts are kept."""
    kept = set(parts)
    relaxed = replace(
        problem,
        forms=tuple(form for form in problem.forms if form.rule in kept),
        max_moves=problem.max_moves if MAX_MOVES in kept else None,
    )
    # What the goal is worth does not matter here, but the head-room that it keeps does.
    repair = lower_problem(replace(relaxed, goal=RepairGoal())).instance
    instance = _only(guests, replace(repair, headroom=lower_problem(relaxed).instance.headroom))
    if LIMITS not in kept:
        unlimited = np.full_like(instance.cap, UNLIMITED)
        instance = replace(instance, cap=unlimited, headroom=unlimited, limit=unlimited)
    every = np.arange(len(instance.movable))
    model = Model(instance, instance.home, every, np.ones(instance.hosts, dtype=np.bool_))
    hard = model.tiers[HARD]
    if not hard.terms:
        return hard.constant > 0
    model.program.keep(hard, most=0)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.max_deterministic_time = CHECK_WORK
    solver.parameters.catch_sigint_signal = False
    return bool(solver.solve(model.program.model) == cp_model.INFEASIBLE)


def _only(guests: Index, whole: Instance) -> Instance:
    """Return an instance in which other movable guests need no room and stay: each placement of the whole is one of it.

    Rules that some of those are in are left out.
    """
    kept = np.isin(whole.movable, guests)
    if kept.all():
        return whole
    others = whole.movable[~kept]
    demand = whole.demand.copy()
    demand[others] = 0
    return replace(
        whole,
        demand=demand,
        movable=whole.movable[kept],
        mask_of=whole.mask_of[kept],
        forms=tuple(form for form in whole.forms if not np.isin(form.members, others).any()),
        goal=replace(whole.goal, soft_weights=()),
    )
