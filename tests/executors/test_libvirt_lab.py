"""Real live migrations between real libvirt hosts, and what becomes of them on bad days."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.clock import SystemClock
from cluster.config.settings import MigrationSettings, StoreSettings
from cluster.plan import PlanState, StepState
from cluster.store.open import open_store
from executors import libvirt_domain
from executors.protocol import Presence, Sighting
from tests.executors.rig import DEADLINE_S, Rig
from tests.executors.world import migrate
from tests.lab import Lab
from tests.lab.guests import LabGuest
from tests.lab.redis import LabRedis

pytestmark = pytest.mark.lab

SLOW = MigrationSettings(mbit_s=42)  # 5 MiB/s
FILLED_MIB = 40  # eight seconds of it
ROOT = Path(__file__).resolve().parents[2]


MakeRig = Callable[..., Rig]


@pytest.fixture
def make_rig(lab: Lab) -> Iterator[MakeRig]:
    """Makes runners over the lab's hosts."""
    made: list[Rig] = []

    def make(settings: MigrationSettings = SLOW, **more: object) -> Rig:
        rig = Rig({host.name: host.uri for host in lab.hosts}, settings, **more)  # type: ignore[arg-type]
        made.append(rig)
        return rig

    yield make
    for rig in made:
        rig.close()


def big_guest(lab: Lab, name: str = "web-1") -> LabGuest:
    """A guest that takes some seconds to move."""
    return lab.guest(name, "lab-1", dirty_mib=8, dirty_mib_s=1, filled_mib=FILLED_MIB, autostart=True)


def places(lab: Lab, guest: str) -> list[str]:
    """Where the guest runs, asked again when it leaves a host in the middle of the question."""
    import libvirt

    try:
        return lab.where(guest)
    except libvirt.libvirtError:
        return lab.where(guest)


def wait_for_one_place(lab: Lab, guest: str, most_s: float = 60.0) -> list[str]:
    """Watch until one QEMU process at most is left of the guest; never may it run on two hosts meanwhile."""
    deadline = time.monotonic() + most_s
    while True:
        where = places(lab, guest)
        assert len(where) <= 1, f"{guest} runs on {where}"
        if len(lab.qemus(guest)) <= 1 or time.monotonic() > deadline:
            return where
        time.sleep(0.1)


def test_a_plan_of_two_steps_runs(lab: Lab, make_rig: MakeRig) -> None:
    """Two guests move one after the other, memory whole, definition and autostart with them."""
    first = lab.guest("web-1", "lab-1", dirty_mib_s=2, autostart=True, migration={"max_downtime_ms": "200"})
    second = lab.guest("web-2", "lab-1", dirty_mib_s=2)
    before = first.read()
    rig = make_rig(MigrationSettings(mbit_s=420))
    rig.begin(
        migrate("s1", first.uuid, "lab-1", "lab-2"),
        migrate("s2", second.uuid, "lab-1", "lab-3", after=("s1",)),
    )
    record = rig.finish()
    assert record.why == "2 of 2 steps done", record
    assert (lab.where("web-1"), lab.defined("web-1")) == (["lab-2"], ["lab-2"])
    assert (lab.where("web-2"), lab.defined("web-2")) == (["lab-3"], ["lab-3"])
    after = first.read()
    assert after.signature == before.signature
    assert after.counter > before.counter
    assert lab.connection("lab-2").lookupByName("web-1").autostart() == 1
    assert lab.connection("lab-3").lookupByName("web-2").autostart() == 0
    done = rig.step("s1")
    assert done.mib > 0 and done.downtime_ms is not None
    assert [entry.state for entry in rig.store.journal(10) if entry.step] == ["running", "done"] * 2


