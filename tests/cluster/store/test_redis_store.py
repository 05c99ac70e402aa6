"""What the Redis store does on bad days: answers lost, a server gone or hung, lossy settings, strange texts."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from cluster.config.settings import StoreSettings
from cluster.errors import ConflictError, FencedError, StoreUnavailableError
from cluster.history import Metric
from cluster.plan import PlanState, StepState
from cluster.rates import Permit
from cluster.store.open import open_store
from cluster.store.protocol import Command, Store
from cluster.store.redis_store import RedisStore
from cluster.store.scripts import script
from cluster.store.server import ROOT, RedisServer
from tests.cluster.store.builders import at, plan, record, report
from tests.cluster.store.harness import START, Harness, ManualClock
from tests.cluster.store.redis_process import PROGRAM, WHY_SKIPPED, RedisProcess

pytestmark = pytest.mark.redis

WAITING, RUNNING = StepState.WAITING, StepState.RUNNING


class LosingClient:
    """A client whose answers get lost after the server has done the work, as often as told."""

    def __init__(self, client: Any, error: redis.RedisError) -> None:
        self._client = client
        self._error = error
        self.to_lose = 0

    def execute_command(self, *command: object) -> object:
        answer = self._client.execute_command(*command)
        if self.to_lose:
            self.to_lose -= 1
            raise self._error
        return answer

    def close(self) -> None:
        self._client.close()


@pytest.fixture(params=[redis.ConnectionError("reset"), redis.TimeoutError("late")], ids=["reset", "late"])
def losing(request: pytest.FixtureRequest, redis_process: RedisProcess) -> Iterator[tuple[RedisStore, LosingClient]]:
    """A store on an empty server, and what loses its answers."""
    server = RedisServer("tests", 5.0, {"unix_socket_path": str(redis_process.socket)})
    server.call("FLUSHALL")
    client = LosingClient(server._client, request.param)
    server._client = client
    store = RedisStore(server)
    store.take_commands()
    for name in ("acquire_lease", "open_plan", "set_plan_state", "write_step", "push_command", "resolve"):
        client.execute_command("SCRIPT LOAD", script(name).text)
    yield store, client
    store.close()


def leader(store: Store) -> int:
    """Take leadership and return the token."""
    lease = store.acquire_lease("one", 60)
    assert lease is not None
    return lease.token


def test_a_lost_answer_is_no_conflict(losing: tuple[RedisStore, LosingClient]) -> None:
    """Every change of the journal goes through once although its first answer never came."""
    store, client = losing
    client.to_lose = 1
    token = leader(store)
    client.to_lose = 1
    store.open_plan(plan("p"), PlanState.WAITING, token, START)
    client.to_lose = 1
    store.set_plan_state("p", PlanState.ACTIVE, token, at(1), "approved")
    client.to_lose = 1
    store.write_step("p", "s1", WAITING, record(RUNNING, token, 2), (Permit("cluster", 1, 3600.0),))
    client.to_lose = 1
    store.write_step("p", "s1", RUNNING, record(StepState.UNRESOLVED, token, 3))
    client.to_lose = 1
    store.resolve("g1", "ann", at(4))
    client.to_lose = 1
    store.set_plan_state("p", PlanState.ENDED, token, at(5), "over")
    assert client.to_lose == 0
    assert [entry.state for entry in store.journal(99)] == [
        "waiting",
        "active",
        "running",
        "unresolved",
        "resolved",
        "ended",
    ]


def test_a_real_conflict_stays_one_when_its_answer_is_lost(losing: tuple[RedisStore, LosingClient]) -> None:
    """Sending again does not turn a refusal into a yes."""
    store, client = losing
    token = leader(store)
    store.open_plan(plan("p"), PlanState.ACTIVE, token, START)
    store.write_step("p", "s1", WAITING, record(RUNNING, token))
    client.to_lose = 1
    with pytest.raises(ConflictError, match="is running, not waiting"):
        store.write_step("p", "s1", WAITING, record(RUNNING, token))


def test_commands_outlive_lost_answers(losing: tuple[RedisStore, LosingClient]) -> None:
    """What a call took without hearing of it comes with the next call, once."""
    store, client = losing
    commands = [Command(f"c{number}", "drain", "a", "ann", at(0)) for number in range(3)]
    client.to_lose = 1
    store.push_command(commands[0])
    client.to_lose = 1
    assert store.take_commands() == (commands[0],)
    store.push_command(commands[1])
    client.to_lose = 2
    with pytest.raises(StoreUnavailableError):
        store.take_commands()
    store.push_command(commands[2])
    assert store.take_commands() == (commands[1],)
    assert store.take_commands() == (commands[2],)


def test_a_sample_is_not_counted_twice(losing: tuple[RedisStore, LosingClient]) -> None:
    """A sample is not sent again: the mean of its slot would lean to it."""
    store, client = losing
    store.record_usage("g", Metric.CPU_MILLICORES, START, 0)
    client.to_lose = 1
    with pytest.raises(StoreUnavailableError):
        store.record_usage("g", Metric.CPU_MILLICORES, START, 90)
    store.record_usage("g", Metric.CPU_MILLICORES, START, 0)
    assert store.usage("g", Metric.CPU_MILLICORES).latest(START, 1) == [30]


@pytest.fixture
def own_process() -> Iterator[RedisProcess]:
    """A server of this test's own, running."""
    if PROGRAM is None:
        pytest.skip(WHY_SKIPPED)
    process = RedisProcess()
    process.start()
    yield process
    process.remove()


