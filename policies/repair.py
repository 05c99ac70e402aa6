"""Repair: mend broken rules and overload, and nothing else."""

from __future__ import annotations

from cluster.problem import Problem, RepairGoal
from cluster.snapshot import Snapshot
from policies.base import problem
from policies.request import Request


def make(snapshot: Snapshot, request: Request) -> Problem:
    """Return the problem of mending what is broken with the least memory moved."""
    return problem("repair", snapshot, request, RepairGoal())
