"""Consolidations that keep what hosts lost would leave room for: solved again with one host more awake until they do.

In the solver only the sums are kept; here every loss is tried, guest by guest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from cluster.problem import ConsolidateGoal, Problem, Proposal
from policies.request import PowerTerms

if TYPE_CHECKING:
    from scheduler.energy.losses import Losses

TRIES = 4
"""Answers tried, each with one host more awake than the last; then none sleeps."""
NOBODY_SLEEPS = PowerTerms(frozenset(), 0, {})


def solve_keeping(problem: Problem, solve: Callable[[Problem], Proposal]) -> tuple[Problem, Proposal]:
    """Return the problem as it was solved in the end, and its answer, in which every loss has room."""
    losses: Losses | None = None
    for _ in range(TRIES):
        proposal, goal = solve(problem), problem.goal
        if not proposal.asleep or not isinstance(goal, ConsolidateGoal):
            return problem, proposal
        losses = losses or losses_of(problem, goal)
        if _why_not(losses, problem, proposal.placement, proposal.asleep) is None:
            return problem, proposal
        awake = len(problem.targets) - len(proposal.asleep) + 1
        problem = replace(problem, goal=replace(goal, awake_at_least=max(goal.awake_at_least, awake)))
    goal = problem.goal
    if isinstance(goal, ConsolidateGoal):
        problem = replace(problem, goal=replace(goal, may_sleep=()))
    return problem, solve(problem)


def why_not_kept(problem: Problem, proposal: Proposal) -> str | None:
    """Say which loss a proposal would not hold, now that hosts sleep by it; `None`: none, or none sleeps."""
    if not proposal.asleep or not isinstance(problem.goal, ConsolidateGoal):
        return None
    return _why_not(losses_of(problem, problem.goal), problem, proposal.placement, proposal.asleep)


def losses_of(problem: Problem, goal: ConsolidateGoal) -> Losses:
    """Return what is asked whether losses are held."""
    from scheduler.energy.losses import Losses

    planned, losses, domain = goal.planned_millicores, goal.host_losses, goal.lost_domain
    return Losses(problem.snapshot, problem.limits, problem.forms, planned, losses, domain)


def _why_not(losses: Losses, problem: Problem, placement: Mapping[str, str], asleep: tuple[str, ...]) -> str | None:
    on = {host.id for host in problem.snapshot.hosts if problem.snapshot.why_unplannable(host) is None}
    return losses.why_not_held(placement, on - set(asleep))
