"""Power steps of real hosts, through the real runner and journal: what is done, refused, failed, and taken over."""

from __future__ import annotations

import threading
import time

import pytest

from cluster.errors import InputError
from cluster.host import PowerState
from cluster.plan import StepState
from cluster.power_sight import ASKED, BY_HAND, FACTS
from executors.power.worker import Look
from tests.executors.power.site import Site, asleep, effective, never, sleep, wake


def test_a_host_sleeps_and_wakes_again() -> None:
    """Down after a last look, and done when it is down and silent; up again, and done when it reports."""
    site = asleep(Site())
    assert (site.room.cleared, site.machines["h1"].asked) == (["h1"], ["sleep"])
    assert [host for host, machine in site.machines.items() if machine.is_up] == ["h2", "h3"]
    assert site.store.flags()[ASKED + "h1"] == "asleep"
    assert site.run(wake()).state is StepState.DONE
    assert site.machines["h1"].asked == ["sleep", "wake"]
    assert [host for host, machine in site.machines.items() if machine.is_up] == ["h1", "h2", "h3"]
    assert ASKED + "h1" not in site.store.flags()


def test_it_is_written_down_before_the_host_is_told() -> None:
    """A crash at any moment leaves a host that may be going down marked as ours, with what it was like."""
    site = Site()
    seen: list[bool] = []
    machine = site.machines["h1"]
    told = machine.sleep

    def watched() -> None:
        flags = site.store.flags()
        words = [entry.state for entry in site.store.journal(50) if entry.step == "s1"]
        seen.append(ASKED + "h1" in flags and FACTS + "h1" in flags and "asked" in words)
        told()

    machine.sleep = watched  # type: ignore[method-assign]  # the moment that counts
    assert site.run(sleep()).state is StepState.DONE
    assert seen == [True]


@pytest.mark.parametrize("fault", ["holds", "unseen"])
def test_a_host_not_seen_to_be_empty_is_left_alone(fault: str) -> None:
    """A guest there, or nobody who could look: refused, nothing told, nothing marked, starts allowed."""
    site = Site()
    if fault == "holds":
        site.room.holds["h1"] = "web-1"
    else:
        site.room.unseen.add("h1")
    record = site.run(sleep())
    assert record.state is StepState.REFUSED
    assert ("web-1 is active there" in record.detail) == (fault == "holds")
    assert site.machines["h1"].asked == []
    assert ASKED + "h1" not in site.store.flags()
    assert not site.room.shut


def test_own_and_unreachable_hosts_are_refused() -> None:
    """The scheduler does not switch itself off, and a host without a bmc is beyond it."""
    site = Site(own=["h1"])
    assert "this scheduler's own" in site.run(sleep()).detail
    record = site.run(sleep("h9"), plan_id="p2")
    assert (record.state, "has no bmc" in record.detail) == (StepState.REFUSED, True)


def test_only_hosts_that_we_put_to_sleep_are_woken() -> None:
    """A host that is down for another reason stays down, unless a person asks for this very host."""
    site = Site()
    site.machines["h1"].put(False)
    record = site.run(wake())
    assert (record.state, site.machines["h1"].asked) == (StepState.REFUSED, [])
    assert "was not put to sleep by Trimtab" in record.detail
    site.store.set_flag(BY_HAND + "h1", "a person")
    assert site.run(wake(), plan_id="p2").state is StepState.DONE
    assert BY_HAND + "h1" not in site.store.flags()


@pytest.mark.parametrize("mark", ["drain", "cordon", "fail"])
def test_a_sleeping_host_that_a_person_took_out_is_left_asleep(mark: str) -> None:
    """It may be in pieces by now. Only that person wakes it."""
    site = asleep(Site())
    site.store.set_flag(f"{mark}:h1", "a person")
    record = site.run(wake())
    assert (record.state, site.machines["h1"].asked) == (StepState.REFUSED, ["sleep"])
    assert "left asleep: trimtab wake h1" in record.detail
    site.store.set_flag(BY_HAND + "h1", "a person")
    assert site.run(wake(), plan_id="p2").state is StepState.DONE


