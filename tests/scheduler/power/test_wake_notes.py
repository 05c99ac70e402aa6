"""What power steps prove: hosts that wake, that do not, that never slept, and wakes that another leader ordered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cluster import power_log, wake_proof
from cluster.config.settings import Settings
from cluster.host import Host, PowerModel, PowerState
from cluster.plan import Sleep, Step, StepState, Wake
from cluster.report import HostUsage, Observation, Report
from cluster.store.memory import MemoryStore
from cluster.wake_proof import WakeProof
from executors.events import Event, EventKind
from scheduler.power.wake_notes import WakeNotes
from simulator.clock import SimClock

START = datetime(2026, 11, 24, 2, tzinfo=UTC)
SLEEP, WAKE = Sleep("s1", "a", "night"), Wake("s2", "a", "morning")


class Desk:
    """The notes of a leader whose hosts report every 10 s; silent is who has not been heard for 21 s."""

    def __init__(self) -> None:
        self.clock = SimClock(START)
        self.store = MemoryStore(self.clock)
        self.said: list[str] = []
        self.notes = WakeNotes(self.store, self.clock, Settings, self.said.append)
        self._reports = 0

    def report(self, state: PowerState = PowerState.ON) -> None:
        """Let host a report now."""
        self._reports += 1
        host = Host("a", 8000, 65536, power=PowerModel(state=state))
        seen = Observation(self.clock.now(), host, HostUsage(), ())
        assert self.store.put_report(Report("boot", START, self._reports, seen), 7200)

    def event(self, kind: EventKind, step: Step, state: str, text: str = "") -> None:
        """Tell the notes what the runner did."""
        self.notes.note(Event(kind, self.clock.now(), "p", text, state, step))

    def sleep(self) -> None:
        """Host a is put to sleep, as far as its BMC says."""
        log = power_log.with_transition(None, self.clock.now(), PowerState.ASLEEP)
        self.store.set_flag("power:a", "asleep")
        self.store.set_flag(power_log.flag_of("a"), log)
        self.event(EventKind.ENDED, SLEEP, StepState.DONE)

    def wake(self, kind: EventKind = EventKind.STARTED) -> None:
        """The order to wake, and 30 s later its power is on."""
        self.event(kind, WAKE, StepState.RUNNING)
        self.wait(30)
        self.event(EventKind.ENDED, WAKE, StepState.DONE)
        self.store.set_flag("power:a", None)

    def wait(self, seconds: float, *, reporting: bool = False) -> None:
        """Let time pass, with a look every 10 s."""
        for _ in range(int(seconds / 10)):
            self.clock.sleep(10)
            if reporting:
                self.report()
            self.notes.look()

    @property
    def proof(self) -> WakeProof:
        """What is known of host a."""
        return wake_proof.read(self.store.flags(), "a")


@pytest.fixture
def desk() -> Desk:
    """A desk whose host has just reported."""
    desk = Desk()
    desk.report()
    return desk


def test_a_wake_is_proven_by_the_hosts_own_report(desk: Desk) -> None:
    """Not by its power being on; the time counts from the order to the report."""
    desk.sleep()
    desk.wait(600)
    desk.wake()
    desk.wait(20)
    assert desk.proof == WakeProof()
    desk.wait(10, reporting=True)
    assert (desk.proof.took_s, desk.proof.is_blocked) == (60.0, False)
    assert not [flag for flag in desk.store.flags() if flag.startswith("waking:")]


def test_a_bmcs_word_is_no_report(desk: Desk) -> None:
    """A report that says asleep, as of a host seen by its BMC alone, neither proves nor casts doubt."""
    desk.sleep()
    for _ in range(6):
        desk.clock.sleep(10)
        desk.report(PowerState.ASLEEP)
        desk.notes.look()
    assert desk.said == []
    desk.wake()
    assert desk.proof == WakeProof()


def test_a_host_whose_power_is_on_and_that_never_reports_is_blocked(desk: Desk) -> None:
    """After the time-out, once."""
    desk.sleep()
    desk.wait(600)
    desk.wake()
    desk.wait(2000)
    assert desk.proof.is_blocked and "has not reported for 900 s" in desk.proof.reason
    assert [line.split(":")[0] for line in desk.said] == ["ALARM host a"]
    assert wake_proof.failed_wakes(desk.store.flags(), desk.clock.now()) == 1


def test_a_host_that_reports_on_was_never_asleep(desk: Desk) -> None:
    """Its BMC lies: blocked, said once; no wake failed by that, so the reserve stays."""
    desk.sleep()
    desk.wait(600, reporting=True)
    assert desk.proof.is_blocked and "still reports" in desk.proof.reason
    assert len(desk.said) == 1
    assert wake_proof.failed_wakes(desk.store.flags(), desk.clock.now()) == 0
    desk.wake()
    desk.wait(10, reporting=True)
    assert desk.proof.is_blocked, "waking a host that never slept proves nothing"


def test_a_host_that_somebody_switched_on_later_is_no_liar(desk: Desk) -> None:
    """It was silent before it reported again."""
    desk.sleep()
    desk.wait(600)
    desk.wait(600, reporting=True)
    assert (desk.proof, desk.said) == (WakeProof(), [])


def test_a_host_woken_at_once_proves_nothing(desk: Desk) -> None:
    """Whether it had slept cannot be told from so short a silence."""
    desk.sleep()
    desk.clock.sleep(5)
    desk.wake()
    desk.wait(10, reporting=True)
    assert (desk.proof, desk.said) == (WakeProof(), [])


@pytest.mark.parametrize(("step", "wakes"), [(SLEEP, 0), (WAKE, 1)])
def test_a_power_step_that_fails_blocks(desk: Desk, step: Sleep | Wake, wakes: int) -> None:
    """With what was said; only a wake that failed casts doubt on other hosts."""
    desk.event(EventKind.STARTED, step, StepState.RUNNING)
    desk.event(EventKind.ENDED, step, StepState.FAILED, "not in the state asked for after 600 s")
    assert desk.proof.is_blocked and "not in the state asked for after 600 s" in desk.proof.reason
    assert wake_proof.failed_wakes(desk.store.flags(), desk.clock.now()) == wakes
    assert not [flag for flag in desk.store.flags() if flag.startswith("waking:")]


@pytest.mark.parametrize("state", [StepState.REFUSED, StepState.ABORTED])
def test_a_wake_that_was_not_begun_proves_nothing(desk: Desk, state: StepState) -> None:
    """Neither good nor bad."""
    desk.event(EventKind.ENDED, WAKE, state, "paused")
    assert (desk.proof, desk.said) == (WakeProof(), [])


def test_another_leader_keeps_what_was_measured_before(desk: Desk) -> None:
    """It finds the wake in the journal, does not know when it was ordered, and proves all the same."""
    known = replace(WakeProof().passed(START, 77.0), failed_at=START, reason="it did not wake")
    desk.store.set_flag(wake_proof.flag_of("a"), wake_proof.write(known))
    desk.sleep()
    desk.wait(600)
    desk.wake(EventKind.ADOPTED)
    desk.wait(10, reporting=True)
    assert (desk.proof.is_blocked, desk.proof.took_s) == (False, 77.0)
