"""Verbs that have something done: by a loop that leads, or in their own process where none does."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cluster.formats.plan_file import write_plan
from cluster.plan import PlanState
from cluster.store.memory import MemoryStore
from simulator.fleet import SimFleet
from simulator.world import World
from tests.scheduler.cli.bench import leading, plan_for, until, wait_here
from tests.scheduler.cli.conftest import Call


def test_approval_without_a_daemon_is_refused(trimtab: Call, store: MemoryStore, world: World) -> None:
    """An approval must not lie about until some daemon comes by."""
    plan = plan_for(world)
    wait_here(store, plan)
    for verb in ("approve", "reject"):
        ended = trimtab(verb, plan.id)
        assert (ended.status, "trimtab run" in ended.err) == (1, True)
    assert store.take_commands() == ()


def test_an_expired_plan_is_not_approved_nor_applied(
    trimtab: Call, store: MemoryStore, world: World, tmp_path: Path
) -> None:
    """Too late is a refusal that says when it was."""
    past = datetime.now(UTC) - timedelta(hours=1)
    plan = replace(plan_for(world), made_at=past, expires_at=past)
    wait_here(store, plan)
    file = tmp_path / "plan.json"
    file.write_text(write_plan(plan))
    for arguments in (("approve", plan.id), ("apply", str(file))):
        ended = trimtab(*arguments)
        assert (ended.status, "expired" in ended.err) == (1, True)


def test_a_waiting_plan_is_approved_and_another_rejected(trimtab: Call, store: MemoryStore, world: World) -> None:
    """The daemon begins the one, which empties the host, and drops the other."""
    wanted = plan_for(world)
    other = replace(wanted, id="other")
    wait_here(store, wanted)
    wait_here(store, other)
    with leading(store, world):
        assert trimtab("reject", "other", "--json").json["state"] == "rejected"
        approved = trimtab("approve", wanted.id, "--json")
        assert (approved.status, approved.json["plan"]) == (0, wanted.id)
        until(lambda: not world.snapshot().guests_by_host["a"])
    assert not world.violations()


# -- acting --------------------------------------------------------------------------------------------------------


def test_the_daemon_applies_a_plan_file(trimtab: Call, store: MemoryStore, world: World, tmp_path: Path) -> None:
    """`apply` follows the daemon's work to its end; a second time it is refused."""
    plan = plan_for(world)
    file = tmp_path / "plan.json"
    file.write_text(write_plan(plan))
    with leading(store, world):
        ended = trimtab("apply", str(file), "--json")
        assert (ended.status, {step["state"] for step in ended.json["steps"]}) == (0, {"done"})
        assert "running" in ended.err
        again = trimtab("apply", str(file))
        assert (again.status, again.out) == (1, "")
    assert not world.snapshot().guests_by_host["a"]


def test_abort_ends_what_the_daemon_does(trimtab: Call, store: MemoryStore, world: World, tmp_path: Path) -> None:
    """Nothing more is started; the plan has ended before the verb has."""
    plan = plan_for(world)
    with leading(store, world) as loop:
        loop.runner.begin(plan)
        ended = trimtab("abort", "--json")
        assert (ended.status, ended.json["plan"]) == (0, plan.id)
        record = store.plan(plan.id)
    assert record is not None
    assert record.state is PlanState.ENDED
    assert len(world.snapshot().guests_by_host["a"]) > 0


def test_the_daemon_drains_a_host(trimtab: Call, store: MemoryStore, world: World) -> None:
    """The drain waits until the host is empty; undrain puts it back into service."""
    with leading(store, world):
        marked = trimtab("drain", "a", "--no-wait", "--json")
        assert (marked.status, marked.json["drained"]) == (0, False)
        ended = trimtab("drain", "a")
        assert (ended.status, ended.out.splitlines()[-1]) == (0, "host a is empty")
        assert trimtab("undrain", "a", "--json").json["was_drained"] is True
        assert "drain:a" not in store.flags()
    assert not world.snapshot().guests_by_host["a"]


def test_a_drain_without_a_daemon_is_done_here(simulated: Call, store: MemoryStore) -> None:
    """The verb leads itself, moves everything, and gives leadership up; the JSON is alone on stdout."""
    ended = simulated("drain", "a", "--json")
    assert (ended.status, ended.json) == (0, {"host": "a", "drained": True, "staying": []})
    assert ended.err.count("done  ") == 3
    assert store.acquire_lease("the next", 1) is not None
    assert store.active_plan() is None


