"""Bad days on real hosts: killed migrations, a hung QEMU, a store that is gone, a host cut off."""

from __future__ import annotations

import os
import re
import signal
import time
from datetime import UTC, datetime

import pytest

from cluster.plan import StepState
from cluster.report import Report
from tests.lab.cluster_under_test import ClusterUnderTest, starts_of_steps
from tests.lab.conftest import MakeCluster
from tests.lab.lab import Lab
from tests.lab.redis import LabRedis
from tests.lab.spreading import boot, discontinuous, memories, not_alone

pytestmark = pytest.mark.lab

ONE_AT_A_TIME = {"mbit_s": 84.0, "out_per_host": 1, "in_per_host": 1, "per_cluster": 1}


def three_guests(lab: Lab) -> None:
    """Three guests on lab-1 that take some seconds each to move at the cap of `ONE_AT_A_TIME`."""
    for number in range(1, 4):
        lab.guest(f"web-{number}", "lab-1", memory_mib=320, filled_mib=40, start=False)
    boot(lab)


@pytest.mark.parametrize("end", ["source", "target"])
def test_a_migration_whose_qemu_is_killed_has_failed_and_work_goes_on(
    lab: Lab, make_cluster: MakeCluster, end: str
) -> None:
    """Either end's QEMU killed: the journal says what became of the guest, nothing is doubled, a new plan is made."""
    three_guests(lab)
    cluster = make_cluster(changes={"migration": ONE_AT_A_TIME})
    cluster.start_agents()
    before = memories(lab)
    cluster.start_daemon()
    step = cluster.wait_for_migration()
    struck = step.guest_name
    os.kill(lab.qemus(struck)[step.source if end == "source" else step.target], signal.SIGKILL)
    failed = cluster.wait(
        lambda: next((entry for entry in cluster.journal() if entry.step and entry.state == "failed"), None),
        30,
        "a failed step",
    )
    assert failed.step == step.id
    cluster.wait_for_idle()
    first = cluster.plans()[0]
    assert first.step_state(step.id) is StepState.FAILED
    assert f"step {step.id} failed" in first.why
    if end == "source":
        assert "the guest stopped; it is defined on lab-1" in failed.detail
        del lab.guests[struck]
    else:
        assert "the guest stayed on lab-1" in failed.detail
    cluster.wait_for_rest(60)
    spread = [0, 1, 1] if end == "source" else [1, 1, 1]
    assert sorted(cluster.counts().values()) == spread
    if end == "source":
        assert (lab.where(struck), lab.defined(struck)) == ([], ["lab-1"]), "it is for a person to start it again"
    assert set(starts_of_steps(cluster.journal()).values()) == {1}
    assert cluster.store.unresolved() == {}
    assert not_alone(lab) == []
    assert discontinuous(lab, {name: before[name] for name in lab.guests}) == []
    assert cluster.stop_daemon() == 4, "a step failed"


def test_a_hung_qemu_stops_no_others_figures_and_is_not_moved(lab: Lab, make_cluster: MakeCluster) -> None:
    """The agent goes on reporting the others, freshly; the daemon spreads them, and lets the hung guest alone."""
    for number in range(1, 5):
        lab.guest(f"web-{number}", "lab-1", memory_mib=320, cpu_millicores=40, start=False)
    boot(lab)
    hung = lab.guests["web-1"]
    cluster = make_cluster()
    cluster.start_agents()
    pid = hung.qemu_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        stopped_at = datetime.now(UTC)
        cluster.wait(lambda: not movable(cluster, hung.uuid), 40, "a report that says the hung guest cannot move")
        report = cluster.reports()["lab-1"]
        assert report.observation.taken_at > stopped_at
        assert [one.name for one in report.observation.guests if "does not answer" in (one.why_not or "")] == ["web-1"]
        cluster.start_daemon()
        cluster.wait(lambda: len(cluster.moves()) >= 2 and cluster.rests(), 60, "the others spread")
        assert hung.uuid not in {step.guest for one in cluster.plans() for step in one.plan.migrations}
        assert lab.defined("web-1") == ["lab-1"]
        fresh(cluster, "lab-1", set(lab.guests) - {"web-1"})
        status = cluster.trimtab("status")
        assert status.returncode == 0
        assert "stale" not in status.stdout
        assert max(host["age_s"] for host in cluster.status()["hosts"]) < cluster.settings["collect"]["stale_s"]
    finally:
        os.kill(pid, signal.SIGCONT)
    cluster.wait(lambda: movable(cluster, hung.uuid), 30, "a report that says it can move again")
    assert not_alone(lab) == []


