"""What a live migration is expected to cost, from a guest and the link: the prediction as it stands in a plan. Pure."""

from __future__ import annotations

import math

from cluster.guest import Guest
from cluster.host import Host
from cluster.migration.dirtying import SAMPLE_S, from_sample
from cluster.migration.learned import NOTHING_LEARNED, Correction
from cluster.migration.predict import (
    UNKNOWN_RATE_RATIO,
    Memory,
    Way,
    finish_by_postcopy,
    margin,
    predict,
    probability,
    spread_of,
)
from cluster.plan import Estimate

MBIT_PER_MIB = 1024 * 1024 * 8 / 1_000_000
"""Mbit (10^6 bit) in one MiB."""

SETUP_S = 0.5
"""What no byte of memory accounts for: connecting, starting QEMU on the target, defining the guest there, finishing.
Of the order of what libvirt takes to start a guest; what a cluster really takes is learned (`learned.py`)."""

SWITCH_S = 0.02
"""The part of the downtime that moves no memory: stopping the guest, its devices' state, starting it again. Runs whose
whole downtime is known show 10 to 30 ms (`benchmarks/live_migration.py`)."""

LEAST_CONVERGES = 0.5
"""Probability under which a guest counts as one that does not converge, where nothing else is configured."""


def link_mbit_s(source: Host, target: Host, cap_mbit_s: float | None, default_mbit_s: float) -> float:
    """Return the bandwidth one migration may count on: the slower end's migration link under the configured cap."""
    line_mbit_s = min(own_mbit_s(host, default_mbit_s) for host in (source, target))
    return min(line_mbit_s, cap_mbit_s) if cap_mbit_s else line_mbit_s


def own_mbit_s(host: Host, default_mbit_s: float) -> float:
    """Return the speed of a host's own migration link."""
    return host.migration_mbit_s or host.net_mbit_s or default_mbit_s


def estimate_migration(
    guest: Guest,
    mbit_s: float,
    default_dirty_mib_s: float,
    *,
    line_mbit_s: float | None = None,
    correction: Correction = NOTHING_LEARNED,
    least_converges: float = LEAST_CONVERGES,
    postcopy: bool = True,
) -> Estimate:
    """Predict one migration at `mbit_s`. With an unknown dirty rate `default_dirty_mib_s` is assumed, and said so.

    `line_mbit_s` is what the link carries when the limit is lifted for the switch-over (unknown: no more than
    `mbit_s`), `correction` what was learned from past migrations. A guest that converges less surely than
    `least_converges` and may be moved by post-copy is predicted so, in the note; `postcopy` false: none may.
    """
    mib_s = mbit_s * correction.bandwidth_ratio / MBIT_PER_MIB
    line_mib_s = max(mib_s, (line_mbit_s or 0.0) / MBIT_PER_MIB)
    memory = memory_of(guest, default_dirty_mib_s)
    way = Way(mib_s, guest.migration.max_downtime_ms / 1000, line_mib_s, setup_s=SETUP_S, switch_s=SWITCH_S)
    predicted = predict(memory, way)
    converges = _chance(guest, predicted.margin)
    notes = [] if guest.dirty.mib_s is not None else [f"unknown dirty rate, {default_dirty_mib_s:g} MiB/s assumed"]
    if postcopy and converges < least_converges and may_postcopy(guest):
        predicted, converges = finish_by_postcopy(memory, way), 0.99
        notes.append("by post-copy")
    return Estimate(
        mib=math.ceil(predicted.mib * correction.mib_ratio),
        seconds=round(SETUP_S + (predicted.seconds - SETUP_S) * correction.mib_ratio, 1),
        downtime_ms=max(1, round(1000 * predicted.downtime_s)),
        converges=round(converges, 2),
        mbit_s=round(mbit_s * correction.bandwidth_ratio),
        note="; ".join(notes),
        mib_ratio=_factor(correction.mib_ratio),
        bandwidth_ratio=_factor(correction.bandwidth_ratio),
    )


def _factor(ratio: float) -> float | None:
    return round(ratio, 3) if ratio != 1 else None


def memory_of(guest: Guest, default_dirty_mib_s: float) -> Memory:
    """Return what has to be moved of a guest. Without a figure of its use, all of its memory counts as in use."""
    dirty = guest.dirty
    in_use_mib = float(min(guest.memory_mib, guest.usage.memory_mib or guest.memory_mib))
    rate_mib_s = default_dirty_mib_s if dirty.mib_s is None else dirty.mib_s
    dirtying = from_sample(rate_mib_s, dirty.over_s, dirty.hot_mib, in_use_mib)
    return Memory(in_use_mib, guest.memory_mib - in_use_mib, dirtying, guest.local_disk_mib)


def may_postcopy(guest: Guest) -> bool:
    """Tell whether a guest may be moved by post-copy: by its policy, never when latency matters or disks are copied."""
    return guest.migration.allow_postcopy and not guest.migration.latency_sensitive and not guest.local_disks


def chance_to_converge(guest: Guest, mib_s: float) -> float:
    """Return the probability that a guest of known dirty rate converges at a bandwidth within its downtime limit."""
    memory = memory_of(guest, 0.0)
    if memory.in_use_mib <= mib_s * guest.migration.max_downtime_ms / 1000:
        return _chance(guest, math.inf)
    return _chance(guest, margin(memory.dirtying, Way(mib_s, guest.migration.max_downtime_ms / 1000)))


def _chance(guest: Guest, far: float) -> float:
    """Return the probability to converge of a guest so far from the edge."""
    dirty = guest.dirty
    if dirty.mib_s is None:
        return probability(far, UNKNOWN_RATE_RATIO)
    seen_mib = dirty.mib_s * (dirty.over_s or SAMPLE_S)
    return probability(far, spread_of(seen_mib, hot_known=dirty.hot_mib is not None))
