"""A step's own look at the world, right before it starts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cluster.limits import Limits
from cluster.plan import Migrate, Plan, Step
from scheduler.check import why_step_no_longer_holds
from scheduler.see import Sight


def why_not_now(
    plan: Plan, step: Step, sight: Sight, limits: Limits, now: datetime, under_way: Sequence[Migrate] = ()
) -> str | None:
    """Say why the step must not start: a kill switch on one of its hosts, or something it rests on has changed."""
    for host in (step.source, step.target) if isinstance(step, Migrate) else (step.host,):
        if host in sight.stopped:
            return f"the kill switch is there on host {host}: remove it to go on"
    return why_step_no_longer_holds(plan, step, sight.snapshot, limits, now, under_way)
