"""What a live migration is expected to cost, from memory, dirty rate and bandwidth. Pure.

Pre-copy model (Clark et al., NSDI 2005): pass 1 sends the memory in use; pass n+1 sends what was dirtied during pass n,
which is never more than the hot set when that is known; the last pass runs with the guest stopped, once what is left
fits into the allowed downtime.
"""

from __future__ import annotations

import math

from cluster.guest import Guest
from cluster.host import Host
from cluster.plan import Estimate

MBIT_PER_MIB = 1024 * 1024 * 8 / 1_000_000
"""Mbit (10^6 bit) in one MiB."""

SETUP_S = 0.5
"""Fixed time of a migration: connection, capability exchange, hand-over."""

MOST_PASSES = 60
"""Passes after which a migration counts as one that never ends."""


def link_mbit_s(source: Host, target: Host, cap_mbit_s: float | None, default_mbit_s: float) -> float:
    """Return the bandwidth one migration may count on: the slower end's migration link under the configured cap."""
    links = [host.migration_mbit_s or host.net_mbit_s or default_mbit_s for host in (source, target)]
    return min([*links, cap_mbit_s] if cap_mbit_s else links)


def estimate_migration(guest: Guest, mbit_s: float, default_dirty_mib_s: float) -> Estimate:
    """Predict one migration at `mbit_s`. With an unknown dirty rate `default_dirty_mib_s` is assumed, and said so."""
    mib_s = mbit_s / MBIT_PER_MIB
    known = guest.dirty.mib_s is not None
    dirty_mib_s = guest.dirty.mib_s if guest.dirty.mib_s is not None else default_dirty_mib_s
    memory_mib = float(min(guest.memory_mib, guest.usage.memory_mib or guest.memory_mib))
    hot_mib = guest.dirty.hot_mib if guest.dirty.hot_mib is not None else memory_mib
    stop_mib = mib_s * guest.migration.max_downtime_ms / 1000
    left_mib, sent_mib, seconds, passes = memory_mib, 0.0, SETUP_S, 0
    while left_mib > stop_mib and passes < MOST_PASSES:
        pass_s = left_mib / mib_s
        sent_mib += left_mib
        seconds += pass_s
        left_mib = min(dirty_mib_s * pass_s, hot_mib, memory_mib)
        passes += 1
    converges = left_mib <= stop_mib
    sent_mib += left_mib + guest.local_disk_mib
    seconds += left_mib / mib_s + guest.local_disk_mib / mib_s
    return Estimate(
        mib=math.ceil(sent_mib),
        seconds=round(seconds, 1),
        downtime_ms=max(1, round(1000 * left_mib / mib_s)),
        converges=0.0 if not converges else 0.99 if known else 0.9,
        mbit_s=round(mbit_s),
        note="" if known else f"unknown dirty rate, {default_dirty_mib_s:g} MiB/s assumed",
    )
