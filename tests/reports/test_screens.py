"""Figures, bars, status and summary as people see them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cluster.guest import Guest, Usage
from cluster.host import Host, Reserved
from cluster.snapshot import Snapshot
from reports import units
from reports.cluster_bars import HostBar, bars_of, cluster_bars
from reports.status_text import status_text
from reports.summary import Summary, spreads, summary_json, summary_text
from tests.reports.samples import TAKEN_AT


@pytest.mark.parametrize(
    ("mib", "text"),
    [(0, "0 MiB"), (512, "512 MiB"), (9100, "8.9 GiB"), (150000, "146 GiB"), (1500000, "1.4 TiB")],
)
def test_sizes(mib: float, text: str) -> None:
    """MiB, GiB or TiB, two to three digits."""
    assert units.size(mib) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (4.25, "4.2 s"),
        (59.97, "1 min"),
        (60, "1 min"),
        (310, "5 min 10 s"),
        (3599.9, "1 h"),
        (12000, "3 h 20 min"),
        (187200, "2 d 4 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """Two units at most, never sixty of one."""
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("ratio", "text"), [(0, "0 %"), (0.004, "0.4 %"), (0.0997, "10 %"), (0.31, "31 %"), (1.2, "120 %")]
)
def test_percents(ratio: float, text: str) -> None:
    """Ratios are percent on screens."""
    assert units.percent(ratio) == text


@pytest.mark.parametrize("width", range(1, 12))
def test_text_that_is_cut_fits(width: int) -> None:
    """A cut text has the width asked for, and keeps its end, where numbers are."""
    cut = units.fit("guest-number-17", width)
    assert len(cut) == width
    if width > 4:
        assert cut.endswith("7")


def _snapshot() -> Snapshot:
    hosts = (
        Host("a", 11000, 9216, reserved=Reserved(1000, 1024), measured_at=TAKEN_AT),
        Host("b", 10000, 8192, measured_at=TAKEN_AT - timedelta(hours=1)),
    )
    guests = (Guest("g", "a", 2, 3840, Usage(2500), overhead_mib=256),)
    return Snapshot("s", TAKEN_AT, hosts, guests)


def test_bars_are_ratios_of_what_is_not_reserved() -> None:
    """2.5 of 10 cores, 4 of 8 GiB; a stale host says that it is."""
    first, second = bars_of(_snapshot())
    assert first == HostBar("a", 0.25, 0.5, 1, "")
    assert second.note.startswith("stale")


def test_a_bar_is_as_long_as_its_ratio() -> None:
    """Full blocks and eighths, or plain characters; never longer than its place."""
    text = cluster_bars([HostBar("a", 0.5, 0.0, 3), HostBar("b", 1.7, 0.0063, 0, "n" * 90)], ascii_only=True)
    head, half, over, note = text.splitlines()
    assert head.split() == ["host", "CPU", "memory", "guests"]
    assert half.split()[1:4] == ["#" * 7 + "." * 7, "50", "%"]
    assert over.split()[1] == "#" * 14
    assert note.strip() == "n" * 90
    assert max(map(len, text.splitlines())) <= 100
    assert cluster_bars([]) == ""
    assert cluster_bars([HostBar("a", 0.5 / 14, 0.0, 1)]).splitlines()[1].split()[1].startswith("▌·")


def test_spread_leaves_out_hosts_that_cannot_be_planned_with() -> None:
    """A stale host's figures say nothing about how even the cluster is."""
    assert spreads(_snapshot()) == (0.0, 0.0)
    fresh = replace(_snapshot(), stale_s=7200.0)
    assert spreads(fresh) == (0.125, 0.25)


def _status(**changes: Any) -> dict[str, Any]:
    host = {
        "id": "kvm-a1", "guests": 3, "cpu_ratio": 0.5, "memory_ratio": 0.25, "power": "on", "age_s": 200.0,
        "why_unplannable": "host kvm-a1 is stale (no figures for over 90 s)", "marks": ["draining"],
    }  # fmt: skip
    return {
        "mode": "act", "paused_by": None, "alarms": [], "findings": [], "warnings": [], "sentence": "", "hosts": [host],
        "plan": None, "waiting": [], **changes,
    }  # fmt: skip


def test_status_says_stale_and_draining_plainly() -> None:
    """Marks, the reason why nothing is planned with a host, and the age of its figures stand in its line."""
    line = status_text(_status(), "a daemon runs").splitlines()[-1]
    assert line.endswith("draining, stale (figures 3 min 20 s old)")


def test_status_puts_alarms_first_and_shows_what_runs() -> None:
    """An alarm is the first line; the running step has its progress; waiting plans say how to approve them."""
    steps = [
        {"id": "s1", "kind": "migrate", "guest": "web", "from": "a", "to": "b", "state": "done", "progress_ratio": 1.0},
        {
            "id": "s2",
            "kind": "migrate",
            "guest": "db",
            "from": "a",
            "to": "b",
            "state": "running",
            "progress_ratio": 0.4,
        },
        {"id": "s3", "kind": "sleep", "host": "a", "state": "waiting", "progress_ratio": 0.0, "detail": ""},
    ]
    plan = {"id": "p1", "policy": "drain", "state": "active", "why": "because", "steps": steps}
    waiting = [{"id": "p2", "why": "for balance", "moves": 1}]
    status = _status(alarms=["UNRESOLVED guest db"], plan=plan, waiting=waiting, paused_by="ann@desk")
    lines = status_text(status, "a daemon runs").splitlines()
    assert lines[0] == "ALARM: UNRESOLVED guest db"
    text = "\n".join(lines)
    assert "paused by ann@desk" in text
    assert "plan p1 (drain) is active, 1 of 3 done" in text
    assert "move db a -> b: running 40 %" in text
    assert "web" not in text
    assert "trimtab approve p2" in text


def test_status_without_hosts() -> None:
    """No host at all is said, not shown as an empty table."""
    assert status_text(_status(hosts=[]), "no daemon runs").rstrip().endswith("no host has reported")


SUMMARY = Summary(60.0, 0.2, 0.05, 0.1, 0.1, 31, 0, 120000.0, 0, ())


def test_the_summary_compares_before_and_after() -> None:
    """Spreads with their change, moves, and that nothing was broken."""
    text = summary_text(SUMMARY)
    assert "Summary of 1 min" in text
    assert "20 % before,  5.0 % after (75 % less)" in text
    assert "(no change)" in text
    assert "31 done, 0 failed; 117 GiB" in text
    assert "none at any moment" in text
    assert SUMMARY.is_clean
    assert summary_json(SUMMARY)["wrong"] == []


def test_the_summary_does_not_claim_what_nobody_watched() -> None:
    """On real hosts nobody sees every moment; what failed or went wrong is listed."""
    assert "rules broken" not in summary_text(replace(SUMMARY, wrong=None))
    bad = replace(SUMMARY, wrong=("web-1 and web-2 shared kvm-a1",), moves_failed=2, unresolved=1)
    text = summary_text(bad)
    assert not bad.is_clean
    assert "2 failed, 1 unresolved" in text
    assert "web-1 and web-2 shared kvm-a1" in text
