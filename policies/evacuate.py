"""Evacuate: empty failing hosts, ahead of everything and at the urgent limits; else as a drain."""

from __future__ import annotations

from cluster.plan import EVACUATE
from cluster.problem import Problem
from cluster.snapshot import Snapshot
from policies import drain
from policies.request import Request


def make(snapshot: Snapshot, request: Request) -> Problem:
    """Return the problem of emptying `request.drained`, which fail. Raises `InputError` for none or unknown hosts."""
    return drain.make(snapshot, request, EVACUATE)
