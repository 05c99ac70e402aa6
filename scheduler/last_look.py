"""A step's own look at the world, right before it starts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cluster.config.consolidate import ConsolidateSettings
from cluster.limits import Limits
from cluster.plan import Migrate, Plan, Sleep, Step
from scheduler.check import why_step_no_longer_holds
from scheduler.check.losses import why_loss_not_held
from scheduler.see import Sight


def why_not_now(
    plan: Plan,
    step: Step,
    sight: Sight,
    limits: Limits,
    now: datetime,
    under_way: Sequence[Migrate] = (),
    kept: ConsolidateSettings | None = None,
) -> str | None:
    """Say why the step must not start: a kill switch on one of its hosts, or something it rests on has changed.

    A host does not go to sleep where the others would not hold what is lost with so many hosts as are `kept` for.
    """
    for host in (step.source, step.target) if isinstance(step, Migrate) else (step.host,):
        if host in sight.stopped:
            return f"the kill switch is there on host {host}: remove it to go on"
    why = why_step_no_longer_holds(plan, step, sight.snapshot, limits, now, under_way)
    if why is None and kept is not None and isinstance(step, Sleep):
        why = why_loss_not_held(sight.snapshot, limits, step.host, kept.host_losses, kept.lost_domain)
    return why
