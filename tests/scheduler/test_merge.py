"""What the configuration and operators lay over a measured host, and where rules come from."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cluster.config.settings import HostSettings, ReserveSettings, Settings
from cluster.guest import Guest, Usage
from cluster.host import Host, PowerModel, PowerState, Reserved
from cluster.report import HostUsage, Observation, Report
from cluster.rules import AntiAffinity, Pin
from scheduler.see import build_snapshot, merge_host
from tests.scheduler.solver.clusters import these

NOW = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)
SEEN = Host("h1", 16000, 65536, net_mbit_s=1000, labels={"seen": "yes"}, domains={"rack": "seen"})
NO_RESERVE = ReserveSettings(memory_mib=0, memory_ratio=0.0)


def merged(configured: HostSettings | None = None, reserve: ReserveSettings = NO_RESERVE, **flags: str) -> Host:
    """The host as measured with a configuration and flags over it; `power_h1` stands for `power:h1`."""
    named = {flag.replace("_", ":", 1): value for flag, value in flags.items()}
    return merge_host(SEEN, configured or HostSettings("h1"), reserve, named)


def report(host: str, *guests: Guest, ago_s: float = 1.0, warnings: tuple[str, ...] = (), stop: bool = False) -> Report:
    """A host's report with these guests."""
    seen = Observation(
        NOW - timedelta(seconds=ago_s), Host(host, 16000, 65536), HostUsage(), guests, (), warnings, stop
    )
    return Report("boot", NOW - timedelta(hours=1), 1, seen)


def guest(name: str, host: str, **labels: str) -> Guest:
    """A guest with labels; `trimtab.rule.` and `plb_` ones are rules."""
    return Guest(name, host, 1, 1024, Usage(100), name=name, labels=labels)


def test_what_only_the_configuration_knows_is_laid_over_what_is_measured() -> None:
    """Each configured figure wins; labels and domains add up; nothing configured leaves the host as it is."""
    assert merged() == replace(SEEN, power=PowerModel())
    configured = HostSettings(
        "h1",
        cpu_millicores=8000,
        memory_mib=32768,
        net_mbit_s=500.0,
        disk_mib_s=100.0,
        migration_mbit_s=250.0,
        domains={"rack": "r1", "zone": "z1"},
        labels={"generation": "7"},
        storage=("ceph",),
        power=PowerModel(controllable=True),
    )
    host = merged(configured)
    assert (host.cpu_millicores, host.memory_mib) == (8000, 32768)
    assert (host.net_mbit_s, host.disk_mib_s, host.migration_mbit_s) == (500, 100, 250)
    assert host.domains == {"rack": "r1", "zone": "z1"}
    assert host.labels == {"seen": "yes", "generation": "7"}
    assert (host.storage, host.power.controllable) == (("ceph",), True)


@pytest.mark.parametrize(
    ("configured", "reserve", "reserved"),
    [
        (HostSettings("h1"), ReserveSettings(), Reserved(0, 4096)),
        (HostSettings("h1"), ReserveSettings(memory_ratio=0.1), Reserved(0, 6553)),
        (HostSettings("h1"), ReserveSettings(cpu_millicores=500, memory_mib=10**6), Reserved(500, 65535)),
        (HostSettings("h1", reserved_memory_mib=0, reserved_cpu_millicores=2000), ReserveSettings(), Reserved(2000, 0)),
        (HostSettings("h1", memory_mib=1000), ReserveSettings(), Reserved(0, 999)),
    ],
)
def test_a_host_keeps_something_for_itself(
    configured: HostSettings, reserve: ReserveSettings, reserved: Reserved
) -> None:
    """The larger of 4 GiB and 3 % unless its entry says otherwise, and never all there is."""
    assert merged(configured, reserve).reserved == reserved


def test_flags_mark_hosts() -> None:
    """Drained and cordoned hosts take nothing, failing ones are failing, one that was put to sleep is asleep."""
    assert not merged().cordoned and not merged().failing
    assert merged(drain_h1="ann").cordoned
    assert merged(cordon_h1="ann").cordoned
    assert merged(fail_h1="ann").failing
    assert merged(power_h1="asleep").power.state is PowerState.ASLEEP
    assert not merged(drain_h2="ann", fail_h2="ann", cordon_h2="ann").cordoned


