"""How a step ended, for every pair of what can be seen on source and target."""

from __future__ import annotations

from itertools import product

import pytest

from cluster.plan import StepState
from executors.outcome import settle, why_not_startable
from executors.protocol import Presence, Progress, Sighting
from tests.executors.world import migrate

PAIRS = list(product(Presence, Presence))
STEP = migrate("s1", "web-1", "kvm-1", "kvm-2")
OVER = Progress(running=False)

# Rows: seen on the source; columns: on the target, in the order of COLUMNS. Done, Failed, Running, Unresolved.
COLUMNS = (
    Presence.RUNNING,
    Presence.LEAVING,
    Presence.ARRIVING,
    Presence.STOPPED,
    Presence.ABSENT,
    Presence.UNKNOWN,
)
TABLE = {
    Presence.RUNNING: "UURFFU",
    Presence.LEAVING: "RURRRR",
    Presence.ARRIVING: "RRRRRR",
    Presence.STOPPED: "DRRFFU",
    Presence.ABSENT: "DRRFUU",
    Presence.UNKNOWN: "URRUUU",
}
LETTERS = {
    "D": StepState.DONE,
    "F": StepState.FAILED,
    "R": StepState.RUNNING,
    "U": StepState.UNRESOLVED,
}
CASES = [(source, target, LETTERS[TABLE[source][i]]) for source in TABLE for i, target in enumerate(COLUMNS)]


@pytest.mark.parametrize(("source", "target", "state"), CASES)
def test_every_pair_of_sightings_has_its_outcome(source: Presence, target: Presence, state: StepState) -> None:
    """Each of the 36 pairs is judged as the table says, with a sentence."""
    verdict = settle(STEP, Sighting(source, target), OVER)
    assert verdict.state is state
    assert verdict.text


def test_the_table_is_complete() -> None:
    """No presence is left out of the table."""
    assert set(TABLE) == set(COLUMNS) == set(Presence)


@pytest.mark.parametrize(("source", "target"), PAIRS)
@pytest.mark.parametrize("elsewhere", [(), ("kvm-3",)])
@pytest.mark.parametrize("answering", [True, False])
def test_nothing_is_sure_while_an_end_is_silent(
    source: Presence, target: Presence, elsewhere: tuple[str, ...], answering: bool
) -> None:
    """A step is neither done nor failed while its source or target does not answer."""
    state = settle(STEP, Sighting(source, target, elsewhere, answering), OVER).state
    if Presence.UNKNOWN in (source, target):
        assert state not in (StepState.DONE, StepState.FAILED)


@pytest.mark.parametrize(("source", "target"), PAIRS)
@pytest.mark.parametrize("elsewhere", [(), ("kvm-3",), ("kvm-3", "kvm-4")])
@pytest.mark.parametrize("answering", [True, False])
def test_done_means_on_the_target_answering_and_nowhere_else(
    source: Presence, target: Presence, elsewhere: tuple[str, ...], answering: bool
) -> None:
    """`done` and a guest that answers on its target alone are the same thing."""
    state = settle(STEP, Sighting(source, target, elsewhere, answering), OVER).state
    alone = target is Presence.RUNNING and source in (Presence.STOPPED, Presence.ABSENT) and not elsewhere
    assert (state is StepState.DONE) == (alone and answering)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_guest_seen_elsewhere_as_well_is_unresolved(source: Presence, target: Presence) -> None:
    """A copy on a third host beside an active one at either end is an alarm, never an end."""
    state = settle(STEP, Sighting(source, target, ("kvm-3",)), OVER).state
    if {source, target} & {Presence.RUNNING, Presence.LEAVING}:
        assert state is StepState.UNRESOLVED


def test_a_guest_moved_by_another_hand_has_failed_and_says_where_it_is() -> None:
    """A guest that runs once, on a third host, is neither lost nor doubled: the step failed."""
    verdict = settle(STEP, Sighting(Presence.ABSENT, Presence.ABSENT, ("kvm-3",)), OVER)
    assert verdict.state is StepState.FAILED
    assert "kvm-3" in verdict.text


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_job_that_runs_is_never_settled(source: Presence, target: Presence) -> None:
    """While the executor's job runs, no look ends the step."""
    assert settle(STEP, Sighting(source, target), Progress(running=True)).state is StepState.RUNNING


def test_a_hung_qemu_on_the_target_is_unresolved() -> None:
    """A guest that runs on its target but does not answer is not done."""
    verdict = settle(STEP, Sighting(Presence.ABSENT, Presence.RUNNING, answering=False), OVER)
    assert verdict.state is StepState.UNRESOLVED


def test_the_executors_error_is_passed_on() -> None:
    """What the world said of the failure is in the sentence."""
    verdict = settle(STEP, Sighting(Presence.RUNNING, Presence.ABSENT), Progress(running=False, error="link broke"))
    assert verdict.text == "the guest stayed on kvm-1: link broke"


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_migration_starts_only_from_one_sighting(source: Presence, target: Presence) -> None:
    """Only a guest that runs on its source and is absent on its target may be migrated."""
    startable = (source, target) == (Presence.RUNNING, Presence.ABSENT)
    assert (why_not_startable(STEP, Sighting(source, target)) is None) == startable
    assert why_not_startable(STEP, Sighting(source, target, ("kvm-3",))) is not None
