"""The table of what plans take over the size of the cluster."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.sizes import PARTS


def test_a_line_says_what_a_plan_took_and_brought() -> None:
    """A process of its own is measured: its parts are no more than the whole, and the plan makes things more even."""
    command = [sys.executable, "-m", "benchmarks.sizes", "12x120", "--least-s", "2", "--moves-per-host", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    _, told = done.stdout.splitlines()
    size, whole, parts, mib, brought = told.split("|")
    assert size.split() == ["12x120", "2"]
    took = [float(one) for one in parts.split()]
    assert len(took) == len(PARTS)
    assert 0 < sum(took) <= float(whole.split()[1])
    assert float(mib) > 20
    before, after, moves, gib, _ = map(float, brought.split())
    assert 0 <= after < before
    assert 0 < moves <= 12
    assert gib > 0
