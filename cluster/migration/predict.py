"""What a pre-copy live migration will take, worked out before it starts: passes, bytes, times, whether it converges.

The model is that of Clark et al. (NSDI 2005) with the rules of QEMU's migration thread (`migration/migration.c`,
`migration/ram.c`, 4.0 and later):

- The first pass sends the memory in use; a zero page costs its header only.
- A pass ends, and the dirty bitmap is read anew, once what is left is under the stop size: measured bandwidth times
  allowed downtime. What was left then is sent after the re-reading, together with what was dirtied in between.
- The bandwidth limit is spent in slices of `SLICE_S`, and the look at what is left comes once per slice: on average
  half a slice below the stop size. The bandwidth is not measured before the first slice is over: it is always sent.
- When what is left after a re-reading is under the stop size, the guest is stopped and the rest is sent without limit.

With D the dirtying curve (`dirtying.py`, concave), b the bandwidth, d the allowed downtime, t0 = min(SLICE_S / 2, d)
and U = b * (d - t0) what is left when a pass ends, the excess e = left - b * d of one pass leads to that of the next:

    e' = D(e / b + t0) * (1 - U / hot) - b * t0

the bracket because what is left unsent, a part of the hot set, may be dirtied again at no further cost. The right side
is concave and grows with e: the passes shrink to nothing if and only if D(t0) * (1 - U / hot) <= b * t0. So a guest
converges when it dirties more slowly than it is sent, and, at any rate, when its hot set fits into the stop size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cluster.migration.dirtying import Dirtying

PAGE_BYTES = 4096
HEADER_BYTES = 8
"""In QEMU's stream each page begins with its offset and flags; a zero page is that and one byte."""

ZERO_PAGE_RATIO = (HEADER_BYTES + 1) / PAGE_BYTES
PAGE_RATIO = (PAGE_BYTES + HEADER_BYTES) / PAGE_BYTES

SLICE_S = 0.1
"""QEMU's BUFFER_DELAY: the bandwidth limit is spent in slices of so long."""

MOST_PASSES = 1000
"""Passes after which a migration, however slowly it gains, is as good as one that never ends."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What has to be moved: memory in use, the rest up to the guest's maximum (zero pages), local disks, dirtying."""

    in_use_mib: float
    zero_mib: float
    dirtying: Dirtying
    local_disk_mib: float = 0.0