CALLS: dict[str, Callable[[Store], object]] = {
    "put_report": lambda store: store.put_report(report("a", 0, 0), 60),
    "reports": lambda store: store.reports(),
    "record_usage": lambda store: store.record_usage("g", Metric.CPU_MILLICORES, START, 1),
    "usage": lambda store: store.usage("g", Metric.CPU_MILLICORES),
    "acquire_lease": lambda store: store.acquire_lease("one", 60),
    "write_step": lambda store: store.write_step("p", "s1", WAITING, record(RUNNING, 1)),
    "active_plan": lambda store: store.active_plan(),
    "journal": lambda store: store.journal(3),
    "flags": lambda store: store.flags(),
    "take_commands": lambda store: store.take_commands(),
    "status": lambda store: store.status(),
    "durability_problems": lambda store: store.durability_problems(),
    "ping": lambda store: store.ping(),
}


def test_a_server_that_is_gone_is_said_so_and_used_again(own_process: RedisProcess) -> None:
    """Each call fails with one line while the server is away, and works as soon as it is back, the journal with it."""
    store = open_store(StoreSettings(url=own_process.url, timeout_s=1.0), ManualClock())
    token = leader(store)
    store.open_plan(plan("p"), PlanState.ACTIVE, token, START)
    own_process.stop()
    for call in CALLS.values():
        with pytest.raises(StoreUnavailableError) as caught:
            call(store)
        (line,) = str(caught.value).splitlines()
        assert line.startswith(f"store unix:{own_process.socket} cannot be reached: ")
        assert line.endswith("check that Redis runs there and store.url is right")
    own_process.start()
    active = store.active_plan()
    assert active is not None and active.plan == plan("p")
    store.close()


def test_a_server_that_hangs_is_given_up_in_time(own_process: RedisProcess) -> None:
    """A call waits for its time-out, once more where sending again is safe, and no longer."""
    store = open_store(StoreSettings(url=own_process.url, timeout_s=0.2), ManualClock())
    store.ping()
    with own_process.client() as client:
        hang = threading.Thread(target=lambda: client.eval("while redis.call('TIME')[1] < ARGV[1] do end", 0, _in_s(2)))
        hang.start()
        time.sleep(0.1)
        begin = time.monotonic()
        with pytest.raises(StoreUnavailableError, match=r"does not answer in time.*raise store\.timeout_s"):
            store.set_flag("paused", "x")
        assert 0.2 < time.monotonic() - begin < 1.0
        hang.join()
    store.close()


def _in_s(seconds: int) -> int:
    return int(time.time()) + seconds


def test_a_full_server_refuses_whole(own_process: RedisProcess) -> None:
    """Out of memory, a write fails with one line and nothing of it is there."""
    store = open_store(StoreSettings(url=own_process.url), ManualClock())
    token = leader(store)
    with own_process.client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailableError, match=r"refuses: .*memory"):
            store.open_plan(plan("p"), PlanState.ACTIVE, token, START)
        assert store.plan("p") is None and store.journal(9) == ()
        client.config_set("maxmemory", "0")
    store.close()


