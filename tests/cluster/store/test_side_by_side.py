"""Memory and Redis driven side by side: whatever is done to both, every answer of both is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from cluster.errors import ConflictError, FencedError, RateLimitError
from cluster.history import RING_BYTES, SLOT_S, SLOTS, Metric, with_sample
from cluster.migration.learned import MoveFact
from cluster.plan import PlanState, StepRecord, StepState
from cluster.rates import Permit
from cluster.store.memory import MemoryStore
from cluster.store.protocol import Command, Lease, Store
from cluster.store.redis_store import RedisStore
from cluster.store.server import ROOT, RedisServer
from tests.cluster.store.builders import at, plan, report
from tests.cluster.store.harness import START, ManualClock
from tests.cluster.store.redis_process import RedisProcess

pytestmark = pytest.mark.redis

HOLDERS = st.sampled_from(["one", "two"])
PLANS = st.sampled_from(["p1", "p2", "p3", "p4", "p5"])
SELDOM = st.sampled_from([0, 0, 0, 0, 0, 1])
OPENING = st.sampled_from([PlanState.WAITING] * 3 + [PlanState.ACTIVE] * 2 + [PlanState.ENDED])
STEPS = st.sampled_from(["s1", "s2", "z", "none"])
GUESTS = st.sampled_from(["g1", "g2", "g3"])
MOMENTS = st.integers(0, 10**9).map(lambda microseconds: at(microseconds / 1e6))
PERMITS = st.lists(
    st.builds(
        Permit, st.sampled_from(["cluster", "guest:g1", "group:web"]), st.integers(0, 2), st.none() | st.just(86400.0)
    ),
    max_size=3,
    unique_by=lambda permit: permit.key,
)
TEXTS = st.sampled_from(["", "so be it", 'ünï "quoted" \\ / \n', "🛶"])
LONG_S = 3600.0
LAST_TOKEN = 10**14
JOURNAL_KEPT, PLANS_KEPT = 12, 3


class Both:
    """Two stores and a call that asks both and insists on one answer."""

    def __init__(self, memory: Store, redis: Store) -> None:
        self._stores = (memory, redis)

    def ask(self, call: Callable[[Store], object]) -> object:
        """Return the one answer, a refusal being an answer too."""
        first, second = (self._one(call, store) for store in self._stores)
        assert first == second
        return first

    def _one(self, call: Callable[[Store], object], store: Store) -> object:
        try:
            return call(store)
        except (FencedError, ConflictError, RateLimitError, ValueError) as error:
            return (type(error), str(error))


class SideBySide(RuleBasedStateMachine):
    """Every method in any order. Time passes for all at once: what can expire does."""

    process: RedisProcess

    @initialize()
    def begin(self) -> None:
        self.clock = ManualClock()
        self.client = self.process.client()
        self.client.flushall()
        server = RedisServer("tests", 5.0, {"unix_socket_path": str(self.process.socket)})
        self.redis = RedisStore(server, JOURNAL_KEPT, PLANS_KEPT)
        memory = MemoryStore(self.clock, JOURNAL_KEPT, PLANS_KEPT)
        # Redis begins with its time, memory with nothing: both go on from here.
        memory._last_token = LAST_TOKEN
        self.client.set(f"{ROOT}token", LAST_TOKEN)
        self.both = Both(memory, self.redis)
        self.token = LAST_TOKEN

    @rule(guest=GUESTS, moment=MOMENTS, seconds=st.floats(0, 1e6))
    def record_move(self, guest: str, moment: datetime, seconds: float) -> None:
        fact = MoveFact("p1", "s1", guest, "a", "b", moment, 100, 2.5, 120, seconds, alone=True, mib_ratio=1.25)
        self.both.ask(lambda store: store.record_move(fact))
        self.both.ask(lambda store: store.moves())

    def teardown(self) -> None:
        if hasattr(self, "redis"):
            self.redis.close()
            self.client.close()

    @rule(host=st.sampled_from(["a", "b"]), start=st.integers(0, 2), sequence=st.integers(0, 2))
    def put_report(self, host: str, start: int, sequence: int) -> None:
        self.both.ask(lambda store: store.put_report(report(host, start / 1e6, sequence), LONG_S))

    @rule(holder=HOLDERS)
    def acquire_lease(self, holder: str) -> None:
        lease = self.both.ask(lambda store: store.acquire_lease(holder, LONG_S))
        if isinstance(lease, Lease):
            self.token = lease.token

    @rule(holder=HOLDERS, really=SELDOM)
    def release_lease(self, holder: str, really: int) -> None:
        if really:
            self.both.ask(lambda store: store.release_lease(Lease(holder, self.token)))

    @rule(really=SELDOM)
    def expire(self, really: int) -> None:
        if not really:
            return
        self.clock.sleep(10 * 86_400)
        expiring = [
            key for kind in ("lease", "report:*", "status", "command:*") for key in self.client.keys(ROOT + kind)
        ]
        if expiring:
            self.client.delete(*expiring)
        for key in self.client.keys(f"{ROOT}permit:*"):
            self.client.zremrangebyscore(key, "-inf", "(+inf")

    @rule(name=PLANS, state=OPENING, behind=SELDOM)
    def open_plan(self, name: str, state: PlanState, behind: int) -> None:
        self.both.ask(lambda store: store.open_plan(plan(name), state, self.token - behind, at(5)))

    @rule(name=PLANS, state=st.sampled_from(PlanState), why=TEXTS, behind=SELDOM)
    def set_plan_state(self, name: str, state: PlanState, why: str, behind: int) -> None:
        self.both.ask(lambda store: store.set_plan_state(name, state, self.token - behind, at(6), why))

    @rule(
        name=PLANS,
        step=STEPS,
        expected=st.none() | st.sampled_from(StepState),
        state=st.sampled_from(StepState),
        moment=MOMENTS,
        detail=TEXTS,
        ratio=st.floats(0, 1),
        downtime=st.none() | st.integers(0, 10**6),
        behind=SELDOM,
        permits=PERMITS,
    )
    def write_step(
        self,
        name: str,
        step: str,
        expected: StepState | None,
        state: StepState,
        moment: datetime,
        detail: str,
        ratio: float,
        downtime: int | None,
        behind: int,
        permits: list[Permit],
    ) -> None:
        record = StepRecord(state, moment, self.token - behind, detail, ratio, 3, downtime)
        if expected is None:  # what it is, so that most writes go through
            held = self.redis.plan(name)
            expected = StepState.WAITING if held is None else held.step_state(step)
        right = expected
        self.both.ask(lambda store: store.write_step(name, step, right, record, permits))

    @rule(guest=GUESTS, by=TEXTS)
    def resolve(self, guest: str, by: str) -> None:
        self.both.ask(lambda store: store.resolve(guest, by, at(8)))

    @rule(flag=st.sampled_from(["paused", "cordon:a"]), value=st.none() | TEXTS)
    def set_flag(self, flag: str, value: str | None) -> None:
        self.both.ask(lambda store: store.set_flag(flag, value))

    @rule(number=st.integers(0, 5), text=TEXTS)
    def push_command(self, number: int, text: str) -> None:
        self.both.ask(lambda store: store.push_command(Command(f"c{number}", "drain", text, "ann", at(number))))

    @rule()
    def take_commands(self) -> None:
        self.both.ask(lambda store: store.take_commands())

    @rule(text=TEXTS)
    def put_status(self, text: str) -> None:
        self.both.ask(lambda store: store.put_status(text, LONG_S))

    @rule(guest=GUESTS, slot=st.integers(0, 5) | st.integers(0, 3 * SLOTS), value=st.integers(-1, 2**40))
    def record_usage(self, guest: str, slot: int, value: int) -> None:
        moment = START + timedelta(seconds=slot * SLOT_S)
        self.both.ask(lambda store: store.record_usage(guest, Metric.CPU_MILLICORES, moment, value))

    @invariant()
    def everything_read_is_the_same(self) -> None:
        if not hasattr(self, "both"):
            return
        self.both.ask(lambda store: (store.reports(), store.flags(), store.status()))
        self.both.ask(lambda store: (store.active_plan(), store.plans(2), store.plan("p1")))
        self.both.ask(lambda store: (store.journal(99), store.journal(2)))
        self.both.ask(lambda store: (store.last_moves(), store.unresolved(), store.permits_taken()))
        self.both.ask(lambda store: [store.usage(guest, Metric.CPU_MILLICORES).last_slot for guest in ("g1", "g2")])


def test_redis_answers_like_memory(redis_process: RedisProcess) -> None:
    """No sequence of calls tells the two back ends apart, texts of refusals included."""

    class Machine(SideBySide):
        process = redis_process

    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=50, stateful_step_count=60, deadline=None, derandomize=True),
    )


@pytest.fixture
def ring_server(redis_process: RedisProcess) -> Iterator[RedisServer]:
    """A connection for the tests of the packed rings."""
    server = RedisServer("tests", 5.0, {"unix_socket_path": str(redis_process.socket)})
    yield server
    server.close()


SAMPLES = st.lists(
    st.tuples(
        st.integers(0, 4) | st.integers(SLOTS - 3, SLOTS + 3) | st.integers(0, 4 * SLOTS),
        st.integers(0, 2**40) | st.integers(2**32 - 3, 2**32 + 3),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=SAMPLES, first=st.integers(0, 3 * SLOTS))
def test_rings_are_the_same_bytes(ring_server: RedisServer, steps: list[tuple[int, int]], first: int) -> None:
    """Whatever is recorded, late samples and gaps of more than a turn included, the ring equals the reference's."""
    ring_server.call("FLUSHALL")
    store = RedisStore(ring_server)
    packed = b""
    for slot, value in steps:
        moment = START + timedelta(seconds=(first + slot) * SLOT_S)
        store.record_usage("g", Metric.NET_MBIT_S, moment, value)
        packed = with_sample(packed, moment, value)
        assert store.usage("g", Metric.NET_MBIT_S).packed == packed
    assert len(packed) == RING_BYTES
