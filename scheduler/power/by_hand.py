"""Putting a host to sleep or waking it because a person asked: what stands against it, and its plan of one step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cluster import wake_proof
from cluster.config.settings import Settings
from cluster.errors import InputError
from cluster.host import PowerState
from cluster.plan import BY_HAND, Plan, Sleep, Wake
from cluster.power_sight import DOWN
from cluster.snapshot import Snapshot
from reports.units import count
from scheduler.power.plans import power_plan

STEP = "s1"


def plan_of(step: Sleep | Wake, snapshot: Snapshot, settings: Settings, by: str) -> Plan:
    """Return the plan that does it."""
    what = "put to sleep" if isinstance(step, Sleep) else "woken"
    return power_plan(step, snapshot, settings, BY_HAND, f"host {step.host} is {what}: {by} asked for it")


def step_of(plan: Plan) -> Sleep | Wake:
    """Return the one step of such a plan. `InputError` for any other plan."""
    if len(plan.steps) == 1 and isinstance(step := plan.steps[0], Sleep | Wake) and plan.policy == BY_HAND:
        return step
    raise InputError(
        f"plan {plan.id}: found a plan of policy {plan.policy}; allowed: one power step, asked for by hand"
    )


def is_so_already(step: Sleep | Wake, snapshot: Snapshot) -> bool:
    """Tell whether there is nothing to do."""
    host = snapshot.host_by_id.get(step.host)
    if host is None:
        return False
    if isinstance(step, Sleep):
        return host.power.state in DOWN
    return snapshot.why_unplannable(host) is None


def why_not(
    step: Sleep | Wake, snapshot: Snapshot, settings: Settings, flags: Mapping[str, str], now: datetime
) -> str | None:
    """Say why a host is not put to sleep or woken, on one line; what only its own power knows is not asked here."""
    entry = next((one for one in settings.hosts if one.id == step.host), None)
    if isinstance(step, Wake):
        return (
            None
            if entry is not None or not settings.hosts
            else f"host {step.host} has no [[hosts]] entry: nothing reaches its power"
        )
    host = snapshot.host_by_id.get(step.host)
    if host is None:
        return f"host {step.host} has not reported: what runs there is not seen"
    if guests := snapshot.guests_by_host[host.id]:
        more = ", ..." if len(guests) > 1 else ""
        return f"host {host.id} holds {count(len(guests), 'guest')} ({guests[0].title}{more}): trimtab drain {host.id}"
    if entry is not None and not entry.power.controllable:
        return f"host {host.id} may not be put to sleep: its [[hosts]] entry has no power.controllable = true"
    if host.power.state is not PowerState.ON:
        return f"host {host.id} is {host.power.state}"
    return snapshot.why_unplannable(host) or wake_proof.why_no_sleep(flags, host.id, now, settings.power)
