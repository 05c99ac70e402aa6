"""Fixtures that tests of every package may ask for, how property tests run, and what is said of skipped tests."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.lab.fixtures"]

# How long an example takes says how busy the machine is, not whether the code is right. On CI the examples are the same
# at every run of the same code, so that a change is judged by what it did; everywhere else they are new each time.
settings.register_profile(
    "trimtab", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("trimtab")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once for each reason how many tests were skipped for it: 57 tests want the same lab."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        _, _, reason = report.longrepr
        reasons[reason.removeprefix("Skipped: ")] += 1
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{count} skipped: {reason}")
