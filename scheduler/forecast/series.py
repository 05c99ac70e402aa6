"""Usage rings as one array: guests by slots, aligned in time, up to the slot that holds a moment. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from cluster.history import EMPTY, HEADER, SLOTS, Metric, UsageRing, slot_of

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def aligned(
    rings: Mapping[str, Mapping[Metric, UsageRing]], guests: Sequence[str], metric: Metric, at: datetime
) -> Floats:
    """Return [guest, slot]: the last column holds `at`, the first is the oldest in which any guest has a figure.

    NaN where nothing was recorded, as for a guest without rings. Slots after `at` are left out. No column at all when
    nothing is known of anyone.
    """
    last = slot_of(at)
    raw = np.full((len(guests), SLOTS), EMPTY, np.uint32)
    for row, guest in enumerate(guests):
        ring = rings.get(guest, {}).get(metric)
        if ring is None or not ring.packed:
            continue
        newest = ring.last_slot
        packed = np.frombuffer(ring.packed, "<u4", offset=HEADER.size)
        if len(packed) < SLOTS or newest <= last - SLOTS:
            continue
        # Slot s stands at s % SLOTS; in `raw` it has to stand at s - last - 1 from the end.
        turn = (newest + 1) % SLOTS
        in_order = np.concatenate((packed[turn:SLOTS], packed[:turn]))
        ahead = newest - last
        if ahead >= SLOTS:
            continue
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