@dataclass(frozen=True, slots=True)
class Way:
    """How it is moved.

    `mib_s` is the bandwidth it gets, `line_mib_s` what the link carries when the limit is lifted for the switch-over.
    `wire_ratio`: bytes sent per byte of memory, under 1 where compression is on. `setup_s`: connecting, preparing
    both ends, finishing; `switch_s`: part of the downtime that sends nothing (stopping, device state, starting).
    """

    mib_s: float
    max_downtime_s: float
    line_mib_s: float = math.inf
    wire_ratio: float = 1.0
    setup_s: float = 0.0
    switch_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a migration takes. `mib` are those on the wire, local disks included; `seconds` include setup and downtime.

    `margin` says how far the verdict is from the edge: how many times more the guest might dirty (over 1), or would
    have to dirty less (under 1), for the verdict to be the other; infinite when it converges at any rate. For a guest
    that does not converge the figures are those of the passes until they gained nothing any more.
    """

    passes: int
    mib: float
    seconds: float
    downtime_s: float
    converges: bool
    margin: float


def predict(memory: Memory, way: Way) -> Prediction:
    """Predict a pre-copy migration. Bandwidth must be above 0."""
    dirtying = memory.dirtying
    # Counted in MiB of memory: what of it the wire carries in a second.
    mib_s, stop_mib, _, unsent_mib = _pace(way)
    line_mib_s = max(way.line_mib_s, way.mib_s) / (PAGE_RATIO * way.wire_ratio)
    # Zero pages are found at the pace of memory and go into the stream of the first pass.
    zero_wire_mib = memory.zero_mib * ZERO_PAGE_RATIO
    seconds = zero_wire_mib / way.mib_s
    left_mib, sent_mib, passes = memory.in_use_mib, 0.0, 0
    pool_mib, least_s, before_mib = memory.in_use_mib, SLICE_S, math.inf
    while passes == 0 or (left_mib > stop_mib and passes < MOST_PASSES and (passes == 1 or left_mib < before_mib)):
        before_mib = left_mib
        pass_s = max(least_s, (left_mib - unsent_mib) / mib_s)
        unsent_now_mib = max(0.0, left_mib - mib_s * pass_s)
        sent_mib += left_mib - unsent_now_mib
        seconds += pass_s
        passes += 1
        still_clean_ratio = 1 - unsent_now_mib / pool_mib if pool_mib > unsent_now_mib else 0.0
        left_mib = unsent_now_mib + dirtying.within_mib(pass_s) * still_clean_ratio
        pool_mib, least_s = dirtying.set_mib, 0.0
    converges = left_mib <= stop_mib
    sent_mib += left_mib
    downtime_s = way.switch_s + left_mib / line_mib_s
    disk_s = memory.local_disk_mib / way.mib_s
    return Prediction(
        passes=passes + 1,
        mib=sent_mib * PAGE_RATIO * way.wire_ratio + zero_wire_mib + memory.local_disk_mib,
        seconds=way.setup_s + seconds + downtime_s + disk_s,
        downtime_s=downtime_s,
        converges=converges,
        margin=margin(dirtying, way),
    )


def finish_by_postcopy(memory: Memory, way: Way) -> Prediction:
    """Predict one pass of pre-copy, then post-copy: the guest goes on at the target and fetches what was dirtied.

    It ends for sure. Its downtime is the switch alone; while the rest arrives the guest waits for each page it lacks.
    """
    mib_s = way.mib_s / (PAGE_RATIO * way.wire_ratio)
    zero_wire_mib = memory.zero_mib * ZERO_PAGE_RATIO
    pass_s = memory.in_use_mib / mib_s
    left_mib = memory.dirtying.within_mib(pass_s)
    return Prediction(
        passes=2,
        mib=(memory.in_use_mib + left_mib) * PAGE_RATIO * way.wire_ratio + zero_wire_mib + memory.local_disk_mib,
        seconds=way.setup_s
        + pass_s
        + way.switch_s
        + left_mib / mib_s
        + (zero_wire_mib + memory.local_disk_mib) / way.mib_s,
        downtime_s=way.switch_s,
        converges=True,
        margin=math.inf,
    )


def margin(dirtying: Dirtying, way: Way) -> float:
    """Return how many times more the guest might dirty while the last, shortest pass waits: the verdict's edge is 1.

    Infinite for a guest that dirties nothing then, or whose hot set is still unsent then anyway.
    """
    _, stop_mib, wait_s, unsent_mib = _pace(way)
    if dirtying.is_idle or dirtying.set_mib <= unsent_mib:
        return math.inf
    dirtied_mib = dirtying.within_mib(wait_s) * (1 - unsent_mib / dirtying.set_mib)
    return math.inf if dirtied_mib <= 0 else (stop_mib - unsent_mib) / dirtied_mib


def _pace(way: Way) -> tuple[float, float, float, float]:
    """Return MiB of memory sent in a second, stop size in MiB, mean wait of a pass in s, MiB left when a pass ends."""
    mib_s = way.mib_s / (PAGE_RATIO * way.wire_ratio)
    stop_mib, wait_s = mib_s * way.max_downtime_s, min(SLICE_S / 2, way.max_downtime_s)
    return mib_s, stop_mib, wait_s, stop_mib - mib_s * wait_s


def probability(margin: float, spread_ratio: float) -> float:
    """Return the probability to converge: that figures known to `spread_ratio` do not lie beyond the edge.

    The true figure over the known one is taken as log-normal with that standard deviation. Never surer than 99 %
    either way: what a guest did is not what it will do.
    """
    if math.isinf(margin):
        return 0.99
    chance = 0.5 * math.erfc(-math.log(max(margin, 1e-9)) / (max(spread_ratio, 1e-6) * math.sqrt(2)))
    return min(0.99, max(0.01, chance))


def spread_of(dirty_seen_mib: float, hot_known: bool) -> float:
    """Return how well a measured dirty rate is known, as the standard deviation of its logarithm.

    libvirt samples 512 pages of each GiB, so each page seen dirty stands for 2 MiB, and n of them are known to
    1 / sqrt(n). Beside it stand `CHANGE_RATIO`, what a guest changes until it is moved, and, where the hot set was not
    measured, `NO_HOT_SET_RATIO`.
    """
    hits = max(1.0, dirty_seen_mib / MIB_PER_SAMPLED_PAGE)
    return math.sqrt(1 / hits + CHANGE_RATIO**2 + (0.0 if hot_known else NO_HOT_SET_RATIO**2))


MIB_PER_SAMPLED_PAGE = 2.0
CHANGE_RATIO = 0.15
"""Spread of a guest's dirty rate from one measurement to the next half an hour later; an assumption, on the safe side
of the run-to-run spread of a steady workload (3 % in the public runs of `benchmarks/live_migration.py`)."""
NO_HOT_SET_RATIO = 0.15
"""Without the hot set the curve's start is known less well: its slope lies between the sampled rate and, for a set
just filled by the sample, several times that."""
UNKNOWN_RATE_RATIO = 0.7
"""Spread where the dirty rate itself is assumed: a factor of two either way is no surprise."""
