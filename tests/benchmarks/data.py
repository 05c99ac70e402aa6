"""Where the public data is, for the tests that check against it: the folder `TRIMTAB_BENCHMARK_DATA` names, or none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def data_folder(family: str) -> Path:
    """Return a family's folder, or skip the test that asks."""
    root = os.environ.get("TRIMTAB_BENCHMARK_DATA")
    if not root:
        pytest.skip("TRIMTAB_BENCHMARK_DATA names no folder of public instances")
    return Path(root) / family