def test_a_well_set_server_has_no_problems(redis_harness: Harness) -> None:
    """The tests' server has everything that a journal needs."""
    assert redis_harness.store.durability_problems() == ()


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("appendonly", "no", "has appendonly no; set appendonly yes"),
        ("appendfsync", "everysec", "has appendfsync everysec; set appendfsync always"),
        ("maxmemory-policy", "allkeys-lru", "has maxmemory-policy allkeys-lru; set maxmemory-policy noeviction"),
    ],
)
def test_a_setting_that_loses_data_is_a_problem(own_process: RedisProcess, setting: str, value: str, says: str) -> None:
    """Each such setting is named with what to set instead."""
    with own_process.client() as client:
        client.config_set(setting, value)
    store = open_store(StoreSettings(url=own_process.url), ManualClock())
    (problem,) = store.durability_problems()
    assert says in problem
    store.close()


def test_a_configuration_that_cannot_be_read_is_a_problem(own_process: RedisProcess) -> None:
    """Where the user may not ask, safety is unknown, and that is said."""
    with own_process.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "-config")
        store = open_store(StoreSettings(url=own_process.url), ManualClock())
        (problem,) = store.durability_problems()
        assert "does not let us read its configuration" in problem
        assert "allow this user the command CONFIG GET" in problem
        store.close()


def test_a_report_of_another_version_hides_nobody(
    redis_harness: Harness, redis_process: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """One unreadable report is left out with a warning; the other hosts are there."""
    for host in ("a", "b"):
        redis_harness.store.put_report(report(host, 0, 0), 60)
    with redis_process.client() as client:
        client.hset(f"{ROOT}report:a", "text", '{"schema": "trimtab.report/9"}')
    with caplog.at_level(logging.WARNING):
        assert redis_harness.store.reports() == (report("b", 0, 0),)
    assert "report of host a" in caplog.text


@pytest.mark.parametrize("key", ["plan", "steps", "journal", "commands"])
def test_a_text_that_cannot_be_read_is_the_stores_failure(
    redis_harness: Harness, redis_process: RedisProcess, key: str
) -> None:
    """What another version wrote is not guessed at: one line, exit status 3."""
    store = redis_harness.store
    token = leader(store)
    store.open_plan(plan("p"), PlanState.ACTIVE, token, START)
    with redis_process.client() as client:
        match key:
            case "plan":
                client.hset(f"{ROOT}plan:p", "text", "{}")
            case "steps":
                client.hset(f"{ROOT}steps:p", "s1", '{"state": "dancing"}')
            case _:
                client.rpush(f"{ROOT}{key}", "[]")
    with pytest.raises(StoreUnavailableError, match="which this version cannot read") as caught:
        {"journal": lambda: store.journal(9), "commands": store.take_commands}.get(key, store.active_plan)()
    assert "\n" not in str(caught.value)


def test_scripts_survive_a_server_that_forgot_them(redis_harness: Harness, redis_process: RedisProcess) -> None:
    """A restarted server knows no script; the store brings its own again."""
    leader(redis_harness.store)
    with redis_process.client() as client:
        client.script_flush()
    assert leader(redis_harness.store) > 0


def test_a_failover_that_lost_the_last_writes_gives_out_no_token_twice(redis_harness: Harness) -> None:
    """The old leader goes on by its own clock for a while: its token must not be the new leader's, too."""
    store = redis_harness.store
    old = leader(store)
    assert isinstance(store, RedisStore)
    store._server.call("DEL", f"{ROOT}lease", f"{ROOT}token")
    time.sleep(0.002)
    new = redis_harness.other.acquire_lease("two", 60)
    assert new is not None and new.token > old
    with pytest.raises(FencedError):
        store.open_plan(plan("p"), PlanState.ACTIVE, old, START)


def test_a_report_is_read_once_however_often_it_is_asked_for(redis_harness: Harness) -> None:
    """A step's look must not read a thousand guests anew; a newer report is read at once."""
    store = redis_harness.store
    store.put_report(report("a", 1, 1), 60)
    (first,) = store.reports()
    assert store.reports()[0] is first
    redis_harness.other.put_report(report("a", 1, 2), 60)
    assert store.reports() == (report("a", 1, 2),)
