"""The whole way on real hosts: agents report, the daemon plans and moves guests, people drain and look."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cluster_under_test import starts_of_steps
from tests.lab.conftest import MakeCluster
from tests.lab.lab import Lab
from tests.lab.spreading import CYCLES_AT_REST, UNHURRIED, boot, crowd, discontinuous, memories, not_alone, watch_rest

pytestmark = pytest.mark.lab

PAIR = {"kind": "affinity", "name": "db-pair", "guests": {"app": "db"}}


def test_nine_guests_on_one_host_are_spread_and_then_left_alone(lab: Lab, make_cluster: MakeCluster) -> None:
    """Fed by agents through Redis the daemon moves guests within its limits until they are spread; then it rests."""
    crowd(lab, "lab-1")
    cluster = make_cluster(changes=UNHURRIED)
    cluster.start_agents()
    before = memories(lab)
    cluster.start_daemon()
    cluster.wait_for_rest(120)
    assert cluster.counts() == {"lab-1": 3, "lab-2": 3, "lab-3": 3}
    rest = watch_rest(cluster)
    assert (rest.cycles, rest.moves) == (CYCLES_AT_REST, 0)
    assert not_alone(lab) == []
    assert discontinuous(lab, before) == []
    assert len(cluster.moves()) == 6, "no guest had to move twice"
    assert cluster.stop_daemon() == 0
    assert "6 done, 0 failed" in cluster.said()
    assert most_at_once(cluster.journal()) <= cluster.settings["migration"]["per_cluster"]


def test_a_drained_host_is_emptied_and_used_again_afterwards(lab: Lab, make_cluster: MakeCluster) -> None:
    """Draining moves everyone away, a pair that belongs together to one host; after undrain guests come back."""
    for name in ("db-1", "db-2"):
        lab.guest(name, "lab-1", memory_mib=192, labels={"app": "db"}, start=False)
    for number, host in enumerate(("lab-1", "lab-2", "lab-2", "lab-3", "lab-3"), 1):
        lab.guest(f"web-{number}", host, memory_mib=192, start=False)
    boot(lab)
    cluster = make_cluster(rules=[PAIR])
    cluster.start_agents()
    before = memories(lab)
    cluster.start_daemon()
    cluster.wait(cluster.rests, 30, "an even cluster at rest")
    assert cluster.moves() == []

    drained = cluster.trimtab("drain", "lab-1")
    assert (drained.returncode, drained.stdout.splitlines()[-1]) == (0, "host lab-1 is empty"), drained
    assert cluster.counts()["lab-1"] == 0
    where = cluster.placement()
    assert where["db-1"] == where["db-2"]
    assert "draining" in cluster.trimtab("status").stdout
    cluster.wait(cluster.rests, 30, "rest with lab-1 drained")
    assert cluster.counts()["lab-1"] == 0, "a drained host takes no guest"

    assert cluster.trimtab("undrain", "lab-1").returncode == 0
    cluster.wait(lambda: len(cluster.moves()) > 3 and cluster.rests(), 40, "guests on lab-1 again, and rest")
    assert sorted(cluster.counts().values()) == [2, 2, 3]
    where = cluster.placement()
    assert where["db-1"] == where["db-2"]
    assert not_alone(lab) == []
    assert discontinuous(lab, before) == []


def test_a_host_is_drained_without_a_daemon(lab: Lab, make_cluster: MakeCluster) -> None:
    """`trimtab drain` does the work itself where no daemon leads, and says who has to stay and why."""
    lab.guest("web-1", "lab-1")
    lab.guest("web-2", "lab-1", ignore=True)
    cluster = make_cluster()
    cluster.start_agents()
    drained = cluster.trimtab("drain", "lab-1")
    assert drained.returncode == 1, drained
    assert "host lab-1 still holds 1 guest" in drained.stdout
    assert "web-2" in drained.stdout
    assert lab.where("web-1") != ["lab-1"]
    assert lab.where("web-2") == ["lab-1"]
    assert not_alone(lab) == []


def test_planning_changes_nothing(lab: Lab, make_cluster: MakeCluster) -> None:
    """`trimtab plan` proposes moves and leaves hosts, their configuration, journal and flags as they were."""
    for number in range(1, 4):
        lab.guest(f"web-{number}", "lab-1", memory_mib=320, autostart=number == 1, start=False)
    boot(lab)
    cluster = make_cluster()
    cluster.start_agents()
    cluster.wait(lambda: all_measured(cluster.reports()["lab-1"]), 20, "CPU figures of all guests")
    before = host_state(lab)
    for policy, moves in ((), True), (("--policy", "drain", "--host", "lab-1"), True), (("--policy", "repair"), False):
        said = cluster.trimtab("plan", *policy, "--json")
        assert said.returncode == 0, said
        plan = json.loads(said.stdout)
        assert plan["schema"] == "trimtab.plan/1"
        assert bool(plan["steps"]) == moves, plan["why"]
    assert host_state(lab) == before
    assert (cluster.journal(), cluster.plans(), dict(cluster.store.flags())) == ((), (), {})
    assert cluster.placement() == {"web-1": "lab-1", "web-2": "lab-1", "web-3": "lab-1"}


def all_measured(report: Any) -> bool:
    """Whether a report has a CPU figure of each guest."""
    return all(guest.usage.cpu_millicores is not None for guest in report.observation.guests)


def most_at_once(journal: Any) -> int:
    """Return how many steps ran at once at most, as the journal has it."""
    most, running = 0, set()
    for entry in journal:
        if entry.step and entry.state == "running":
            running.add((entry.plan, entry.step))
        elif entry.step:
            running.discard((entry.plan, entry.step))
        most = max(most, len(running))
    assert len(starts_of_steps(journal)) >= most > 0
    return most


def host_state(lab: Lab) -> dict[str, object]:
    """Return all that hosts keep of guests: domains with both XMLs, ids, states and jobs, and libvirt's own files."""
    import libvirt

    state: dict[str, object] = {}
    for host in lab.hosts:
        for domain in sorted(lab.connection(host.name).listAllDomains(), key=lambda one: str(one.name())):
            state[f"{host.name} {domain.name()}"] = (
                domain.XMLDesc(0),
                domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE),
                domain.ID(),
                domain.state(),
                domain.autostart(),
                domain.isPersistent(),
                domain.jobStats().get("type"),
            )
        directory = host.directory / "etc"
        state[f"{host.name} files"] = {str(path): file_state(path) for path in sorted(directory.rglob("*"))}
        state[f"{host.name} QEMUs"] = host.qemus()
    return state


def file_state(path: Path) -> object:
    """Return a file's time of change and content; of a link, where it points."""
    if path.is_symlink():
        return str(path.readlink())
    return (path.stat().st_mtime_ns, path.read_bytes()) if path.is_file() else ()
