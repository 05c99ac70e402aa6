"""The runner under limits: steps wait for permits and bandwidth, say why, and go on when there is room."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.config.settings import BudgetScope, BudgetSettings, MigrationSettings
from cluster.migration.links import MIB_S_PER_MBIT_S, Links
from cluster.plan import EVACUATE, Migrate, Plan, PlanState, StepState
from cluster.rates import HOUR_S, Permit
from executors.events import EventKind
from executors.runner import PlanRunner
from executors.terms import Terms
from tests.executors.world import CONFIRM_S, SETTLE_S, End, Stage, migrate, plan, stage

WIDE = MigrationSettings(out_per_host=4, in_per_host=4, per_cluster=8)
BUDGET = BudgetSettings(BudgetScope.HOST_OUT, 40 / MIB_S_PER_MBIT_S + 1e-6, "h1")
LINKS = Links({"h1": 1e6, "h2": 1e6, "h3": 1e6}, (), (BUDGET,))


def limited(on: Stage, *permits: Permit, links: Links = LINKS, spare_millicores: dict[str, int] | None = None) -> Stage:
    """The stage with a runner whose every migration needs these permits, and whose guests may not stand at all."""

    def terms(_plan: Plan, _step: Migrate) -> Terms:
        return Terms(permits, 0.0)

    on.runner = PlanRunner(
        on.store,
        on.world,
        None,
        on.clock,
        on.world.settings,
        lambda made, step: f"plan {made.id} expired" if on.clock.now() >= made.expires_at else on.refusals.get(step.id),
        lambda: on.why_held,
        lambda: on.lease,
        settle_s=SETTLE_S,
        confirm_s=CONFIRM_S,
        terms=terms,
        links=lambda: links,
        spare_millicores=lambda: spare_millicores or {},
    )
    return on


def three(**ends: End) -> Stage:
    """Three guests on h1 that may all leave at once."""
    return stage({"g1": "h1", "g2": "h1", "g3": "h1"}, settings=WIDE, ends=ends)


MOVES = (migrate("s1", "g1", "h1", "h2"), migrate("s2", "g2", "h1", "h3"), migrate("s3", "g3", "h1", "h2"))


def limits(on: Stage) -> dict[str, int]:
    """What each running job is limited to."""
    return {guest: job.limit_mib_s for guest, job in sorted(on.world.jobs.items())}


def test_guests_that_leave_together_share_the_link() -> None:
    """All three start in one pass, each with a third; when two have gone the last has it all."""
    on = limited(three())
    on.world.ends = {"s3": End.HANGS}
    on.runner.begin(plan(*MOVES))
    on.tick()
    assert limits(on) == {"g1": 13, "g2": 13, "g3": 13}
    for _ in range(7):
        on.tick()
    assert limits(on) == {"g3": 40}


def test_another_leader_divides_what_it_adopts() -> None:
    """What runs keeps its share when the leader is gone, and the next one raises it when one ends."""
    on = limited(three())
    on.world.ends = {"s3": End.HANGS}
    on.runner.begin(plan(*MOVES))
    on.tick()
    limited(on)
    for _ in range(8):
        on.tick()
    assert limits(on) == {"g3": 40}


def test_a_step_without_a_permit_waits_and_says_why() -> None:
    """Two of three get one; the third waits, is told of once, and starts when an hour has passed."""
    on = limited(three(), Permit("host_out:h1", 2, HOUR_S, "moves out of h1 in an hour"))
    made = replace(plan(*MOVES), expires_at=on.clock.now().replace(year=2027))
    on.runner.begin(made)
    for _ in range(20):
        on.tick()
    assert on.world.started == ["s1", "s2"]
    assert on.record().state is PlanState.ACTIVE
    assert on.runner.waits == {"s3": "rate limit: no more than 2 moves out of h1 in an hour"}
    assert [event.text for event in on.events if event.kind is EventKind.HELD] == [on.runner.waits["s3"]]
    for _ in range(360):
        on.tick(10.0)
    on.run()
    assert on.states()["s3"] is StepState.DONE
    assert on.runner.waits == {}


def test_a_plan_that_expires_ends_what_waits() -> None:
    """The waiting step is refused as any other of an expired plan, and the plan ends."""
    on = limited(three(), Permit("cluster", 1, HOUR_S))
    on.runner.begin(replace(plan(*MOVES), expires_at=on.clock.now().replace(minute=2)))
    for _ in range(130):
        on.tick()
    states = on.states()
    assert (states["s1"], states["s2"]) == (StepState.DONE, StepState.REFUSED)
    assert on.record().state is PlanState.ENDED


def test_a_group_in_flight_moves_one_after_the_other() -> None:
    """The permit comes free with the end of the step that holds it."""
    on = limited(three(), Permit("group:db", 1))
    on.runner.begin(plan(*MOVES))
    on.run()
    assert on.world.most_running == 1
    assert set(on.states().values()) == {StepState.DONE}


def test_a_refused_step_gives_its_permits_back() -> None:
    """Its executor begins nothing: the hour's only permit is there for the next plan."""
    on = limited(stage({"g1": "h1"}, ends={"s1": End.REFUSED}), Permit("cluster", 1, HOUR_S))
    on.runner.begin(plan(migrate("s1", "g1", "h1", "h2")))
    on.run()
    assert on.states() == {"s1": StepState.REFUSED}
    assert on.inner.permits_taken() == {}


