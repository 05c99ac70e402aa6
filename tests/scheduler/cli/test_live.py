"""Verbs on a live cluster: a store shared with agents, and in some tests a real loop that leads on its own thread."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cluster.clock import SystemClock
from cluster.config.settings import CollectSource, Mode, Settings
from cluster.formats.cluster_file import load_cluster
from cluster.formats.plan_file import write_plan
from cluster.plan import Plan, PlanState, StepRecord, StepState
from cluster.store.memory import MemoryStore
from scheduler.cli.turns import Turns
from scheduler.loop import Loop
from scheduler.parts import Parts
from scheduler.planning import PlanRequest, make_plan
from simulator.build import world_from_snapshot
from simulator.executor import SimMigrationExecutor
from simulator.fleet import SimFleet
from simulator.world import World
from tests.scheduler.cli.conftest import Call

CLOCK = SystemClock()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """One store for every verb called in a test."""
    shared = MemoryStore(CLOCK)
    for module in ("scheduler.cli.live", "scheduler.wiring", "scheduler.cli.verbs.doctor"):
        monkeypatch.setattr(f"{module}.open_store", lambda *_, **__: shared)
    return shared


@pytest.fixture
def world(tiny_file: Path) -> World:
    """The tiny cluster, alive."""
    return world_from_snapshot(load_cluster(tiny_file), CLOCK)


@pytest.fixture
def reported(store: MemoryStore, world: World) -> SimFleet:
    """Agents that have just reported; `collect` reports again."""
    fleet = SimFleet(world, store, CLOCK, Settings().collect)
    fleet.collect()
    return fleet


def _settings(world: World, mode: Mode = Mode.OBSERVE) -> Settings:
    base = Settings(rules=world.rules)
    return replace(
        base,
        scheduler=replace(base.scheduler, mode=mode, interval_s=1.0, work_limit=0.2),
        gate=replace(base.gate, quiet_start_s=0.0, kill_switch="/nowhere/stop"),
        collect=replace(base.collect, source=CollectSource.SIMULATED, interval_s=0.5),
        reserve=replace(base.reserve, memory_mib=0, memory_ratio=0.0),
    )


@contextmanager
def _leading(store: MemoryStore, world: World, mode: Mode = Mode.OBSERVE) -> Iterator[Loop]:
    """A real loop that leads on the world, on a thread of its own."""
    settings = _settings(world, mode)
    parts = Parts(store, SimFleet(world, store, CLOCK, settings.collect), SimMigrationExecutor(world), None, world)
    loop = Loop(parts, settings, CLOCK, "a daemon", lambda _: None)
    turns = Turns(loop.jobs(), CLOCK, lambda _: None)
    over = threading.Event()
    thread = threading.Thread(target=lambda: turns.until(over.is_set))
    thread.start()
    deadline = time.monotonic() + 10
    while store.status() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    try:
        yield loop
    finally:
        over.set()
        thread.join()
        loop.leadership.release()


def _plan(world: World, drained: str = "a") -> Plan:
    request = PlanRequest(policy="drain", drained=(drained,), work_limit=0.2)
    return make_plan(replace(world.snapshot(), taken_at=datetime.now(UTC)), request, _settings(world))


RULE = '[[rules]]\nkind = "anti_affinity"\nname = "web-apart"\nguests = { app = "web" }\n'


@pytest.fixture
def simulated(trimtab: Call, tiny_file: Path, tmp_path: Path, store: MemoryStore) -> Call:
    """The program with a configuration whose cluster is simulated in its own process."""
    config = tmp_path / "simulated.toml"
    config.write_text(
        f'[scheduler]\nwork_limit = 0.2\n[gate]\nkill_switch = "{tmp_path / "stop"}"\n'
        f'[collect]\nsource = "simulated"\ninterval_s = 0.5\n[simulator]\ncluster_file = "{tiny_file}"\n'
        "[reserve]\nmemory_mib = 0\nmemory_ratio = 0.0\n"
    )
    return lambda *arguments: trimtab(*arguments, "--config", str(config))


# -- the store -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("plan",),
        ("check",),
        ("pause",),
        ("resume",),
        ("approve", "p"),
        ("reject", "p"),
        ("abort",),
        ("drain", "a"),
        ("undrain", "a"),
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
    plan = _plan(world)
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
    with _leading(store, world):
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


def _waiting(store: MemoryStore, plan: Plan) -> None:
    lease = store.acquire_lease("somebody", 60)
    assert lease is not None
    store.open_plan(plan, PlanState.WAITING, lease.token, datetime.now(UTC))
    store.release_lease(lease)


def test_approval_without_a_daemon_is_refused(trimtab: Call, store: MemoryStore, world: World) -> None:
    """An approval must not lie about until some daemon comes by."""
    plan = _plan(world)
    _waiting(store, plan)
    for verb in ("approve", "reject"):
        ended = trimtab(verb, plan.id)
        assert (ended.status, "trimtab run" in ended.err) == (1, True)
    assert store.take_commands() == ()


def test_an_expired_plan_is_not_approved_nor_applied(
    trimtab: Call, store: MemoryStore, world: World, tmp_path: Path
) -> None:
    """Too late is a refusal that says when it was."""
    past = datetime.now(UTC) - timedelta(hours=1)
    plan = replace(_plan(world), made_at=past, expires_at=past)
    _waiting(store, plan)
    file = tmp_path / "plan.json"
    file.write_text(write_plan(plan))
    for arguments in (("approve", plan.id), ("apply", str(file))):
        ended = trimtab(*arguments)
        assert (ended.status, "expired" in ended.err) == (1, True)


def test_a_waiting_plan_is_approved_and_another_rejected(trimtab: Call, store: MemoryStore, world: World) -> None:
    """The daemon begins the one, which empties the host, and drops the other."""
    wanted = _plan(world)
    other = replace(wanted, id="other")
    _waiting(store, wanted)
    _waiting(store, other)
    with _leading(store, world):
        assert trimtab("reject", "other", "--json").json["state"] == "rejected"
        approved = trimtab("approve", wanted.id, "--json")
        assert (approved.status, approved.json["plan"]) == (0, wanted.id)
        _until(lambda: not world.snapshot().guests_by_host["a"])
    assert not world.violations()


def _until(holds: object, most_s: float = 30) -> None:
    assert callable(holds)
    deadline = time.monotonic() + most_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


# -- acting --------------------------------------------------------------------------------------------------------


def test_the_daemon_applies_a_plan_file(trimtab: Call, store: MemoryStore, world: World, tmp_path: Path) -> None:
    """`apply` follows the daemon's work to its end; a second time it is refused."""
    plan = _plan(world)
    file = tmp_path / "plan.json"
    file.write_text(write_plan(plan))
    with _leading(store, world):
        ended = trimtab("apply", str(file), "--json")
        assert (ended.status, {step["state"] for step in ended.json["steps"]}) == (0, {"done"})
        assert "running" in ended.err
        again = trimtab("apply", str(file))
        assert (again.status, again.out) == (1, "")
    assert not world.snapshot().guests_by_host["a"]


