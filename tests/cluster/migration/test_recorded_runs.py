"""The prediction beside recorded migrations of lab guests whose dials are known: QEMU 7.2, 256 MiB, 300 ms allowed.

Recorded with `benchmarks/lab_prediction.py`: libvirt's own completed statistics under a cap of 24 MiB/s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from cluster.migration.dirtying import Dirtying
from cluster.migration.predict import Memory, Way, predict

WAY = Way(mib_s=24, max_downtime_s=0.3, line_mib_s=400, setup_s=0.6, switch_s=0.02)
MEMORY_MIB = 266


@dataclass(frozen=True)
class Run:
    """What the guest was made of, and what its migration took; `None`: it was called off after five passes."""

    in_use_mib: float
    mib_s: float
    hot_mib: float
    seconds: float | None
    mib: float = 0.0


RUNS = {
    "idle, small": Run(80, 0, 1, 3.6, 81),
    "idle, large": Run(200, 0, 1, 8.6, 201),
    "hot set of 2 MiB at 60 MiB/s": Run(160, 60, 2, 6.9, 163),
    "hot set of 4 MiB at 100 MiB/s": Run(100, 100, 4, 4.5, 105),
    "3 MiB/s": Run(160, 3, 128, 7.7, 183),
    "5 MiB/s": Run(200, 5, 160, 10.7, 253),
    "8 MiB/s": Run(120, 8, 100, 7.5, 179),
    "11 MiB/s": Run(160, 11, 150, 12.0, 291),
    "15 MiB/s": Run(160, 15, 150, 17.6, 420),
    "33 MiB/s": Run(200, 33, 190, None),
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_recorded_runs_are_predicted_within_15_per_cent(run: Run) -> None:
    """Time and MiB of those that ended; the verdict of all. The lab's guests sweep their memory: a straight line."""
    dirtying = Dirtying(run.mib_s, run.hot_mib if run.hot_mib < 10 else math.inf, run.hot_mib)
    cost = predict(Memory(run.in_use_mib, MEMORY_MIB - run.in_use_mib, dirtying), WAY)
    assert cost.converges == (run.seconds is not None)
    if run.seconds is not None:
        assert cost.seconds == pytest.approx(run.seconds, rel=0.15)
        assert cost.mib == pytest.approx(run.mib, rel=0.15)
