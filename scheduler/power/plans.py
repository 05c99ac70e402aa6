"""Plans of a single power step, made by hand and not by a policy: for a wake test, or because a person asked. Pure."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from cluster.config.settings import Settings
from cluster.plan import Plan, Sleep, Status, Wake
from cluster.snapshot import Snapshot
from scheduler.check.goals import figures, power_states
from scheduler.watts.plan_note import with_energy

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def power_plan(step: Sleep | Wake, snapshot: Snapshot, settings: Settings, policy: str, why: str) -> Plan:
    """Return a plan with this one step, dated by the snapshot."""
    placement = {guest.id: guest.host for guest in snapshot.guests}
    plan = Plan(
        id=_plan_id(step, snapshot, policy),
        snapshot=snapshot.id,
        policy=policy,
        level=settings.scheduler.level,
        seed=settings.scheduler.seed,
        made_at=snapshot.taken_at,
        expires_at=snapshot.taken_at + timedelta(seconds=settings.scheduler.plan_expires_s),
        status=Status.FEASIBLE,
        why=why,
        goals=(),
        gap=0.0,
        steps=(step,),
        before=figures(snapshot, placement, power_states(snapshot, ())),
        after=figures(snapshot, placement, power_states(snapshot, (step,))),
    )
    return with_energy(plan, snapshot, settings)


def _plan_id(step: Sleep | Wake, snapshot: Snapshot, policy: str) -> str:
    """Return a ULID: 48 bits of the snapshot's time, 80 of what is done."""
    digest = hashlib.sha256(repr((snapshot.id, policy, step)).encode()).digest()
    number = int(snapshot.taken_at.timestamp() * 1000) << 80 | int.from_bytes(digest[:10], "big")
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -5, -5))
