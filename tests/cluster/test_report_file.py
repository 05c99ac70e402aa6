"""A collector's report as text: what it refuses and says, and exact round trips."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.formats.report_file import report_from_json_text, report_to_json_text
from cluster.report import Report
from tests.cluster.documents import CLUSTER, GONE, Path, accepted_or_refused, changed, odd_values, paths, refusal
from tests.strategies import reports

REPORT: dict[str, Any] = {
    "schema": "trimtab.report/1",
    "boot_id": "b1",
    "agent_start": "2026-11-22T19:00:00Z",
    "sequence": 7,
    "observation": {
        "taken_at": "2026-11-22T20:00:00Z",
        "host": CLUSTER["hosts"][0],
        "usage": {"cpu_millicores": 12000, "memory_available_mib": 100000, "cpu_pressure_ratio": 0.1},
        "guests": [CLUSTER["guests"][0]],
        "inactive": ["5a0c"],
        "warnings": ["one guest does not answer"],
    },
}

SEEN: Path = ("observation",)

BAD: list[tuple[Path, object, str]] = [
    (("schema",), "trimtab.report/0", 'schema: found "trimtab.report/0"; allowed: "trimtab.report/1"'),
    (("sequence",), -1, "sequence: found -1; allowed: a whole number from 0 up"),
    (("agent_start",), "2026-11-22", 'agent_start: found "2026-11-22"; allowed: a time such as 2026-11-22T20:00:00Z '),
    (("boot_id",), GONE, "boot_id: found nothing (the key is missing); allowed: text, not empty"),
    (("boot",), "b", "boot: found an unknown key; allowed: schema, boot_id, agent_start, sequence, observation; did "),
    ((*SEEN, "host", "memory_mib"), "x", 'observation.host.memory_mib: found "x"; allowed: a whole number from 0 up'),
    ((*SEEN, "usage", "cpu_pressure_ratio"), 10, "observation.usage.cpu_pressure_ratio: found 10; allowed: a number "),
    (
        (*SEEN, "guests", 0, "host"),
        "kvm-b2",
        'observation.guests[0].host: found "kvm-b2"; allowed: the reported host (kvm-a1)',
    ),
    (
        (*SEEN, "guests", 1),
        CLUSTER["guests"][0],
        'observation.guests[1].id: found "2f0c5b2e-8f5e-5b54-9f57-7d3f5d9b7f10", which observation.guests[0] is '
        "already; allowed: each guest id once",
    ),
    ((*SEEN, "warnings"), "none", 'observation.warnings: found "none"; allowed: a list'),
]


@pytest.mark.parametrize(("path", "value", "says"), BAD)
def test_bad_input_is_refused_on_one_line(path: Path, value: object, says: str) -> None:
    """Each kind of bad report is refused with where it came from, its path, what was found and what is allowed."""
    text = json.dumps(changed(REPORT, (path, value)))
    said = refusal(lambda: report_from_json_text(text, "report of kvm-a1"))
    assert said.startswith(f"report of kvm-a1: {says}")


def test_unknown_cpu_is_for_the_snapshot_to_judge() -> None:
    """A guest that was looked at only once has no CPU figure yet, and its report is a report."""
    text = json.dumps(changed(REPORT, ((*SEEN, "guests", 0, "usage", "cpu_millicores"), None)))
    assert report_from_json_text(text, "report").observation.guests[0].usage.cpu_millicores is None


@given(reports())
def test_a_report_written_is_read_back_equal(report: Report) -> None:
    """Writing and reading changes nothing, and what is written is one line."""
    text = report_to_json_text(report)
    assert "\n" not in text
    assert report_from_json_text(text, "round") == report


def test_a_text_cut_anywhere_is_refused() -> None:
    """No beginning of a report is taken for the whole."""
    text = json.dumps(REPORT)
    for length in range(len(text)):
        refusal(lambda end=length: report_from_json_text(text[:end], "cut"))  # type: ignore[misc]


@settings(max_examples=200)
@given(path=st.sampled_from(sorted(paths(REPORT), key=str)), value=odd_values)
def test_any_value_anywhere_is_read_or_refused(path: Path, value: object) -> None:
    """One value of a good report changed into anything makes a good report or an input error."""
    text = json.dumps(changed(REPORT, (path, value)))
    accepted_or_refused(lambda: report_from_json_text(text, "odd"))
