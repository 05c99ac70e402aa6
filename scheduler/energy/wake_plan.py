"""Plans that wake hosts and do nothing else: guests spread by the next plan, once the hosts report. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from cluster.config.settings import Settings
from cluster.plan import Plan, Status, Step, TierValue, Wake
from cluster.snapshot import Snapshot
from scheduler.check import check_plan
from scheduler.check.goals import figures, power_states, repair_value
from scheduler.intent import WAKE
from scheduler.planning import CheckFailedError, plan_id_of
from scheduler.watts.plan_note import with_energy


def wake_plan(snapshot: Snapshot, wake: Sequence[tuple[str, str]], settings: Settings) -> Plan:
    """Return a checked plan that wakes hosts, each for its sentence, at once. Raises `CheckFailedError`."""
    start = {guest.id: guest.host for guest in snapshot.guests}
    steps: tuple[Step, ...] = tuple(Wake(f"s{i + 1}", host, reason) for i, (host, reason) in enumerate(wake))
    broken = repair_value(snapshot, start, settings.limits)
    before = figures(snapshot, start, power_states(snapshot, ()))
    longest_s = max((snapshot.host_by_id[host].power.wake_s for host, _ in wake), default=0.0)
    named = ", ".join(host for host, _ in wake[:3]) + (", ..." if len(wake) > 3 else "")
    plan = Plan(
        id=plan_id_of(snapshot, (WAKE, *wake)),
        snapshot=snapshot.id,
        policy=WAKE,
        level=1,
        seed=settings.scheduler.seed,
        made_at=snapshot.taken_at,
        expires_at=snapshot.taken_at + timedelta(seconds=settings.scheduler.plan_expires_s),
        status=Status.FEASIBLE,
        why=f"wake: {len(wake)} host{'' if len(wake) == 1 else 's'} ({named}): {wake[0][1]}",
        goals=(
            TierValue("repair", broken, broken, 0.0, 1.0 if broken else 0.0),
            TierValue("moved_mib", 0.0, 0.0, 0.0, 0.0),
            TierValue("moves", 0.0, 0.0, 0.0, 0.0),
        ),
        gap=1.0 if broken else 0.0,
        steps=steps,
        before=before,
        after=before,
        makespan_s=longest_s,
        makespan_bound_s=longest_s,
    )
    plan = replace(plan, after=figures(snapshot, start, power_states(snapshot, steps)))
    plan = with_energy(plan, snapshot, settings)
    if findings := check_plan(plan, snapshot, settings.limits):
        raise CheckFailedError(f"the checker refused the plan: {findings[0]}: please report it with 'trimtab capture'")
    return plan
