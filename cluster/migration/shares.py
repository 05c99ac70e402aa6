"""What each running migration may send: max-min fair shares of the links, with room kept for a switch-over. Pure.

QEMU sends what is left when it stops the guest without a limit (7.2: `migration_completion` lifts it). It stops the
guest when that is no more than what went through at the present rate within the allowed downtime, so that a switch-over
sends at most rate x allowed downtime at once. Room for the largest such burst is kept in every budget: no second with
one switch-over in it passes it. A link's own speed needs no such room: it slows the burst down by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from cluster.migration.links import Flow, max_min_rates

NONE = 0
"""A limit in whole MiB/s that means: none."""

_ROUNDS = 30
_CLOSE_RATIO = 1e-4
_TINY = 1e-9


def shares_mib_s(
    flows: Iterable[Flow],
    downtime_s: Mapping[str, float],
    capacity_mib_s: Mapping[str, float],
    budget_mib_s: Mapping[str, float],
) -> dict[str, float]:
    """Return each flow's share in MiB/s, by id; `inf` where nothing bounds it.

    `downtime_s` is the allowed downtime by flow, 0 for those not named. On every link the shares stay within its
    capacity, and the shares and the largest burst (share x allowed downtime) together within its budget, if it has one.
    Without bursts the shares are max-min fair.
    """
    ordered = sorted(flows, key=lambda flow: flow.id)
    bounded = {link: capacity_mib_s[link] for flow in ordered for link in flow.links}
    kept = dict.fromkeys(bounded, 0.0)
    before: Mapping[str, float] = bounded
    rates = max_min_rates(ordered, bounded)
    for _ in range(_ROUNDS):
        bursts = _largest_bursts(ordered, rates, downtime_s)
        # Half-way to what the present rates ask for: whole steps would swing to and fro.
        kept = {link: (kept[link] + bursts[link]) / 2 for link in bounded}
        room = {link: max(0.0, min(bounded[link], budget_mib_s.get(link, math.inf) - kept[link])) for link in bounded}
        if all(abs(room[link] - before[link]) <= _CLOSE_RATIO * room[link] for link in room if room[link] < math.inf):
            break
        before, rates = room, max_min_rates(ordered, room)
    return _within(ordered, rates, downtime_s, budget_mib_s)


def whole_mib_s(share_mib_s: float) -> int:
    """Return a share as QEMU is told it: whole MiB/s, rounded down; `NONE` without a bound.

    Never under 1, since 0 would mean no limit: that a share is worth having is asked before a migration begins.
    """
    return NONE if math.isinf(share_mib_s) else max(1, math.floor(share_mib_s + _TINY))


def _largest_bursts(
    flows: Sequence[Flow], rates: Mapping[str, float], downtime_s: Mapping[str, float]
) -> dict[str, float]:
    """Return the largest burst of each link's flows in MiB; 0 where one without a bound crosses it."""
    bursts: dict[str, float] = {}
    for flow in flows:
        burst = rates[flow.id] * downtime_s.get(flow.id, 0.0) if math.isfinite(rates[flow.id]) else 0.0
        for link in flow.links:
            bursts[link] = max(bursts.get(link, 0.0), burst)
    return bursts


def _within(
    flows: Sequence[Flow],
    rates: Mapping[str, float],
    downtime_s: Mapping[str, float],
    budget_mib_s: Mapping[str, float],
) -> dict[str, float]:
    """Return the rates, those on a link whose budget is still passed by a little lowered to what it leaves."""
    bursts = _largest_bursts(flows, rates, downtime_s)
    used = dict.fromkeys(bursts, 0.0)
    for flow in flows:
        for link in flow.links:
            used[link] += rates[flow.id]
    fits = {
        link: min(1.0, budget_mib_s.get(link, math.inf) / total) if (total := used[link] + bursts[link]) > 0 else 1.0
        for link in used
        if math.isfinite(used[link])
    }
    return {
        flow.id: rates[flow.id] * min((fits[link] for link in flow.links if link in fits), default=1.0)
        for flow in flows
    }