@pytest.mark.parametrize("how", ["killed", "hangs"])
def test_while_redis_is_gone_nothing_is_done(
    lab: Lab, lab_redis: LabRedis, make_cluster: MakeCluster, how: str
) -> None:
    """One clear line, no acting on what is not known; when it is back the daemon goes on by itself."""
    for number, host in enumerate(lab.hosts, 1):
        lab.guest(f"web-{number}", host.name, memory_mib=320, start=False)
    boot(lab)
    cluster = make_cluster()
    cluster.start_agents()
    cluster.start_daemon()
    cluster.wait(cluster.rests, 30, "an even cluster at rest")
    lines = len(cluster.lines)
    lab_redis.kill() if how == "killed" else lab_redis.pause()
    for number in range(4, 7):
        lab.guest(f"web-{number}", "lab-1", memory_mib=320, start=False)
    boot(lab)
    cluster.wait_for_line("not acting until it is back", 20, after=lines)
    time.sleep(2 * cluster.interval_s)
    # What the daemon says begins with the time; the table of hosts of a look before does not.
    said = [line for line in cluster.lines[lines:] if re.match(r"\d\d:\d\d:\d\d ", line) and "spread over" not in line]
    assert len(said) == 1, said
    assert "store" in said[0] and "not acting until it is back" in said[0]
    assert cluster.counts() == {"lab-1": 4, "lab-2": 1, "lab-3": 1}
    assert cluster.daemon_runs
    verb = cluster.trimtab("status")
    assert (verb.returncode, verb.stdout, len(verb.stderr.splitlines())) == (3, "", 1), verb

    before = memories(lab)
    lab_redis.start() if how == "killed" else lab_redis.resume()
    cluster.wait_for_line("all is well again", 30, after=lines)
    cluster.wait(lambda: cluster.moves() and cluster.rests(), 60, "the new guests spread")
    assert cluster.counts() == {"lab-1": 2, "lab-2": 2, "lab-3": 2}
    assert not_alone(lab) == []
    assert discontinuous(lab, before) == []


def test_a_host_cut_off_is_neither_source_nor_target(lab: Lab, make_cluster: MakeCluster) -> None:
    """`status` says so, its guest stays, the other hosts are balanced without it, and later it is used again."""
    for number in range(1, 4):
        lab.guest(f"web-{number}", "lab-1", memory_mib=320, start=False)
    lab.guest("lonely", "lab-3", memory_mib=320, start=False)
    boot(lab)
    cluster = make_cluster(changes={"collect": {"stale_s": 4.0}})
    cluster.start_agents()
    before = memories(lab)
    cut_at = datetime.now(UTC)
    lab.host("lab-3").cut_network()
    cluster.wait(lambda: "lab-3" in stale(cluster), 20, "stale figures of lab-3")
    cluster.start_daemon()
    cluster.wait(lambda: cluster.moves() and cluster.rests(), 60, "the other two balanced")
    status = cluster.trimtab("status")
    assert status.returncode == 0
    said = next(line for line in status.stdout.splitlines() if line.startswith("lab-3"))
    assert "stale" in said
    touched = {end for one in cluster.plans() for step in one.plan.migrations for end in (step.source, step.target)}
    assert touched == {"lab-1", "lab-2"}
    assert lab.where("lonely") == ["lab-3"]
    assert cluster.reports()["lab-3"].observation.taken_at <= cut_at

    lab.host("lab-3").restore_network()
    cluster.wait(lambda: "lab-3" not in stale(cluster), 40, "fresh figures of lab-3")
    assert not_alone(lab) == []
    assert discontinuous(lab, before) == []


def movable(cluster: ClusterUnderTest, guest: str) -> bool:
    """Whether the latest report that knows the guest says that it can move."""
    return any(
        one.movable for report in cluster.store.reports() for one in report.observation.guests if one.id == guest
    )


def stale(cluster: ClusterUnderTest) -> set[str]:
    """Return the hosts whose figures are stale by now."""
    most_s = cluster.settings["collect"]["stale_s"]
    now = datetime.now(UTC)
    reports = cluster.reports().items()
    return {name for name, report in reports if (now - report.observation.taken_at).total_seconds() > most_s}


def fresh(cluster: ClusterUnderTest, host: str, names: set[str]) -> None:
    """Assert that a new report of the host comes, with figures of each of the named guests that it has."""
    seen: Report = cluster.reports()[host]
    cluster.wait(lambda: cluster.reports()[host].sequence > seen.sequence + 1, 15, "newer reports")
    for guest in cluster.reports()[host].observation.guests:
        if guest.name in names:
            assert guest.usage.cpu_millicores is not None and guest.usage.cpu_millicores > 20, guest
            assert guest.usage.memory_mib is not None
