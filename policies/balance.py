"""Balance: even CPU and memory use over the usable hosts, at a price for what is moved."""

from __future__ import annotations

from cluster.problem import Problem, RepairGoal
from cluster.snapshot import Snapshot
from policies.base import balance_goal, problem
from policies.request import LEVELS, Request


def make(snapshot: Snapshot, request: Request) -> Problem:
    """Return the balance problem of the level; level 1 only repairs."""
    level = LEVELS[request.level]
    goal = RepairGoal() if level is None else balance_goal(snapshot, request, level)
    return problem("balance", snapshot, request, goal)