def test_the_bandwidth_cap_holds(lab: Lab, make_rig: MakeRig) -> None:
    """What leaves the source each second stays near the cap; the allowed downtime begins at a quarter of the limit."""
    guest = lab.guest("web-1", "lab-1", filled_mib=60, migration={"max_downtime_ms": "210"})
    rig = make_rig(MigrationSettings(mbit_s=84))
    rig.begin(migrate("s1", guest.uuid, "lab-1", "lab-2"))
    rig.until(rig.under_way)
    assert lab.connection("lab-1").lookupByName("web-1").migrateGetMaxDowntime() == 52
    began_s, began_bytes = time.monotonic(), lab.host("lab-1").link_bytes()[1]
    while (passed_s := time.monotonic() - began_s) < 2.0:
        rig.tick()
    mib_s = (lab.host("lab-1").link_bytes()[1] - began_bytes) / passed_s / (1 << 20)
    assert 6.0 < mib_s < 12.0, "the cap is 10 MiB/s"
    assert rig.finish().step_state("s1") is StepState.DONE


def test_a_look_sees_both_ends_of_a_migration(lab: Lab, make_rig: MakeRig) -> None:
    """Running, then leaving and arriving, then running on the target, and never twice in one sighting."""
    guest = big_guest(lab)
    rig = make_rig()
    step = migrate("s1", guest.uuid, "lab-1", "lab-2")
    assert rig.executor.look(step) == Sighting(Presence.RUNNING, Presence.ABSENT)
    assert rig.executor.look(migrate("s9", guest.uuid, "lab-2", "lab-3")).elsewhere == ("lab-1",)
    rig.begin(step)
    rig.until(rig.under_way)
    assert rig.executor.look(step) == Sighting(Presence.LEAVING, Presence.ARRIVING)
    rig.finish()
    assert rig.executor.look(step) == Sighting(Presence.ABSENT, Presence.RUNNING)


def test_a_guest_whose_source_qemu_is_killed_has_failed(lab: Lab, make_rig: MakeRig) -> None:
    """The guest is dead, runs nowhere, and the journal says so."""
    guest = big_guest(lab)
    rig = make_rig()
    rig.begin(migrate("s1", guest.uuid, "lab-1", "lab-2"))
    rig.until(rig.under_way)
    os.kill(lab.qemus("web-1")["lab-1"], signal.SIGKILL)
    record = rig.finish()
    assert record.step_state("s1") is StepState.FAILED
    assert "the guest stopped; it is defined on lab-1" in record.steps["s1"].detail
    assert wait_for_one_place(lab, "web-1") == []
    assert lab.defined("web-1") == ["lab-1"]


def test_a_guest_whose_incoming_qemu_is_killed_stays(lab: Lab, make_rig: MakeRig) -> None:
    """The guest runs on at its source, and the step has failed."""
    guest = big_guest(lab)
    before = guest.read()
    rig = make_rig()
    rig.begin(migrate("s1", guest.uuid, "lab-1", "lab-2"))
    rig.until(rig.under_way)
    os.kill(lab.qemus("web-1")["lab-2"], signal.SIGKILL)
    record = rig.finish()
    assert record.step_state("s1") is StepState.FAILED
    assert "the guest stayed on lab-1" in record.steps["s1"].detail
    assert wait_for_one_place(lab, "web-1") == ["lab-1"]
    assert guest.read().counter > before.counter
    assert lab.connection("lab-1").lookupByName("web-1").autostart() == 1


def test_an_overdue_migration_leaves_the_guest_where_it_was(lab: Lab, make_rig: MakeRig) -> None:
    """Past its time-out the migration is stopped and the guest stays on its source."""
    guest = big_guest(lab)
    rig = make_rig(MigrationSettings(mbit_s=42, timeout_s=2.0))
    rig.begin(migrate("s1", guest.uuid, "lab-1", "lab-2"))
    record = rig.finish()
    assert record.step_state("s1") is StepState.FAILED
    assert "longer than 2 s" in record.steps["s1"].detail
    assert wait_for_one_place(lab, "web-1") == ["lab-1"]


