"""Watts, kWh and money in sentences: of the status, and of a plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cluster.formats.plan_file import read_plan, write_plan
from reports.energy_words import plan_line, status_lines
from reports.plan_html import plan_html
from reports.plan_markdown import plan_markdown
from reports.plan_text import plan_text
from tests.reports.samples import small_plan

NOTE: dict[str, Any] = {
    "horizon_s": 14400.0, "saved_kwh": 2.31, "taken_off_kwh": 0.05, "money_saved": 0.6, "currency": "EUR",
}  # fmt: skip
SENTENCE = "over 4 h it saves 2.3 kWh (0.60 EUR), 0.050 kWh for moving, sleeping and waking counted"


def test_a_plan_tells_what_it_brings() -> None:
    """In every form, from the plan alone, and from one that was saved."""
    plan = replace(small_plan(), extra={("x_energy",): NOTE})
    assert plan_line(NOTE) == SENTENCE
    for text in (plan_text(plan), plan_markdown(plan), plan_html(plan)):
        assert SENTENCE in " ".join(text.split())
    assert read_plan(write_plan(plan), "plan") == plan
    assert "kWh" not in plan_text(small_plan())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"saved_kwh": -0.3, "money_saved": -0.08}, "over 4 h it takes 0.300 kWh (0.08 EUR), 0.050"),
        ({"currency": None}, "saves 2.3 kWh, 0.050"),
        ({"taken_off_kwh": 0}, "over 4 h it saves 2.3 kWh (0.60 EUR)"),
        ({"currency": "a\x1b[31m"}, "0.60 a?[31m"),
    ],
)
def test_a_plan_may_cost_power_and_money_may_be_unknown(changed: dict[str, Any], said: str) -> None:
    """A plan that wakes hosts takes kWh; without prices no money is told; what does not print is not printed."""
    assert said in plan_line({**NOTE, **changed})


@pytest.mark.parametrize("note", [None, 7, "x", [], {}, {**NOTE, "horizon_s": "long"}, {**NOTE, "saved_kwh": None}])
def test_a_note_that_is_not_ours_says_nothing(note: object) -> None:
    """Keys beginning with `x_` are anybody's."""
    assert plan_line(note) == ""


def status(**energy: Any) -> dict[str, Any]:
    """A status with three hosts."""
    known = {"watts": 1000.0, "metered_watts": 0.0, "hosts_asleep": 0, "today": None, "currency": None}
    hosts = [
        {"id": "a", "curve": "fitted", "metered": True, "package_watts": 90.0},
        {"id": "b", "curve": "assumed", "metered": False, "package_watts": 80.0},
        {"id": "c", "curve": "configured", "metered": False, "package_watts": None},
    ]
    return {"energy": {**known, **energy}, "hosts": hosts}


def test_the_status_tells_power_and_how_it_is_known() -> None:
    """Metered or by curves, fitted or assumed; RAPL is said to be of a part only."""
    assert status_lines(status()) == [
        "power now 1000 W, by the hosts' curves",
        "power curves fitted to their own meters: a",
        "no power curve known, a common server's assumed: b",
        "RAPL shows 80 W on 1 host: of CPU packages and their memory alone, not of whole machines, so not counted",
    ]
    today = {"asleep_host_h": 3.0, "saved_kwh": 6.1, "money_saved": 1.524}
    first = status_lines(status(metered_watts=620.0, hosts_asleep=3, today=today, currency="EUR"))[0]
    assert first == "power now 1000 W, 62 % of it metered; 3 hosts asleep; today 6.1 kWh (1.52 EUR) saved"
    lost = {**today, "saved_kwh": -0.2, "money_saved": -0.05}
    assert status_lines(status(today=lost))[0].endswith("today 0.200 kWh more spent on moves and wakes than saved")


def test_a_meter_that_says_nothing_is_told() -> None:
    """Whose, and why the first of them."""
    told = status()
    told["hosts"][1]["meter_trouble"] = "host b: its BMC refuses user u (401)"
    told["hosts"][2]["meter_trouble"] = "host c: no answer"
    assert "no reading of the power meter of b, c: host b: its BMC refuses user u (401)" in status_lines(told)


def test_a_status_that_knows_no_watts_says_nothing() -> None:
    """Of another version, or without hosts."""
    assert status_lines({}) == []
    assert status_lines({**status(watts=0.0), "hosts": []}) == []