def test_abort_ends_what_the_daemon_does(trimtab: Call, store: MemoryStore, world: World, tmp_path: Path) -> None:
    """Nothing more is started; the plan has ended before the verb has."""
    plan = _plan(world)
    with _leading(store, world) as loop:
        loop.runner.begin(plan)
        ended = trimtab("abort", "--json")
        assert (ended.status, ended.json["plan"]) == (0, plan.id)
        record = store.plan(plan.id)
    assert record is not None
    assert record.state is PlanState.ENDED
    assert len(world.snapshot().guests_by_host["a"]) > 0


def test_the_daemon_drains_a_host(trimtab: Call, store: MemoryStore, world: World) -> None:
    """The drain waits until the host is empty; undrain puts it back into service."""
    with _leading(store, world):
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
    for verb in ("drain", "undrain"):
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


def test_the_daemon_runs_for_a_while_and_sums_up(simulated: Call, tmp_path: Path) -> None:
    """`run --for`: the broken rule is mended by itself, nothing fails, and the summary says so."""
    ended = simulated(
        *("run", "--for", "8", "--json"),
        *("--set", "scheduler.mode=act", "--set", "gate.quiet_start_s=0", "--set", "scheduler.interval_s=1"),
    )
    assert ended.status == 0
    assert (ended.json["moves_done"], ended.json["moves_failed"], ended.json["wrong"]) == (1, 0, [])
    assert "began plan" in ended.err


def test_a_simulation_prints_its_log_and_summary(trimtab: Call, tiny_file: Path) -> None:
    """The real loop mends the rule on virtual time; the same call gives the same log."""
    first = trimtab("simulate", "--from", str(tiny_file), "--for", "300", "--json")
    assert first.status == 0
    assert first.json["summary"]["moves_done"] == 1
    assert first.json["log"] == trimtab("simulate", "--from", str(tiny_file), "--for", "300", "--json").json["log"]
    text = trimtab("simulate", "--from", str(tiny_file), "--for", "300")
    assert "Summary of 5 min" in text.out
