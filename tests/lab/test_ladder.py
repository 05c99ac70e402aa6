"""Real guests that dirty memory faster than their cap carries it: each goes up the ladder as its policy says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from cluster.config.settings import MigrationSettings
from cluster.migration.backoff import flag_of
from cluster.plan import JournalEntry, StepState
from tests.executors.rig import Rig
from tests.executors.world import migrate
from tests.lab import Lab
from tests.lab.cluster_under_test import Doubles
from tests.lab.guests import LabGuest

pytestmark = pytest.mark.lab

CAP = MigrationSettings(mbit_s=336)  # 40 MiB/s
MakeRig = Callable[[MigrationSettings], Rig]


@pytest.fixture
def make_rig(lab: Lab) -> Iterator[MakeRig]:
    """Makes a runner over the lab's hosts and watches all through the test that no guest runs twice."""
    made: list[Rig] = []
    with Doubles(lab) as doubles:

        def make(settings: MigrationSettings = CAP) -> Rig:
            made.append(Rig({host.name: host.uri for host in lab.hosts}, settings))
            return made[-1]

        yield make
    for rig in made:
        rig.close()
    assert not doubles.found
    assert doubles.looks > 0


def restless(lab: Lab, hot_mib: int, dirty_mib_s: float = 80, **policy: str) -> LabGuest:
    """A guest that rewrites its hot area faster than the cap could carry it."""
    memory_mib = hot_mib + 64
    return lab.guest(
        "web-1", "lab-1", memory_mib=memory_mib, dirty_mib=hot_mib, dirty_mib_s=dirty_mib_s, migration=policy
    )


def rungs(rig: Rig) -> list[str]:
    """The words of the step's lines in the journal, in order."""
    return [entry.state for entry in lines(rig)]


def lines(rig: Rig) -> list[JournalEntry]:
    """The step's lines in the journal, in order."""
    return [entry for entry in rig.store.journal(100) if entry.step == "s1"]


def test_one_armed_for_it_ends_in_post_copy(lab: Lab, make_rig: MakeRig) -> None:
    """More downtime does not help; then it goes on at its target, memory whole, and is not aborted any more."""
    guest = restless(lab, 64, allow_postcopy="yes", max_downtime_ms="200")
    before = guest.read()
    rig = make_rig(CAP)
    rig.begin(migrate("s1", guest.uuid, "lab-1", "lab-2"))
    rig.until(lambda: "postcopy" in rungs(rig))
    rig.runner.abort()
    record = rig.finish()
    assert rungs(rig) == ["running", "downtime", "postcopy", "done"], lines(rig)
    assert record.step_state("s1") is StepState.DONE
    assert lab.where("web-1") == ["lab-2"]
    after = guest.read()
    assert after.signature == before.signature and after.counter > before.counter


def test_one_that_is_not_armed_moves_at_the_second_try(lab: Lab, make_rig: MakeRig) -> None:
    """The first try is stopped, the second packs what the guest rewrites, and moves it."""
    guest = restless(lab, 48, auto_converge="no", max_downtime_ms="200")
    rig = make_rig(CAP)
    rig.begin(migrate("s1", guest.uuid, "lab-1", "lab-2"))
    record = rig.finish()
    assert rungs(rig) == ["running", "downtime", "retry", "done"], lines(rig)
    assert "xbzrle" in next(entry.detail for entry in lines(rig) if entry.state == "retry")
    assert record.step_state("s1") is StepState.DONE
    assert lab.where("web-1") == ["lab-2"]
    assert flag_of(guest.uuid) not in rig.store.flags()


def test_one_that_nothing_helps_stays_and_rests(lab: Lab, make_rig: MakeRig) -> None:
    """Its hot area is larger than what the second try can pack: stopped cleanly, and left out of plans for a while."""
    guest = restless(lab, 128, 200, auto_converge="no", max_downtime_ms="100")
    before = guest.read()
    rig = make_rig(MigrationSettings(mbit_s=672))  # 80 MiB/s
    rig.begin(migrate("s1", guest.uuid, "lab-1", "lab-2"))
    record = rig.finish()
    assert rungs(rig) == ["running", "downtime", "retry", "downtime", "give_up", "failed"], lines(rig)
    assert "does not converge" in record.steps["s1"].detail
    assert lab.where("web-1") == ["lab-1"]
    assert list(lab.qemus("web-1")) == ["lab-1"]
    assert guest.read().counter > before.counter
    assert rig.store.flags()[flag_of(guest.uuid)].startswith("1 ")
