"""Bounds of the host terms from totals: all that is used is used somewhere, wherever there is most room for it."""

from __future__ import annotations

import math

import numpy as np

from scheduler.solver.bounds.reach import Reach
from scheduler.solver.forms import Ints
from scheduler.solver.terms import Flat, HostTerm, SoftLimit, SpareRatio, Watts


def total_bound(reach: Reach, term: HostTerm) -> int:
    """Return a bound of one term over all hosts, for any number of moves."""
    hosts = np.arange(reach.instance.hosts)
    closed = hosts[~reach.open]
    # Where nothing can come or go the cost is what it is.
    known = int(term.at(closed, reach.fixed[closed]).sum())
    opened = hosts[reach.open]
    if not len(opened):
        return known
    if isinstance(term, SoftLimit):
        return known + _soft_limit(reach, term, opened)
    if isinstance(term, SpareRatio):
        return known + _spare_ratio(reach, term, opened)
    if isinstance(term, Flat):
        return known + int(term.cost[opened].sum())
    if isinstance(term, Watts):
        return known + _watts(reach, term, opened)
    return known


def _soft_limit(reach: Reach, term: SoftLimit, hosts: Ints) -> int:
    """What cannot be under the soft limits even if it were divisible."""
    fixed, limit = reach.fixed[hosts], term.limit[hosts]
    over = np.maximum(0, fixed - limit).sum(axis=0)
    room = np.maximum(0, limit - fixed).sum(axis=0)
    over = over + np.maximum(0, reach.least.sum(axis=0) - room)
    return int(over @ term.weight)


def _spare_ratio(reach: Reach, term: SpareRatio, hosts: Ints) -> int:
    """The shortage of all hosts taken as one, which is never more than the sum of theirs."""
    first, second = term.columns
    whole = term.capacity[hosts].sum(axis=0)
    free = int(whole[0]) - int(reach.fixed[hosts, first].sum() + reach.most[:, first].sum())
    needed = int(whole[1]) - int(reach.fixed[hosts, second].sum() + reach.least[:, second].sum())
    return term.weight * max(0, term.target * free - needed)


def _watts(reach: Reach, term: Watts, hosts: Ints) -> int:
    """All hosts idle, and the shallowest slope of any of their curves for the whole load."""
    load = int(reach.fixed[hosts, term.column].sum() + reach.least[:, term.column].sum())
    idle, lowest, slopes = 0, 0, {(0, 0): 0.0} if any(term.curves[host] is None for host in hosts.tolist()) else {}
    for host in hosts.tolist():
        power = term.curves[host]
        if power is None:
            continue
        idle += power.milliwatts[0]
        lowest += min(power.milliwatts)
        most = max(1, int(reach.cap[host, term.column]))
        if (id(power), most) in slopes:
            continue
        ends = np.array([point for point in power.at[1:] if point < most] + [most], dtype=np.int64)
        slopes[id(power), most] = float(((power.draw(ends) - power.milliwatts[0]) / ends).min())
    slope = min(slopes.values())
    return idle + math.floor(slope * load * (1 - 1e-9)) if slope >= 0 else lowest
