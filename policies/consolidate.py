"""Consolidate: fewest watts over the horizon, by emptying hosts and putting them to sleep."""

from __future__ import annotations

from cluster.problem import ConsolidateGoal, Problem, RepairGoal
from cluster.snapshot import Snapshot
from policies.base import problem, usable_hosts
from policies.request import LEVELS, Request


def make(snapshot: Snapshot, request: Request) -> Problem:
    """Return the consolidation problem; level 1 only repairs.

    Counted are the hosts that are on; only usable (so neither cordoned nor failing), controllable ones may sleep.
    """
    if LEVELS[request.level] is None:
        return problem("consolidate", snapshot, request, RepairGoal())
    usable = usable_hosts(snapshot, request)
    settings, power = request.consolidate, request.power
    controllable = (host for host in usable if snapshot.host_by_id[host].power.controllable)
    goal = ConsolidateGoal(
        hosts=tuple(sorted(host.id for host in snapshot.hosts if snapshot.why_unplannable(host) is None)),
        may_sleep=tuple(host for host in controllable if power is None or host in power.may_sleep),
        horizon_s=settings.horizon_s,
        headroom_ratio=settings.headroom_ratio,
        reserve_hosts=settings.reserve_hosts,
        move_joules_per_gib=settings.move_joules_per_gib,
        awake_at_least=0 if power is None else power.awake_at_least,
        host_losses=settings.host_losses,
        lost_domain=settings.lost_domain,
        relief_ratio=1.0 - settings.wake_headroom_ratio,
        planned_millicores=None if power is None else power.planned_millicores,
        total_millicores=None if power is None else power.total_millicores,
    )
    return problem("consolidate", snapshot, request, goal)
