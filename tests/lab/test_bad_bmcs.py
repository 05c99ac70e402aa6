"""BMCs that refuse, lie and hang, and a host that does not come back: guests stay safe, alarm and block are seen."""

from __future__ import annotations

import json

import pytest

from tests.lab.bmc import Bmcs
from tests.lab.cluster_under_test import ClusterUnderTest
from tests.lab.lab import Lab
from tests.lab.nights import power
from tests.lab.power_switch import Mood
from tests.lab.spreading import boot, discontinuous, memories, not_alone

pytestmark = [pytest.mark.lab, pytest.mark.long]

GUESTS = ("web-1", "web-2", "web-3")


def begin(lab: Lab, cluster: ClusterUnderTest) -> None:
    """Three guests on lab-1, whatever becomes of the others, and a daemon that moves nobody to balance."""
    cluster.settings["scheduler"]["policy"] = "repair"
    cluster.write_config()
    for name in GUESTS:
        lab.guest(name, "lab-1", memory_mib=128, dirty_mib=4, start=False)
    boot(lab)
    cluster.start_agents()
    cluster.start_daemon()
    cluster.wait(cluster.status, 20, "a daemon that leads")


def failed_test(cluster: ClusterUnderTest, host: str) -> str:
    """Let a host be tested, which must fail; return what was said of it. Alarm and block are in the status."""
    tested = cluster.trimtab("wake-test", host, "--json")
    assert tested.returncode == 4, tested
    result = json.loads(tested.stdout)
    assert (result["outcome"], result["blocked"]) == ("failed", True), result
    status = json.loads(cluster.trimtab("status", "--json").stdout)
    assert any(alarm.startswith(f"BLOCKED host {host}: ") for alarm in status["alarms"]), status["alarms"]
    assert f"ALARM host {host}: " in cluster.said()
    return str(result["text"])


def test_a_bmc_that_refuses_or_lies(lab: Lab, bmc_cluster: tuple[ClusterUnderTest, Bmcs]) -> None:
    """The host runs on, its test fails, and it is blocked; once its BMC is good a passed test lifts the block."""
    cluster, bmcs = bmc_cluster
    begin(lab, cluster)
    before = memories(lab)
    bmcs.switch.mood("lab-2", Mood.REFUSES)
    assert "refuses every order" in failed_test(cluster, "lab-2")
    bmcs.switch.mood("lab-3", Mood.LIES)
    assert "did not go to sleep" in failed_test(cluster, "lab-3")
    assert [host.up for host in lab.hosts] == [True, True, True]

    bmcs.switch.mood("lab-2", Mood.OBEYS)
    cluster.wait(lambda: power(cluster)["lab-2"] == "on", 30, "lab-2 counted as on again")
    tested = cluster.trimtab("wake-test", "lab-2")
    assert tested.returncode == 0, tested
    alarms = json.loads(cluster.trimtab("status", "--json").stdout)["alarms"]
    assert [alarm.split(":")[0] for alarm in alarms] == ["BLOCKED host lab-3"]
    assert not_alone(lab) == []
    assert discontinuous(lab, before) == []


def test_a_bmc_that_hangs_and_a_host_that_does_not_come_back(
    lab: Lab, bmc_cluster: tuple[ClusterUnderTest, Bmcs]
) -> None:
    """Neither holds anything else up; the host that is down is woken by hand once it can be, and is proven by that."""
    cluster, bmcs = bmc_cluster
    begin(lab, cluster)
    before = memories(lab)
    bmcs.switch.mood("lab-2", Mood.HANGS)
    assert "did not go to sleep" in failed_test(cluster, "lab-2")
    assert lab.host("lab-2").up

    bmcs.switch.mood("lab-3", Mood.NO_BOOT)
    assert "did not wake" in failed_test(cluster, "lab-3")
    assert not lab.host("lab-3").up
    bmcs.switch.mood("lab-3", Mood.OBEYS)
    woken = cluster.trimtab("wake", "lab-3")
    assert woken.returncode == 0, woken
    cluster.wait(lambda: "host lab-3 woke" in cluster.said(), 10, "proven")
    cluster.wait(lambda: power(cluster) == {"lab-1": "on", "lab-2": "on", "lab-3": "on"}, 20, "all hosts on")
    assert bmcs.switch.hard_offs == []
    assert not_alone(lab) == []
    assert discontinuous(lab, before) == []