def test_an_aborted_migration_leaves_the_guest_where_it_was(lab: Lab, make_rig: MakeRig) -> None:
    """An operator's abort stops the migration; a next plan can move the guest."""
    guest = big_guest(lab)
    rig = make_rig()
    rig.begin(migrate("s1", guest.uuid, "lab-1", "lab-2"))
    rig.until(rig.under_way)
    rig.runner.abort()
    assert rig.finish().step_state("s1") is StepState.ABORTED
    assert wait_for_one_place(lab, "web-1") == ["lab-1"]
    again = make_rig(MigrationSettings(mbit_s=420), store=rig.store)
    again.begin(migrate("s1", guest.uuid, "lab-1", "lab-2"), plan_id="p2")
    assert again.finish("p2").step_state("s1") is StepState.DONE


def test_a_source_cut_off_in_mid_migration_is_unresolved(lab: Lab, make_rig: MakeRig) -> None:
    """With the source silent nobody can say where the guest runs: an alarm, and hands off."""
    guest = big_guest(lab)
    rig = make_rig()
    rig.begin(migrate("s1", guest.uuid, "lab-1", "lab-2"))
    rig.until(rig.under_way)
    lab.host("lab-1").cut_network()
    record = rig.finish(most_s=90.0)
    assert record.step_state("s1") is StepState.UNRESOLVED
    assert "lab-1 does not answer" in record.steps["s1"].detail
    assert guest.uuid in rig.store.unresolved()
    assert len(lab.where("web-1")) == 1
    lab.host("lab-1").restore_network()
    wait_for_one_place(lab, "web-1")


def test_a_target_that_loses_power_in_mid_migration_is_never_done(lab: Lab, make_rig: MakeRig) -> None:
    """The guest stays on its source; while the target is silent the step is not settled as failed."""
    guest = big_guest(lab)
    rig = make_rig()
    rig.begin(migrate("s1", guest.uuid, "lab-1", "lab-2"))
    rig.until(rig.under_way)
    lab.host("lab-2").kill()
    record = rig.finish(most_s=120.0)
    assert record.step_state("s1") is StepState.UNRESOLVED
    assert "lab-2 does not answer" in record.steps["s1"].detail
    assert wait_for_one_place(lab, "web-1") == ["lab-1"]


@pytest.mark.parametrize("struck", ["lab-1", "lab-2"])
def test_a_libvirtd_that_dies_in_mid_migration_doubles_nothing(lab: Lab, make_rig: MakeRig, struck: str) -> None:
    """With libvirtd of either end gone and back, the step ends with what is seen: the guest runs once, where it was."""
    guest = big_guest(lab)
    rig = make_rig(settle_s=30.0)
    rig.begin(migrate("s1", guest.uuid, "lab-1", "lab-2"))
    rig.until(rig.under_way)
    lab.host(struck).stop_libvirtd()
    for _ in range(10):
        rig.tick()
    assert rig.record().step_state("s1") is StepState.RUNNING
    lab.host(struck).start_libvirtd()
    lab.host(struck).wait_ready()
    record = rig.finish(most_s=90.0)
    assert record.step_state("s1") is StepState.FAILED, record
    assert wait_for_one_place(lab, "web-1") == ["lab-1"]
    assert lab.defined("web-1") == ["lab-1"]


