"""The daemon killed with SIGKILL at three points of a plan on real hosts, and started again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cluster.plan import PlanState
from tests.lab.cluster_under_test import ClusterUnderTest, starts_of_steps
from tests.lab.conftest import MakeCluster
from tests.lab.lab import Lab
from tests.lab.spreading import boot, discontinuous, memories, not_alone

pytestmark = pytest.mark.lab

ONE_AT_A_TIME = {"mbit_s": 126.0, "out_per_host": 1, "in_per_host": 1, "per_cluster": 1}


def after_the_plan_is_opened(cluster: ClusterUnderTest) -> None:
    """A host that hangs keeps the first step looking, so that the plan is open and nothing of it begun."""
    cluster.lab.host("lab-3").pause()
    try:
        cluster.start_daemon()
        record = cluster.wait(cluster.store.active_plan, 30, "a plan under way")
        cluster.kill_daemon()
        assert record.state is PlanState.ACTIVE
        assert starts_of_steps(cluster.journal()) == {}
    finally:
        cluster.lab.host("lab-3").resume()


def in_mid_migration(cluster: ClusterUnderTest) -> None:
    """The migration is left to the two libvirts, which finish it."""
    cluster.start_daemon()
    step = cluster.wait_for_migration()
    cluster.kill_daemon()
    assert sorted(cluster.lab.qemus(step.guest_name)) == sorted([step.source, step.target])


def between_two_steps(cluster: ClusterUnderTest) -> None:
    """A pause keeps the second step from beginning when the first is done."""
    cluster.start_daemon()
    cluster.wait_for_migration()
    assert cluster.trimtab("pause").returncode == 0
    cluster.wait(lambda: cluster.journal()[-1].state == "done", 30, "the end of the first step")
    cluster.wait_for_line("paused by", 10)
    cluster.kill_daemon()
    assert list(starts_of_steps(cluster.journal()).values()) == [1]
    assert cluster.trimtab("resume").returncode == 0


@pytest.mark.parametrize("strike", [after_the_plan_is_opened, in_mid_migration, between_two_steps])
def test_a_daemon_killed_at_any_point_is_followed_by_one_that_finishes(
    lab: Lab, make_cluster: MakeCluster, strike: Callable[[ClusterUnderTest], None]
) -> None:
    """No guest doubled, no step begun twice, the plan finished or made anew, every guest's memory whole."""
    for number in range(1, 4):
        lab.guest(f"web-{number}", "lab-1", memory_mib=320, filled_mib=40, start=False)
    boot(lab)
    cluster = make_cluster(changes={"migration": ONE_AT_A_TIME, "collect": {"stale_s": 20.0}})
    cluster.start_agents()
    before = memories(lab)
    strike(cluster)

    begun_before = starts_of_steps(cluster.journal())
    opened = [record.plan.id for record in cluster.plans()]
    cluster.start_daemon()
    cluster.wait_for_rest(60)
    assert cluster.counts() == {"lab-1": 1, "lab-2": 1, "lab-3": 1}
    starts = starts_of_steps(cluster.journal())
    assert set(starts.values()) == {1}, "a step was begun twice"
    assert begun_before.items() <= starts.items()
    assert {entry.state for entry in cluster.journal() if entry.step} == {"running", "done"}
    assert {record.state for record in cluster.plans()} == {PlanState.ENDED}
    assert [record.plan.id for record in cluster.plans()][: len(opened)] == opened
    assert len(cluster.moves()) == len({guest for guest, _, _ in cluster.moves()}) == 2
    assert not_alone(lab) == []
    assert discontinuous(lab, before) == []