def test_two_schedulers_keep_to_one_count() -> None:
    """A permit taken behind this one's back, between its look and its start: the step waits, nothing is begun."""
    on = limited(stage({"g1": "h1"}), Permit("cluster", 1, HOUR_S))
    on.runner.begin(plan(migrate("s1", "g1", "h1", "h2")))
    looked: list[str] = []

    def take_meanwhile(call: str) -> None:
        if call == "look" and not looked:
            looked.append(call)
            on.inner._permits.take(("other", "s1"), (Permit("cluster", 1, HOUR_S),), on.clock.monotonic_s())

    on.world.hook = take_meanwhile
    on.tick()
    assert looked and on.world.started == []
    assert on.states() == {"s1": StepState.WAITING}
    assert "cluster" in on.runner.waits["s1"]


def test_a_rate_limit_is_told_once_however_many_wait_for_it() -> None:
    """Two steps lack the same permit, and lack it again after one has come free: the log has one line."""
    on = limited(three(), Permit("host_out:h1", 1, HOUR_S, "moves out of h1 in an hour"))
    made = replace(plan(*MOVES), expires_at=on.clock.now().replace(year=2027))
    on.runner.begin(made)
    for _ in range(400):
        on.tick(10.0)
    assert len(on.world.started) == 2
    assert len([event for event in on.events if event.kind is EventKind.HELD]) == 1


def test_waiting_for_bandwidth_is_shown_but_not_told() -> None:
    """The status says why; the log would only repeat what the schedule means."""
    thin = Links({"h1": 1e6, "h2": 1e6, "h3": 1e6}, (), (replace(BUDGET, mbit_s=12 / MIB_S_PER_MBIT_S),))
    on = limited(three(), links=thin)
    on.runner.begin(plan(*MOVES))
    on.tick()
    assert on.world.started == ["s1"]
    assert set(on.runner.waits) == {"s2", "s3"}
    on.run()
    assert set(on.states().values()) == {StepState.DONE}
    assert not [event for event in on.events if event.kind is EventKind.HELD]


@pytest.mark.parametrize(("spare", "begun"), [(-500, 1), (1999, 1), (2000, 2), (3000, 3)])
def test_migrations_begin_beside_others_only_within_the_cpu_limit(spare: int, begun: int) -> None:
    """One always may; of more, as many as have a core each of what the guests leave. All get done."""
    on = limited(three(), links=Links({}), spare_millicores={"h1": spare})
    on.runner.begin(plan(*MOVES))
    on.tick()
    assert len(on.world.started) == begun
    on.run()
    assert set(on.states().values()) == {StepState.DONE}


def test_a_failing_host_is_emptied_whatever_cpu_it_has() -> None:
    """Leaving it goes first: its guests suffer more from staying."""
    on = limited(three(), links=Links({}), spare_millicores={"h1": 0})
    on.runner.begin(replace(plan(*MOVES), policy=EVACUATE))
    on.tick()
    assert len(on.world.started) == 3
