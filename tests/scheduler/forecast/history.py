"""Histories for tests: rings filled with given figures up to a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from cluster.history import EMPTY, HEADER, SLOTS, Metric, UsageRing, slot_of

NOW = datetime(2026, 11, 24, 8, 2, tzinfo=UTC)


def ring(figures: npt.ArrayLike, until: datetime = NOW) -> UsageRing:
    """Return a ring whose last slot is the one that holds `until`; NaN marks a slot without a sample."""
    given = np.asarray(figures, float)[-SLOTS:]
    if not len(given):
        return UsageRing()
    last = slot_of(until)
    packed = np.full(SLOTS, EMPTY, "<u4")
    packed[np.arange(last - len(given) + 1, last + 1) % SLOTS] = np.where(np.isnan(given), EMPTY, given)
    return UsageRing(HEADER.pack(last, 1, 0) + packed.tobytes())


def rings(cpu: Sequence[npt.ArrayLike], until: datetime = NOW) -> Mapping[str, Mapping[Metric, UsageRing]]:
    """Return rings of guests g00, g01, ... with these millicores and a steady 1000 MiB."""
    return {
        f"g{index:02d}": {
            Metric.CPU_MILLICORES: ring(figures, until),
            Metric.MEMORY_MIB: ring(np.full(np.shape(figures), 1000.0), until),
        }
        for index, figures in enumerate(cpu)
    }
