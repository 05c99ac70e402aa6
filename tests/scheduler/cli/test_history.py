"""`trimtab history`: from an empty store, from one with plans and days, as text and as JSON."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cluster import energy_day
from cluster.energy_day import Energy, EnergyDay
from cluster.plan import PlanState, StepRecord, StepState
from cluster.store.memory import MemoryStore
from tests.cluster.store.builders import plan
from tests.scheduler.cli.bench import CLOCK
from tests.scheduler.cli.conftest import Call

NIGHT = Energy(
    seen_s=28_800.0,
    asleep_host_s=57_600.0,
    used_metered_j=3e8,
    used_modelled_j=1e8,
    saved_metered_j=2e7,
    saved_modelled_j=5e6,
    wakes_j=1e5,
    moves_j=2e4,
    cost=33.3,
    money_saved=2.07,
)


@pytest.fixture
def past(store: MemoryStore) -> MemoryStore:
    """A store with a plan of an hour ago, one of last month, and three days of energy."""
    now = CLOCK.now()
    lease = store.acquire_lease("daemon", 600.0)
    assert lease is not None
    for name, age in (("old", timedelta(days=30)), ("new", timedelta(hours=1))):
        made = now - age
        one = replace(plan(name), made_at=made, expires_at=now)
        store.open_plan(one, PlanState.ACTIVE, lease.token, made)
        for step, state in (("s1", StepState.DONE), ("s2", StepState.FAILED)):
            store.write_step(name, step, StepState.WAITING, StepRecord(StepState.RUNNING, made, lease.token))
            ended = StepRecord(state, made + timedelta(seconds=4), lease.token, mib=110)
            store.write_step(name, step, StepState.RUNNING, ended)
        store.set_plan_state(name, PlanState.ENDED, lease.token, made, "one of 3 steps failed")
    for days in (40, 1, 0):
        day = (now - timedelta(days=days)).date().isoformat()
        kept = EnergyDay(day, now - timedelta(days=days), (), NIGHT, Energy(seen_s=3600.0, used_modelled_j=5e7), "EUR")
        store.put_energy_day(day, energy_day.write(kept), lease.token)
    return store


def test_an_empty_store_is_said_in_a_line_each(trimtab: Call, store: MemoryStore) -> None:
    """Nothing known is no error."""
    ended = trimtab("history")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines()[0] == "Plans of the last 7 days: none"
    assert "Energy: nothing is known of these days" in ended.out


def test_plans_and_days_are_told(trimtab: Call, past: MemoryStore) -> None:
    """What was predicted beside what was measured, the days' energy with money, within 100 columns."""
    ended = trimtab("history")
    assert (ended.status, ended.err) == (0, "")
    assert max(map(len, ended.out.splitlines())) <= 100
    assert "Plans of the last 7 days: 1" in ended.out and "old" not in ended.out
    assert "balance, ended: 1 waiting, 1 done, 1 failed" in ended.out
    assert "because of new" in ended.out and "one of 3 steps failed" in ended.out
    assert "1 move: 110 MiB (predicted 100 MiB) in 4 s of moving (predicted 2.5 s)" in ended.out
    rows = [line for line in ended.out.splitlines() if line.startswith(("2026", "together"))]
    assert len(rows) == 3
    assert rows[0].split()[1:] == [
        "9.0",
        "h",
        "125",
        "kWh",
        "132",
        "kWh",
        "6.9",
        "kWh",
        "6.9",
        "kWh",
        "80",
        "%",
        "2.07",
    ]
    assert rows[2].split()[-1] == "4.14"
    assert "EUR saved" in ended.out


def test_the_document_has_it_all(trimtab: Call, past: MemoryStore) -> None:
    """Moves one by one, days by night and rest, over as many days as asked for."""
    near, far = trimtab("history", "--json").json, trimtab("history", "--json", "--days", "60").json
    assert [one["id"] for one in near["plans"]] == ["new"]
    assert [one["id"] for one in far["plans"]] == ["new", "old"]
    assert [move["state"] for move in near["plans"][0]["moves"]] == ["done", "failed"]
    assert near["measured"]["moves_done"] == 1 and far["measured"]["moves_done"] == 2
    assert (len(near["energy"]["days"]), len(far["energy"]["days"])) == (2, 3)
    assert near["energy"]["days"][0]["night"]["asleep_host_h"] == 16.0
    assert far["energy"]["total"]["money_saved"] == pytest.approx(3 * 2.07)


def test_a_store_that_does_not_answer_is_status_3(trimtab: Call) -> None:
    """One line, no result."""
    ended = trimtab("history", "--set", "store.url=redis://127.0.0.1:1/0")
    assert (ended.status, ended.out, ended.err.count("\n")) == (3, "", 1)