def test_a_failing_host_is_emptied_by_the_daemon(trimtab: Call, store: MemoryStore, world: World) -> None:
    """The plan is an evacuation; the host takes nothing until it is taken back that it fails."""
    with leading(store, world):
        ended = trimtab("fail", "a")
        assert (ended.status, ended.out.splitlines()[-1]) == (0, "host a is empty")
        assert "fail:a" in store.flags()
        assert trimtab("unfail", "a", "--json").json["was_failing"] is True
        assert trimtab("unfail", "a", "--json").json["was_failing"] is False
        assert "fail:a" not in store.flags()
    assert not world.snapshot().guests_by_host["a"]
    assert store.plans(1)[0].plan.policy == "evacuate"
    assert store.plans(1)[0].plan.migrations[0].reason == "evacuates failing a"


def test_a_failing_host_is_emptied_here_without_a_daemon(simulated: Call, store: MemoryStore) -> None:
    """As a drain is, at the urgent limits: more than one guest may leave at a time."""
    ended = simulated("fail", "a", "--json")
    assert (ended.status, ended.json) == (0, {"host": "a", "drained": True, "staying": []})
    assert store.plans(1)[0].plan.policy == "evacuate"


def test_a_drain_lists_who_stays(simulated: Call, tiny_file: Path, store: MemoryStore) -> None:
    """A guest that cannot move keeps the host occupied: status 1, with its name and the reason."""
    document = json.loads(tiny_file.read_text())
    document["guests"][2] |= {"movable": False, "why_not": "has a passthrough device"}
    tiny_file.write_text(json.dumps(document))
    ended = simulated("drain", "a", "--json")
    assert ended.status == 1
    (staying,) = ended.json["staying"]
    assert staying["guest"] == "web-3"
    assert "passthrough" in staying["why"]


def test_a_paused_cluster_is_not_drained(simulated: Call, store: MemoryStore) -> None:
    """The mark stays, nothing is moved, and the line says how to go on."""
    assert simulated("pause").status == 0
    ended = simulated("drain", "a")
    assert (ended.status, "trimtab resume" in ended.err) == (1, True)
    assert store.last_moves() == {}


def test_an_unknown_host_is_not_drained(trimtab: Call, store: MemoryStore, reported: SimFleet) -> None:
    """A typing error marks nothing."""
    for verb in ("drain", "undrain", "fail", "unfail"):
        ended = trimtab(verb, "z")
        assert (ended.status, "allowed: a, b, c" in ended.err) == (2, True)
    assert store.flags() == {}


def test_a_plan_is_applied_without_a_daemon(simulated: Call, store: MemoryStore, tmp_path: Path) -> None:
    """`plan --out`, then `apply`: every step done, status 0."""
    file = str(tmp_path / "plan.json")
    assert simulated("plan", "--policy", "repair", "--out", file).status == 0
    ended = simulated("apply", file, "--json")
    assert (ended.status, [step["state"] for step in ended.json["steps"]]) == (0, ["done"])


def test_a_plan_that_does_not_hold_any_more_is_refused(simulated: Call, store: MemoryStore, tmp_path: Path) -> None:
    """A host that was drained meanwhile takes no guest: one line, status 1, nothing moved."""
    file = str(tmp_path / "plan.json")
    assert simulated("plan", "--policy", "repair", "--out", file).status == 0
    for host in ("b", "c"):
        store.set_flag(f"drain:{host}", "a colleague")
    ended = simulated("apply", file)
    assert (ended.status, ended.out) == (1, "")
    assert "is cordoned: make a new plan" in ended.err
    assert store.last_moves() == {}


def test_the_daemon_runs_for_a_while_and_sums_up(simulated: Call, store: MemoryStore) -> None:
    """`run --for`: the broken rule is mended by itself, nothing fails, and the summary says so."""
    ended = simulated(
        *("run", "--for", "8", "--json"),
        *("--set", "scheduler.mode=act", "--set", "gate.quiet_start_s=0", "--set", "scheduler.interval_s=1"),
    )
    assert ended.status == 0
    assert (ended.json["moves_done"], ended.json["moves_failed"], ended.json["wrong"]) == (1, 0, [])
    assert "began plan" in ended.err
    until(lambda: store.status() is None, 1)


def test_a_simulation_prints_its_log_and_summary(trimtab: Call, tiny_file: Path) -> None:
    """The real loop mends the rule on virtual time; the same call gives the same log."""
    first = trimtab("simulate", "--from", str(tiny_file), "--for", "300", "--json")
    assert first.status == 0
    assert first.json["summary"]["moves_done"] == 1
    assert first.json["log"] == trimtab("simulate", "--from", str(tiny_file), "--for", "300", "--json").json["log"]
    text = trimtab("simulate", "--from", str(tiny_file), "--for", "300")
    assert "Summary of 5 min" in text.out
