"""What a plan's moves gained with the load as it is now, and what a run of bad ones leads to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.config.settings import GateSettings, Settings
from cluster.guest import Usage
from cluster.plan import PlanRecord, PlanState, StepRecord, StepState
from cluster.snapshot import Snapshot
from cluster.store.memory import MemoryStore
from scheduler import regret
from scheduler.planning import PlanRequest, make_plan
from tests.scheduler.cli.bench import CLOCK
from tests.scheduler.solver.clusters import cluster, guest, host

GATE = GateSettings()
END = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def skewed() -> Snapshot:
    """Two equal hosts, all guests on the first."""
    return cluster([host("a"), host("b")], [guest(f"g{number}", "a", gib=4, cores=4) for number in range(4)])


def carried_out(snapshot: Snapshot) -> tuple[PlanRecord, Snapshot]:
    """A balance plan with every step done at `END`, and the cluster after it."""
    plan = make_plan(snapshot, PlanRequest("balance", level=5, work_limit=0.2), Settings())
    assert plan.migrations
    steps = {step.id: StepRecord(StepState.DONE, END, 1) for step in plan.steps}
    where = {step.guest: step.target for step in plan.migrations}
    moved = tuple(replace(one, host=where.get(one.id, one.host)) for one in snapshot.guests)
    return PlanRecord(plan, PlanState.ENDED, steps), replace(snapshot, guests=moved)


def test_moves_that_do_what_they_should_keep_their_promise() -> None:
    """With the load unchanged the gain is what was predicted."""
    record, after = carried_out(skewed())
    judgement = regret.judge(record, after)
    assert judgement is not None
    assert judgement.ratio == pytest.approx(1.0, rel=0.02)
    assert judgement.moves == len(record.plan.migrations)


def test_a_load_that_went_away_makes_moves_pointless() -> None:
    """The guests that moved are idle now: it would be more even without the moves."""
    record, after = carried_out(skewed())
    moved = {step.guest for step in record.plan.migrations}
    turned = tuple(replace(one, usage=Usage(0 if one.id in moved else 12000), memory_mib=1) for one in after.guests)
    grown = replace(after, guests=(*turned, guest("new", "b", gib=32, cores=30)))
    judgement = regret.judge(record, grown)
    assert judgement is not None
    assert judgement.ratio < GATE.regret_least_ratio


def test_guests_that_went_on_are_not_counted_and_unknown_use_is_not_judged() -> None:
    """Somebody else's move is none of the plan's; without figures nothing is said."""
    record, after = carried_out(skewed())
    gone = replace(after, guests=tuple(replace(one, host="a") for one in after.guests))
    assert regret.judge(record, gone) is None
    unknown = replace(after, guests=tuple(replace(one, usage=Usage(None)) for one in after.guests))
    assert regret.judge(record, unknown) is None


def test_a_plan_is_due_after_a_while_and_once() -> None:
    """Not too early, not after a day, not twice, and only a balance plan that has ended."""
    record, _ = carried_out(skewed())
    ripe = END + timedelta(seconds=GATE.regret_after_s)
    assert regret.due([record], {}, GATE, ripe) == [record]
    assert regret.due([record], {}, GATE, ripe - timedelta(seconds=1)) == []
    assert regret.due([record], {}, GATE, END + timedelta(days=2)) == []
    assert regret.due([record], {regret.PREFIX + record.plan.id: "unknown"}, GATE, ripe) == []
    assert regret.due([replace(record, state=PlanState.ACTIVE)], {}, GATE, ripe) == []
    drained = replace(record, plan=replace(record.plan, policy="drain"))
    assert regret.due([drained], {}, GATE, ripe) == []


def flags(*ratios: float) -> dict[str, str]:
    """Judgements of plans that kept these shares of their promise, oldest first."""
    return {f"regret:P{n:03}": regret.write(regret.Judgement(2.0, 2.0 * ratio, 3)) for n, ratio in enumerate(ratios)}


@pytest.mark.parametrize(
    ("ratios", "run", "least"),
    [((), 0, 0.05), ((1.0,), 0, 0.05), ((0.0,), 1, 0.1), ((0.0, 1.0), 0, 0.05), ((1.0, 0.1, -2.0), 2, 0.2)],
)
def test_each_bad_plan_in_a_row_doubles_the_least_gain(ratios: tuple[float, ...], run: int, least: float) -> None:
    """A good one ends the run."""
    assert len(regret.bad_run(flags(*ratios), GATE)) == run
    assert regret.least_gain_ratio(flags(*ratios), GATE) == pytest.approx(least)


def test_at_the_limit_no_more_are_made_and_the_reason_is_given() -> None:
    """Until a person says resume."""
    assert regret.why_rest(flags(0, 0, 0, 0), GATE) is None
    assert "gained 10% of what they promised" in (regret.why_rest(flags(*[0.1] * 5), GATE) or "")
    store = MemoryStore(CLOCK)
    for name, text in {**flags(*[0.1] * 5), "paused": "ann"}.items():
        store.set_flag(name, text)
    regret.forget(store)
    assert store.flags() == {"paused": "ann"}


@given(st.lists(st.floats(-2, 2), max_size=40))
def test_the_threshold_is_never_lowered_nor_raised_beyond_reach(ratios: list[float]) -> None:
    """And only the latest judgements are kept."""
    seen = flags(*ratios)
    assert GATE.least_gain_ratio <= regret.least_gain_ratio(seen, GATE) <= regret.MOST_RAISED
    assert len(seen) - len(regret.outworn(seen)) <= regret.MOST_KEPT
    assert regret.read("unknown") is None