@pytest.mark.parametrize("obstacle", ["definition", "silence", "not there"])
def test_a_step_that_cannot_begin_is_refused(lab: Lab, make_rig: MakeRig, obstacle: str) -> None:
    """A stopped namesake on the target, a silent target or a guest that is elsewhere: refused, nothing done."""
    guest = lab.guest("web-1", "lab-1")
    rig = make_rig()
    source = "lab-1"
    if obstacle == "definition":
        xml = lab.connection("lab-1").lookupByName("web-1").XMLDesc(0)
        lab.connection("lab-2").defineXML(xml)
    elif obstacle == "silence":
        lab.host("lab-2").cut_network()
    else:
        source = "lab-3"
    rig.begin(migrate("s1", guest.uuid, source, "lab-2"))
    assert rig.finish().step_state("s1") is StepState.REFUSED
    assert lab.where("web-1") == ["lab-1"]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, None),
        ({"memory_mib": 1 << 30}, "MiB of memory are free there"),
        ({"machine": "pc-i440fx-0.1"}, "machine type does not run there"),
        ({"cpu_xml": "<cpu mode='custom' match='exact'><model>Icelake-Server</model></cpu>"}, "CPU model"),
    ],
)
def test_the_target_has_the_last_word(lab: Lab, changed: dict[str, Any], why: str | None) -> None:
    """Right before the start the target itself says whether memory, machine type and CPU model fit."""
    guest = lab.guest("web-1", "lab-1")
    wants = replace(libvirt_domain.facts(lab.connection("lab-1"), guest.uuid), **changed)
    said = libvirt_domain.why_not_here(lab.connection("lab-2"), guest.uuid, wants)
    assert (said is None) if why is None else (why in (said or ""))


def test_a_hung_qemu_is_seen_as_such(lab: Lab, make_rig: MakeRig) -> None:
    """A guest on its target whose QEMU hangs runs there without answering, and does not hold up the look."""
    guest = lab.guest("web-1", "lab-2")
    rig = make_rig()
    os.kill(guest.qemu_pid(), signal.SIGSTOP)
    began_s = time.monotonic()
    sighting = rig.executor.look(migrate("s1", guest.uuid, "lab-1", "lab-2"))
    os.kill(guest.qemu_pid(), signal.SIGCONT)
    assert sighting == Sighting(Presence.ABSENT, Presence.RUNNING, answering=False)
    assert time.monotonic() - began_s < 3 * DEADLINE_S


@pytest.mark.parametrize("adopted", ["in flight", "after arrival"])
def test_a_killed_runner_is_followed_by_one_that_settles_its_step(
    lab: Lab, lab_redis: LabRedis, make_rig: MakeRig, adopted: str
) -> None:
    """SIGKILL in mid-migration: the migration runs on, the next runner adopts it, and autostart follows."""
    guest = big_guest(lab)
    second = lab.guest("web-2", "lab-3")
    store = open_store(StoreSettings(url=lab_redis.url), SystemClock())
    rig = make_rig(SLOW, store=store)
    rig.begin(
        migrate("s1", guest.uuid, "lab-1", "lab-2"),
        migrate("s2", second.uuid, "lab-3", "lab-1", after=("s1",)),
    )
    assert rig.lease is not None
    store.release_lease(rig.lease)
    uris = [f"{host.name}={host.uri}" for host in lab.hosts]
    command = [sys.executable, "-m", "tests.executors.rig", lab_redis.url, "b", str(SLOW.mbit_s), *uris]
    with subprocess.Popen(command, cwd=ROOT) as child:
        deadline = time.monotonic() + 30
        while not rig.under_way():
            assert time.monotonic() < deadline and child.poll() is None
            time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
    if adopted == "after arrival":
        deadline = time.monotonic() + 30
        while places(lab, "web-1") != ["lab-2"] or len(lab.qemus("web-1")) > 1:
            assert time.monotonic() < deadline, "the migration does not run on without its client"
            time.sleep(0.1)
    lease = store.acquire_lease("b", 60.0)
    assert lease is not None
    store.release_lease(lease)
    heir = make_rig(SLOW, store=store, holder="c")
    assert heir.lease is not None and heir.lease.token > rig.lease.token
    record = heir.finish()
    assert (record.state, record.why) == (PlanState.ENDED, "2 of 2 steps done")
    assert (lab.where("web-1"), lab.where("web-2")) == (["lab-2"], ["lab-1"])
    assert lab.connection("lab-2").lookupByName("web-1").autostart() == 1
    starts = [entry.step for entry in store.journal(50) if entry.state == StepState.RUNNING]
    assert starts == ["s1", "s2"]
    store.close()
