"""The store's own usage history as a trace: what agents have recorded of each guest in the last four weeks."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from cluster.errors import InputError
from cluster.history import SLOT_S, SLOTS, Metric, slot_of, slot_start
from cluster.snapshot import Snapshot
from cluster.store.protocol import Store
from simulator.loads import FloatArray
from simulator.traces import Trace, held


def own_history(store: Store, snapshot: Snapshot, now: datetime) -> Trace:
    """Return the CPU use of the snapshot's guests, by id, up to the last whole slot. `InputError`: there is none."""
    last = slot_of(now) - 1
    rows: dict[str, list[float]] = {}
    for guest in snapshot.guests:
        values = store.usage(guest.id, Metric.CPU_MILLICORES).values(last - SLOTS + 1, SLOTS)
        if any(value is not None for value in values):
            rows[guest.id] = [np.nan if value is None else float(value) for value in values]
    if not rows:
        raise InputError("backtest: the store holds no history of the guests yet; let agents report for a day or more")
    guests = tuple(sorted(rows))
    cpu: FloatArray = np.array([rows[guest] for guest in guests])
    first = int(np.flatnonzero(~np.isnan(cpu).all(axis=0))[0])
    return Trace(guests, slot_start(last - SLOTS + 1 + first), SLOT_S, held(cpu[:, first:]))
