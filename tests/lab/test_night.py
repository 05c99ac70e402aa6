"""A whole night on real hosts behind real BMCs: guests pack onto one, two switch off, and are back before the load."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from tests.lab.bmc import Bmcs
from tests.lab.cluster_under_test import ClusterUnderTest
from tests.lab.guests import Memory
from tests.lab.lab import Lab
from tests.lab.nights import CPU_LIMIT, HOST_MILLICORES, Busiest, night, power, remember
from tests.lab.processes import LabError
from tests.lab.spreading import boot, discontinuous, memories, not_alone

pytestmark = pytest.mark.lab

QUIET, MORE, MOST = 20, 10, 500
RAMP_MILLICORES_S = 12
TOO_MUCH = HOST_MILLICORES * CPU_LIMIT
GUESTS = {"web-1": "lab-1", "web-2": "lab-1", "web-3": "lab-2", "web-4": "lab-2", "web-5": "lab-3", "web-6": "lab-3"}
SETTLED = 2 * QUIET * len(GUESTS)


def test_a_night(lab: Lab, bmc_cluster: tuple[ClusterUnderTest, Bmcs]) -> None:
    """Only the two hosts that have passed a wake test sleep. The load returns while they do, and one is woken for it.

    In the morning both are on and guests spread, and no host has ever passed its limit.
    """
    cluster, bmcs = bmc_cluster
    cluster.start_agents()
    cluster.start_daemon()
    cluster.wait(cluster.status, 20, "a daemon that leads")
    for name in ("lab-2", "lab-3"):
        tested = cluster.trimtab("wake-test", name)
        assert tested.returncode == 0, tested
    for name, host in GUESTS.items():
        lab.guest(name, host, memory_mib=128, dirty_mib=4, cpu_millicores=QUIET, start=False)
    boot(lab)
    remember(cluster.store, lab.guests.values(), QUIET)
    before = cluster.wait(lambda: memories_now(lab), 20, "a moment in which no guest moves")

    with Busiest(cluster) as busiest:
        cluster.wait(lambda: 0 < busiest.millicores < SETTLED, 40, "guests that have started and are quiet")
    cluster.write_config(windows=[night()])
    cluster.wait(lambda: off(lab) == {"lab-2", "lab-3"}, 120, "two hosts that are off")
    assert cluster.counts() == {"lab-1": len(GUESTS), "lab-2": 0, "lab-3": 0}
    asleep = {"lab-1": "on", "lab-2": "asleep", "lab-3": "asleep"}
    cluster.wait(lambda: power(cluster) == asleep, 10, "two hosts that are known to be asleep")
    assert json.loads(cluster.trimtab("status", "--json").stdout)["alarms"] == []

    dials = [QUIET]
    with Busiest(cluster) as busiest:
        raise_load(lab, busiest, dials, until=lambda: len(off(lab)) < 2)
        cluster.write_config()
        raise_load(lab, busiest, dials, until=lambda: busiest.millicores > TOO_MUCH)
        cluster.wait(lambda: min(cluster.counts().values()) > 0, 40, "guests on every host")
    assert off(lab) == set()
    assert busiest.cpu_ratio < CPU_LIMIT, busiest.where
    assert bmcs.switch.hard_offs == []
    assert not_alone(lab) == []
    assert discontinuous(lab, before) == []
    assert cluster.stop_daemon() == 0


def raise_load(lab: Lab, busiest: Busiest, dials: list[int], until: Callable[[], bool]) -> None:
    """Turn all dials up until something is so, no quicker than `RAMP_MILLICORES_S` as it is measured.

    On a busy machine a dial is no promise of as much use.
    """
    began_s, first = time.monotonic(), busiest.millicores
    while not until():
        if busiest.millicores > first + RAMP_MILLICORES_S * (time.monotonic() - began_s):
            time.sleep(0.5)
        elif dials[-1] > MOST:
            raise LabError(f"with dials at {dials[-1]} guests use only {busiest.millicores} millicores")
        else:
            dials.append(dials[-1] + MORE)
            turn(lab, dials[-1])


def memories_now(lab: Lab) -> dict[str, Memory] | None:
    """Every guest's memory, `None` while one of them is on its way."""
    import libvirt

    try:
        return memories(lab)
    except (libvirt.libvirtError, LabError):
        return None


def turn(lab: Lab, millicores: int) -> None:
    """Turn every guest's CPU dial; one that is just moving is turned once it has arrived."""
    import libvirt

    for guest in lab.guests.values():
        for _ in range(100):
            try:
                guest.set_cpu(millicores)
                break
            except (libvirt.libvirtError, LabError):
                time.sleep(0.1)


def off(lab: Lab) -> set[str]:
    """The hosts without power."""
    return {host.name for host in lab.hosts if not host.up}