def test_a_host_that_is_silent_or_stale_is_seen_but_not_planned_with() -> None:
    """It stays in the snapshot with its guests, and with the reason."""
    reports = [report("h1", guest("g1", "h1")), report("h2", guest("g2", "h2"), ago_s=1000)]
    sight = build_snapshot(reports, Settings(), {}, NOW, unreachable={"h1": "no route"})
    why = {host.id: sight.snapshot.why_unplannable(host) for host in sight.snapshot.hosts}
    assert why == {"h1": "host h1 is unreachable", "h2": "host h2 is stale (no figures for over 90 s)"}
    assert {one.id: one.host for one in sight.snapshot.guests} == {"g1": "h1", "g2": "h2"}


def test_on_sensors_alone_one_host_at_a_time_is_taken_as_failing() -> None:
    """The emptiest, so that the one being emptied stays it; what a person says counts beside it."""
    seen = [report("h1", guest("a", "h1"), guest("b", "h1")), report("h2", guest("c", "h2")), report("h3")]
    ill = [
        replace(one, observation=replace(one.observation, host=replace(one.observation.host, failing=True)))
        for one in seen[:2]
    ]
    sight = build_snapshot([*ill, seen[2]], Settings(), {}, NOW)
    assert [host.id for host in sight.snapshot.hosts if host.failing] == ["h2"]
    assert [text for text in sight.warnings if "trimtab fail h1" in text]
    told = build_snapshot([*ill, seen[2]], Settings(), {"fail:h1": "ann"}, NOW)
    assert [host.id for host in told.snapshot.hosts if host.failing] == ["h1", "h2"]
    assert not [text for text in told.warnings if "sensors" in text]


def test_only_configured_hosts_count_and_the_missing_are_named() -> None:
    """Where hosts are configured: one that never reported, one that nobody configured."""
    settings = Settings(hosts=(HostSettings("h1"), HostSettings("h2")))
    sight = build_snapshot([report("h1"), report("h9", guest("g9", "h9"))], settings, {}, NOW)
    assert [host.id for host in sight.snapshot.hosts] == ["h1"]
    assert sight.snapshot.guests == ()
    assert sight.warnings == (
        "host h2 has never reported",
        "host h9 reports but is not configured: left out",
    )


def test_a_guest_on_two_hosts_is_where_it_was_seen_last_and_stays() -> None:
    """Nobody of ours is moving it: a warning, and hands off."""
    reports = [report("h1", guest("g", "h1"), ago_s=5), report("h2", guest("g", "h2"), ago_s=2)]
    sight = build_snapshot(reports, Settings(), {}, NOW)
    (one,) = sight.snapshot.guests
    assert (one.host, one.movable, one.why_not) == ("h2", False, "seen on two hosts")
    assert sight.warnings == ("guest g is seen on two hosts",)


def test_collectors_warnings_and_kill_switches_are_passed_on() -> None:
    """With the host's name; the switch of one host is that host's alone."""
    sight = build_snapshot([report("h1", warnings=("low on disk",), stop=True), report("h2")], Settings(), {}, NOW)
    assert sight.warnings == ("host h1: low on disk",)
    assert sight.stopped == {"h1"}


def test_rules_come_from_configuration_metadata_and_tags_and_of_one_name_the_first_counts() -> None:
    """In that order; the one left out is named."""
    mine = AntiAffinity(name="web", guests=these("g1", "g2"))
    one = guest("g1", "h1", **{"trimtab.rule.anti_affinity.web": "", "trimtab.rule.pin.here": "hosts=h1"})
    two = guest("g2", "h1", plb_ignore_me="")
    sight = build_snapshot([report("h1", one, two)], Settings(rules=(mine,)), {}, NOW)
    assert [rule.title for rule in sight.snapshot.rules] == ["anti_affinity:web", "pin:here", "ignore:plb_ignore_me"]
    assert sight.snapshot.rules[0] is mine
    assert sight.warnings == ("rule anti_affinity:web is left out: another rule has its name",)


def test_rules_that_contradict_each_other_live_are_a_warning() -> None:
    """A file would be refused; a daemon goes on and says it."""
    here, there = (Pin(name=f"on-{host}", guests=these("g1"), hosts=these(host)) for host in ("h1", "h2"))
    reports = [report("h1", guest("g1", "h1")), report("h2")]
    sight = build_snapshot(reports, Settings(rules=(here, there)), {}, NOW)
    assert sight.warnings == ("pin:on-h1 and pin:on-h2 pinning guest g1 to different hosts",)
    assert len(sight.snapshot.rules) == 2
