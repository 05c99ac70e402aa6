"""Drain: empty hosts for maintenance, then keep the others even."""

from __future__ import annotations

from cluster.errors import InputError
from cluster.plan import DRAIN
from cluster.problem import DrainGoal, Problem
from cluster.snapshot import Snapshot
from policies.base import balance_goal, problem
from policies.request import LEVELS, MOST_CAUTIOUS, Request


def make(snapshot: Snapshot, request: Request, policy: str = DRAIN) -> Problem:
    """Return the problem of emptying `request.drained`. Raises `InputError` for none or unknown hosts."""
    if not request.drained:
        raise InputError(f"{policy}: no host given; name the host to empty")
    for host_id in request.drained:
        if host_id not in snapshot.host_by_id:
            known = ", ".join(sorted(snapshot.host_by_id)[:10])
            raise InputError(f"{policy}: host {host_id} is not in the cluster; hosts: {known}")
    drained = tuple(sorted(set(request.drained)))
    level = LEVELS[request.level] or MOST_CAUTIOUS
    goal = DrainGoal(drained=drained, balance=balance_goal(snapshot, request, level))
    return problem(policy, snapshot, request, goal)
