"""One snapshot out of reports that contradict each other, the configuration, or a plan under way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cluster.config.settings import HostSettings, Settings
from cluster.guest import Guest, Usage
from cluster.host import Host
from cluster.plan import PlanRecord, PlanState, StepRecord, StepState
from cluster.report import HostUsage, Observation, Report
from scheduler.gate import View, why_no_plan
from scheduler.see import build_snapshot
from tests.executors.world import migrate, plan

NOW = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)
THREE = Settings(hosts=tuple(HostSettings(one) for one in ("h1", "h2", "h3")))


def report(host: str, *guests: str, ago_s: float = 1.0) -> Report:
    """A host's report with guests that run there."""
    seen = tuple(Guest(id=one, host=host, vcpus=1, memory_mib=1024, usage=Usage(100)) for one in guests)
    taken_at = NOW - timedelta(seconds=ago_s)
    observation = Observation(taken_at, Host(host, 8000, 16384), HostUsage(), seen)
    return Report("boot", NOW - timedelta(hours=1), 1, observation)


def moving(state: StepState, ago_s: float = 5.0) -> PlanRecord:
    """A plan under way that takes g1 from h1 to h2."""
    record = StepRecord(state, NOW - timedelta(seconds=ago_s), 1)
    return PlanRecord(plan(migrate("s1", "g1", "h1", "h2")), PlanState.ACTIVE, {"s1": record})


@pytest.mark.parametrize(
    ("state", "reporting"),
    [(StepState.RUNNING, {"h2": ("g1",), "h3": ()}), (StepState.DONE, {"h1": ("g1",), "h3": ()})],
    ids=["its source", "its target"],
)
def test_a_guest_whose_host_is_gone_from_the_reports_stays_where_it_was_seen(
    state: StepState, reporting: Mapping[str, tuple[str, ...]]
) -> None:
    """A plan under way may name a host that reports no more: the guest is not placed on it, and not moved."""
    reports = [report(host, *guests) for host, guests in reporting.items()]
    snapshot = build_snapshot(reports, THREE, {}, NOW, moving(state, ago_s=0.5)).snapshot
    (guest,) = snapshot.guests
    assert snapshot.guests_by_host[guest.host] == (guest,)
    assert not guest.movable


def test_a_guest_that_runs_twice_after_its_move_is_told() -> None:
    """Both ends, looked at after the move had ended, have it: that is said at once, and nothing moves it."""
    sight = build_snapshot([report("h1", "g1"), report("h2", "g1")], THREE, {}, NOW, moving(StepState.DONE))
    assert "guest g1 is seen on two hosts" in sight.warnings
    assert not sight.snapshot.guests[0].movable


def test_a_report_older_than_the_move_does_not_undo_it() -> None:
    """What the source said before the guest left it is no second sighting."""
    stale = report("h1", "g1", ago_s=9)
    sight = build_snapshot([stale, report("h2", "g1")], THREE, {}, NOW, moving(StepState.DONE))
    assert (sight.snapshot.guests[0].host, sight.snapshot.guests[0].movable) == ("h2", True)


def test_hosts_whose_reports_have_expired_still_count_as_stale() -> None:
    """Forgetting a silent host must not lift the breaker that its silence had set."""
    sight = build_snapshot([report("h1"), report("h2")], THREE, {}, NOW)
    view = View(THREE, NOW, NOW - timedelta(hours=1), sight.snapshot, {}, kill_switch=False)
    assert "1 of 3 hosts are stale or unreachable (h3)" in str(why_no_plan(view))


@pytest.mark.parametrize("ahead_s", [200.0, -200.0], ids=["ahead", "behind"])
def test_a_clock_that_is_off_makes_a_host_unplannable(ahead_s: float) -> None:
    """Figures from the future would never grow old, nor could they be told from those before a move."""
    skewed = report("h1", "g1", ago_s=-ahead_s)
    sight = build_snapshot([skewed, report("h2")], replace(THREE, hosts=THREE.hosts[:2]), {}, NOW)
    assert sight.snapshot.why_unplannable(sight.snapshot.host_by_id["h1"]) is not None
    if ahead_s > 0:
        assert any("clock" in warning for warning in sight.warnings)