def test_the_host_is_looked_at_again_before_each_try() -> None:
    """A guest that came while nobody answered is seen before the host is told once more."""
    site = Site()
    machine = site.machines["h1"]
    machine.silent = True
    told = machine.sleep

    def guest_comes() -> None:
        site.room.holds["h1"] = "web-1"
        told()

    machine.sleep = guest_comes  # type: ignore[method-assign]  # while it is silent
    record = site.run(sleep())
    assert record.state is StepState.FAILED
    assert "web-1 is active there" in record.detail
    assert (site.room.cleared, machine.asked) == (["h1", "h1"], [])
    assert not site.room.shut


def test_a_secret_that_cannot_be_read_is_a_refusal() -> None:
    """Nobody was told anything: the host is as it was."""
    site = Site()

    def unreadable() -> None:
        raise InputError("bmc.password_file is open to others than its owner")

    site.machines["h1"].sleep = unreadable  # type: ignore[method-assign]
    record = site.run(sleep())
    assert (record.state, "open to others" in record.detail) == (StepState.REFUSED, True)
    assert ASKED + "h1" not in site.store.flags()
    assert not site.room.shut


@pytest.mark.parametrize("what", ["sleep", "wake"])
def test_a_bmc_that_refuses_fails_the_step_at_once(what: str) -> None:
    """Its refusal is the outcome, and nothing else is tried."""
    site = Site() if what == "sleep" else asleep(Site())
    site.machines["h1"].refuses = True
    record = site.run(sleep() if what == "sleep" else wake())
    assert (record.state, record.detail) == (StepState.FAILED, "host h1: its BMC refuses it")
    assert site.clock.elapsed_s < 100
    assert not site.room.shut


def test_a_bmc_that_takes_it_on_and_does_nothing_fails_in_time() -> None:
    """After the time-out the step says what was seen."""
    site = Site(deaf=True)
    record = site.run(sleep())
    assert record.state is StepState.FAILED
    assert record.detail == "not in the state asked for after 140 s: its power says on"


def test_a_bmc_that_lies_about_off_is_not_believed() -> None:
    """A host that still reports is not asleep, whatever its BMC says."""
    site = Site(deaf=True, says=PowerState.OFF)
    record = site.run(sleep())
    assert record.state is StepState.FAILED
    assert record.detail.endswith("its power says off, but the host reports")


def test_a_bmc_that_lies_about_on_is_not_believed() -> None:
    """A host that does not report has not come up."""
    site = asleep(Site())
    machine = site.machines["h1"]
    machine.deaf, machine.says = True, PowerState.ON
    record = site.run(wake())
    assert record.state is StepState.FAILED
    assert record.detail == "not in the state asked for after 240 s: its power says on, but the host does not report"
    assert site.store.flags()[ASKED + "h1"] == "asleep"


def test_a_bmc_that_falls_silent_fails_in_time() -> None:
    """Nobody answers: told again as often as allowed, watched until the time is up, never stuck."""
    site = asleep(Site())
    site.machines["h1"].silent = True
    record = site.run(wake())
    assert (record.state, site.machines["h1"].asked) == (StepState.FAILED, ["sleep"])
    assert record.detail.endswith("its BMC does not answer")


def test_a_bmc_that_answers_late_is_told_after_all() -> None:
    """A try that met nobody is made again."""
    site = Site()
    machine = site.machines["h1"]
    machine.silent = True
    told = machine.sleep

    def late() -> None:
        try:
            told()
        finally:
            machine.silent = False

    machine.sleep = late  # type: ignore[method-assign]  # silent once
    assert site.run(sleep()).state is StepState.DONE
    assert machine.asked == ["sleep"]


def test_a_hung_driver_holds_nothing_up() -> None:
    """A driver that never returns costs a thread: every pass returns at once and the step fails in time."""
    site = Site(never)
    record = site.run(sleep())
    assert record.state is StepState.FAILED
    assert "to put to sleep it takes 14" in record.detail
    # The host's mark stays: it may be going down.
    assert ASKED + "h1" in site.store.flags()
    assert effective(site) is not PowerState.ON
    second = site.run(sleep(), plan_id="p2")
    assert (second.state, "hangs" in second.detail) == (StepState.REFUSED, True)
    # It reports all the while, so it is on after as long as going down may take, hung driver or not.
    site.look(6)
    assert ASKED + "h1" not in site.store.flags()


