"""TLS between real hosts: what crosses the network is not the guest's memory, and without TLS nothing crosses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.config.settings import Encryption, MigrationSettings
from cluster.plan import StepState
from scheduler.cli import main
from tests.executors.rig import Rig
from tests.executors.world import migrate
from tests.lab import Lab
from tests.lab.capture import Capture
from tests.lab.conftest import MakeCluster

pytestmark = pytest.mark.lab

Certify = Callable[..., None]


@pytest.fixture
def certify(lab: Lab, tmp_path: Path) -> Iterator[Certify]:
    """Gives hosts certificates that `trimtab certs` makes; they are taken away after the test."""

    def give(*names: str) -> None:
        hosts = [f"{host.name}={host.address}" for host in lab.hosts]
        assert main(["certs", "--out", str(tmp_path / "pki"), *hosts]) == 0
        for name in names:
            for file in (tmp_path / "pki" / name / "etc" / "pki" / "qemu").iterdir():
                shutil.copy(file, lab.host(name).pki)

    yield give
    for host in lab.hosts:
        for file in host.pki.iterdir():
            file.unlink()


@pytest.mark.parametrize("encryption", [Encryption.OFF, Encryption.REQUIRED])
def test_the_guests_memory_crosses_the_network_encrypted(lab: Lab, certify: Certify, encryption: Encryption) -> None:
    """Its signature is in what the source sends without TLS, and is not with it, while as much is sent."""
    certify("lab-1", "lab-2")
    guest = lab.guest("web-1", "lab-1", dirty_mib_s=2, filled_mib=24)
    before = guest.read()
    rig = Rig({host.name: host.uri for host in lab.hosts}, MigrationSettings(mbit_s=168, encryption=encryption))
    rig.begin(migrate("s1", guest.uuid, "lab-1", "lab-2"))
    with Capture(lab.host("lab-1"), guest.signature) as capture:
        record = rig.finish()
    rig.close()
    assert record.step_state("s1") is StepState.DONE, record.steps["s1"]
    assert guest.host == "lab-2" and guest.read().counter > before.counter
    assert capture.total > 24 << 20
    assert (capture.found > 0) is (encryption is Encryption.OFF)


def test_a_step_to_a_host_without_certificates_moves_nothing(lab: Lab, certify: Certify) -> None:
    """Where nobody knew, QEMU itself refuses, and the guest stays."""
    certify("lab-1")
    guest = lab.guest("web-1", "lab-1")
    settings = MigrationSettings(mbit_s=168, encryption=Encryption.REQUIRED)
    rig = Rig({host.name: host.uri for host in lab.hosts}, settings)
    rig.begin(migrate("s1", guest.uuid, "lab-1", "lab-2"))
    with Capture(lab.host("lab-1"), guest.signature) as capture:
        record = rig.finish()
    rig.close()
    assert record.step_state("s1") in (StepState.REFUSED, StepState.FAILED)
    assert guest.host == "lab-1"
    assert capture.found == 0


def test_a_plan_says_that_tls_is_missing_on_the_target(lab: Lab, certify: Certify, make_cluster: MakeCluster) -> None:
    """Agents see the certificates; with encryption required the drain of one host names the others that have none."""
    certify("lab-1")
    guest = lab.guest("web-1", "lab-1")
    cluster = make_cluster(changes={"migration": {"encryption": "required"}, "scheduler": {"mode": "observe"}})
    cluster.start_agents()
    told = {name: report.observation.host.migration_tls for name, report in cluster.reports().items()}
    assert told == {"lab-1": True, "lab-2": False, "lab-3": False}
    ended = cluster.trimtab("plan", "--policy", "drain", "--host", "lab-1", "--json")
    plan = json.loads(ended.stdout)
    assert plan["steps"] == []
    assert [(one["guest"], one["code"]) for one in plan["not_moved"]] == [(guest.uuid, "no_tls")]
    assert "no TLS is set up for that on lab-2, lab-3" in plan["not_moved"][0]["text"]
    shutil.copytree(lab.host("lab-1").pki, lab.host("lab-2").pki, dirs_exist_ok=True)
    cluster.wait(lambda: cluster.reports()["lab-2"].observation.host.migration_tls, 10, "lab-2 says it has TLS")
    plan = json.loads(cluster.trimtab("plan", "--policy", "drain", "--host", "lab-1", "--json").stdout)
    assert [(step["from"], step["to"]) for step in plan["steps"]] == [("lab-1", "lab-2")]
