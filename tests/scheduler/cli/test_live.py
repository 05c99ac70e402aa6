"""Looking at a live cluster and asking for something: a store shared with agents, and sometimes a loop that leads."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cluster.plan import PlanState, StepRecord, StepState
from cluster.store.memory import MemoryStore
from simulator.fleet import SimFleet
from simulator.world import World
from tests.scheduler.cli.bench import leading, plan_for
from tests.scheduler.cli.conftest import Call

# -- the store -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("plan",),
        ("check",),
        ("explain", "web-1"),
        ("pause",),
        ("resume",),
        ("approve", "p"),
        ("reject", "p"),
        ("abort",),
        ("drain", "a"),
        ("undrain", "a"),
        ("fail", "a"),
        ("unfail", "a"),
        ("capture", "-"),
        ("run", "--for", "5"),
    ],
    ids=lambda arguments: arguments[0],
)
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_a_store_that_does_not_answer_is_one_line_and_status_3(
    trimtab: Call, arguments: tuple[str, ...], as_json: bool
) -> None:
    """Nothing is done, nothing is printed as a result, and the line says where the store should be."""
    ended = trimtab(*arguments, *(["--json"] if as_json else []), "--set", "store.url=redis://127.0.0.1:1/0")
    assert (ended.status, ended.out, ended.err.count("\n")) == (3, "", 1)
    assert "127.0.0.1:1" in ended.err


def test_the_doctor_says_what_to_do_about_the_store(trimtab: Call) -> None:
    """The doctor looks at the rest all the same, and ends with 3."""
    ended = trimtab("doctor", "--set", "store.url=redis://127.0.0.1:1/0", "--json")
    assert ended.status == 3
    by_about = {one["about"]: one for one in ended.json["findings"]}
    assert by_about["store"]["grade"] == "unreachable"
    assert by_about["store"]["todo"]
    assert "encryption" in by_about


def test_no_host_has_reported(trimtab: Call, store: MemoryStore) -> None:
    """Live planning without reports is status 3, with the way out."""
    ended = trimtab("plan")
    assert (ended.status, ended.out) == (3, "")
    assert "trimtab agent" in ended.err


# -- looking -------------------------------------------------------------------------------------------------------


def test_status_without_a_daemon_shows_what_was_reported(trimtab: Call, reported: SimFleet) -> None:
    """It says that no daemon runs, and every host with its load."""
    ended = trimtab("status")
    assert (ended.status, ended.err) == (0, "")
    assert "no daemon runs" in ended.out
    assert [line.split()[0] for line in ended.out.splitlines()[-3:]] == ["a", "b", "c"]
    assert max(map(len, ended.out.splitlines())) <= 100


def test_status_shows_alarms_first(trimtab: Call, store: MemoryStore, world: World, reported: SimFleet) -> None:
    """A guest whose whereabouts are unclear is the first line, until an operator has looked."""
    plan = plan_for(world)
    lease = store.acquire_lease("somebody", 60)
    assert lease is not None
    now = datetime.now(UTC)
    store.open_plan(plan, PlanState.ACTIVE, lease.token, now)
    step = plan.migrations[0]
    record = StepRecord(StepState.UNRESOLVED, now, lease.token, "host b is silent")
    store.write_step(plan.id, step.id, StepState.WAITING, record)
    assert trimtab("status").out.startswith(f"ALARM: UNRESOLVED guest {step.guest_name}")
    assert trimtab("doctor").status in (1, 3)
    refused = trimtab("resume", "--guest", "another")
    assert (refused.status, step.guest in refused.err) == (1, True)
    assert trimtab("resume", "--guest", step.guest_name).status == 0
    assert not store.unresolved()


def test_status_says_that_a_host_is_stale(trimtab: Call, world: World, store: MemoryStore, reported: SimFleet) -> None:
    """Old figures are called old, and the host neither source nor target."""
    ended = trimtab("status", "--set", "collect.stale_s=0.2", "--set", "collect.interval_s=0.1")
    time.sleep(0.3)
    ended = trimtab("status", "--set", "collect.stale_s=0.2", "--set", "collect.interval_s=0.1")
    assert ended.out.count("stale") == 3


def test_status_of_a_daemon_is_what_it_published(trimtab: Call, store: MemoryStore, world: World) -> None:
    """With a daemon its own words are shown, as text and as JSON."""
    with leading(store, world):
        ended = trimtab("status")
        assert "a daemon runs" in ended.out
        document = trimtab("status", "--json").json
    assert document["daemon"] is True
    assert document["mode"] == "observe"
    assert {host["id"] for host in document["hosts"]} == {"a", "b", "c"}


def test_a_captured_cluster_is_planned_as_the_live_one(trimtab: Call, tmp_path: Path, reported: SimFleet) -> None:
    """`capture`, then `plan --from`: the hosts, guests and figures of the live plan."""
    captured = tmp_path / "captured.json"
    live = trimtab("plan", "--work-limit", "0.2", "--json")
    assert trimtab("capture", str(captured)).status == 0
    saved = trimtab("plan", "--from", str(captured), "--work-limit", "0.2", "--json")
    assert saved.json["before"] == live.json["before"]
    assert len(saved.json["steps"]) == len(live.json["steps"])
    assert trimtab("capture", "-").out.startswith('{\n  "schema": "trimtab.cluster/1"')


def test_an_anonymous_capture_has_no_name_of_ours(trimtab: Call, simulated: Call, tmp_path: Path) -> None:
    """No id, name, label or rule's name is in it; what is broken and the figures stay the same."""
    named, anonymous = tmp_path / "named.json", tmp_path / "anonymous.json"
    assert simulated("capture", str(named)).status == 0
    assert simulated("capture", str(anonymous), "--anonymise").status == 0
    text = anonymous.read_text()
    assert not [name for name in ("web", "g1", "g2", "g3", '"a"', '"b"', '"c"', "app") if name in text]
    checks = [trimtab("check", "--from", str(path), "--json").json["findings"] for path in (named, anonymous)]
    assert [one["code"] for one in checks[0]] == [one["code"] for one in checks[1]] == ["broken_rule"]
    plans = [trimtab("plan", "--from", str(path), "--work-limit", "0.2", "--json").json for path in (named, anonymous)]
    assert plans[0]["before"] == plans[1]["before"]


# -- asking --------------------------------------------------------------------------------------------------------


def test_pause_and_resume_set_and_clear_the_flag(trimtab: Call, store: MemoryStore) -> None:
    """Both are repeatable, and say how it was."""
    assert trimtab("pause", "--json").json["paused"] is True
    assert "paused" in store.flags()
    assert "already paused" in trimtab("pause").out
    assert trimtab("resume", "--json").json["paused"] is False
    assert "paused" not in store.flags()
    again = trimtab("resume")
    assert (again.status, "nothing to do" in again.out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("approve", "p"), "plan p does not wait for approval"),
        (("reject", "p"), "plan p does not wait for approval"),
        (("abort",), "no plan is under way"),
    ],
)
def test_what_is_not_there_is_refused(trimtab: Call, store: MemoryStore, arguments: tuple[str, ...], said: str) -> None:
    """One line, status 1, and no command is left for a later leader."""
    ended = trimtab(*arguments)
    assert (ended.status, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert said in ended.err
    assert store.take_commands() == ()