def test_what_was_seen_before_the_step_counts_for_nothing() -> None:
    """A BMC that hangs after the order says nothing of it, however plainly it said "off" some other day."""
    site = Site(lambda function, name: None if name.startswith("look") else function())
    site.executor.workers["h1"].last = Look(PowerState.OFF, site.clock.monotonic_s() - 1.0)
    record = site.run(sleep())
    assert (site.machines["h1"].asked, record.state) == (["sleep"], StepState.FAILED)


def test_a_driver_on_a_real_thread_blocks_no_pass() -> None:
    """On real threads a pass returns while the driver is still at it."""
    site = Site(lambda function, name: threading.Thread(target=function, name=name, daemon=True).start())
    gate = threading.Event()
    machine = site.machines["h1"]
    machine.sleep = lambda: bool(gate.wait(5.0)) and None  # type: ignore[method-assign,assignment]
    site.begin(sleep())
    began_s = time.monotonic()
    for _ in range(20):
        site.tick()
    assert time.monotonic() - began_s < 2.0
    assert site.record().step_state("s1") is StepState.RUNNING
    gate.set()


def test_one_host_is_never_changed_twice_at_once() -> None:
    """The store's permit keeps a second change of the same host from beginning, whoever asks."""
    site = Site()
    site.begin(sleep())
    site.tick()
    assert site.store.permits_taken() == {"power:h1": 1}
    site.end("s1")
    assert site.store.permits_taken() == {}


# -- taken over --------------------------------------------------------------------------------------------------------


def test_a_sleep_that_was_told_is_watched_by_the_next_leader() -> None:
    """It is not told again, and ends as it is seen."""
    site = Site()
    site.begin(sleep())
    site.tick()
    assert site.machines["h1"].asked == ["sleep"]
    site.take_over()
    assert site.end("s1").state is StepState.DONE
    assert site.machines["h1"].asked == ["sleep"]


def test_a_sleep_that_was_not_told_is_not_gone_on_with() -> None:
    """The next leader plans anew rather than guess what the last one saw."""
    site = Site(never)
    site.begin(sleep())
    site.tick()
    site.take_over()
    record = site.end("s1")
    assert record.state is StepState.REFUSED
    assert "was not told to sleep yet" in record.detail
    assert ASKED + "h1" not in site.store.flags()


def test_a_wake_is_told_again_by_the_next_leader() -> None:
    """Waking twice harms nobody, and nobody waits for a host that was never told."""
    site = asleep(Site())
    site.spawn = never
    site.restart()
    site.begin(wake())
    site.tick()
    assert site.machines["h1"].asked == ["sleep"]
    site.spawn = lambda function, _name: function()
    site.take_over()
    assert site.end("s1").state is StepState.DONE
    assert site.machines["h1"].asked == ["sleep", "wake"]


def test_a_deposed_leader_tells_nobody() -> None:
    """Between the last look and the telling the store is asked: who lost the lease there leaves the host as it is."""
    site = Site()
    clear = site.room.clear

    def slow(host: str, step: str) -> str:
        assert site.lease is not None
        site.store.release_lease(site.lease)
        assert site.store.acquire_lease("b", 60.0) is not None
        return clear(host, step)

    site.room.clear = slow  # type: ignore[method-assign]  # another leads while it looks
    site.begin(sleep())
    site.runner.tick()
    assert site.machines["h1"].asked == []
    assert not site.room.shut


# -- hosts without a BMC ----------------------------------------------------------------------------------------------


def test_a_host_without_a_bmc_sleeps_when_it_is_silent() -> None:
    """Nothing tells more of it; up again it is when it reports."""
    site = asleep(Site(sees_power=False))
    assert site.run(wake()).state is StepState.DONE
