"""Usage rings as one array: guests by slots, aligned in time, up to the slot that holds a moment. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from cluster.history import EMPTY, HEADER, SLOTS, UsageRing, slot_of

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def aligned(rings: Sequence[UsageRing], at: datetime) -> Floats:
    """Return [guest, slot]: the last column holds `at`, the first is the oldest in which any guest has a figure.

    NaN where nothing was recorded. Slots after `at` are left out. No column at all when nothing is known of anyone.
    """
    last = slot_of(at)
    raw = np.full((len(rings), SLOTS), EMPTY, np.uint32)
    for row, ring in enumerate(rings):
        ahead = ring.last_slot - last
        if not ring.packed or abs(ahead) >= SLOTS:
            continue
        packed = np.frombuffer(ring.packed, "<u4", SLOTS, HEADER.size)
        # The oldest slot stands where the newest one's successor will: from there on, slots are in order.
        turn = (ring.last_slot + 1) % SLOTS
        in_order = np.concatenate((packed[turn:], packed[:turn]))
        if ahead >= 0:
            raw[row, ahead:] = in_order[: SLOTS - ahead]
        else:
            raw[row, :ahead] = in_order[-ahead:]
    known = raw != EMPTY
    seen = known.any(axis=0)
    first = int(seen.argmax()) if seen.any() else SLOTS
    values = raw[:, first:].astype(np.float32)
    values[~known[:, first:]] = np.nan
    return values


def carried_forward(values: Floats) -> Floats:
    """Return the same with each gap filled by the last figure known before it; NaN before the first one."""
    known = ~np.isnan(values)
    if known.all():
        return values
    at = np.where(known, np.arange(values.shape[1], dtype=np.int32), np.int32(0))
    np.maximum.accumulate(at, axis=1, out=at)
    return np.asarray(np.take_along_axis(values, at, axis=1), np.float32)
