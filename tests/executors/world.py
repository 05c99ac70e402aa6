"""A scripted world for the runner's tests: guests on hosts, migrations that end as told, faults at any call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from cluster.config.settings import MigrationSettings
from cluster.errors import HostUnreachableError, RefusedError, StepError, StoreUnavailableError
from cluster.plan import Estimate, Figures, Migrate, Plan, PlanRecord, PlanState, Sleep, Status, Step, StepState, Wake
from cluster.store.memory import MemoryStore
from cluster.store.protocol import Lease
from executors.events import Event
from executors.protocol import MayBegin, Presence, Progress, Sighting, always
from executors.runner import PlanRunner

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LEASE_S = 15.0
SETTLE_S = 20.0
CONFIRM_S = 2.0


class Crash(BaseException):
    """The process dies here; nobody catches it."""


class ManualClock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.ahead_s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed_s + self.ahead_s)

    def monotonic_s(self) -> float:
        return 1000.0 + self.elapsed_s

    def sleep(self, seconds: float) -> None:
        self.elapsed_s += seconds


class End(StrEnum):
    """How a scripted migration goes."""

    ARRIVES = "arrives"
    FAILS = "fails"
    REFUSED = "refused"
    START_UNKNOWN = "start_unknown"  # start raises, and the migration runs all the same
    NEVER_BEGINS = "never_begins"  # start raises, and nothing was begun
    LOST = "lost"  # the source falls silent for good in mid-migration
    HANGS = "hangs"  # runs until it is asked to stop
    DEAF = "deaf"  # runs for ever
    DIES = "dies"  # the guest's QEMU dies on the source


@dataclass
class Job:
    """A migration under way."""

    step: Migrate
    began_s: float
    end: End
    limit_mib_s: int = 0


@dataclass
class World:
    """Hosts and guests; what `MigrationExecutor` does, and laws that must hold whenever it is called."""

    clock: ManualClock
    settings: MigrationSettings
    where: dict[str, set[str]]
    ends: Mapping[str, End] = field(default_factory=dict)
    lasts_s: float = 5.0
    silent: set[str] = field(default_factory=set)
    stopped: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    finished: set[str] = field(default_factory=set)
    aborted: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)  # steps of other kinds, taken as done
    most_running: int = 0
    permits: dict[str, MayBegin] = field(default_factory=dict)
    hook: Callable[[str], None] = lambda call: None

    def advance(self, seconds: float) -> None:
        """Let time pass and jobs end."""
        self.clock.elapsed_s += seconds
        for guest, job in sorted(self.jobs.items()):
            step = job.step
            if job.end is End.LOST:
                self.silent.add(step.source)
            if self.clock.elapsed_s - job.began_s < self.lasts_s or job.end in (End.HANGS, End.DEAF, End.LOST):
                continue
            del self.jobs[guest]
            if job.end is End.FAILS:
                self.errors[step.id] = "the link broke"
                continue
            self.where[guest] = set() if job.end is End.DIES else {step.target}
            if job.end is End.DIES:
                self.stopped[guest] = step.source
            self.finished.add(step.id)

    # -- MigrationExecutor -----------------------------------------------------------------------------------------
    def look(self, step: Migrate) -> Sighting:
        self.hook("look")
        elsewhere = sorted(self.where[step.guest] - {step.source, step.target} - self.silent)
        return Sighting(self._presence(step, step.source), self._presence(step, step.target), tuple(elsewhere))

    def start(self, step: Migrate, limit_mib_s: int, may_begin: MayBegin = always) -> None:
        assert step.id not in self.started, f"{step.id} is started a second time"
        assert self.where[step.guest] == {step.source}, f"{step.id} starts while its guest is not on its source alone"
        assert step.guest not in self.jobs, f"{step.id} starts while its guest is under way"
        assert set(step.after) <= self.finished | self.others, f"{step.id} starts before what it waits for"
        self.hook("start")
        end = self.ends.get(step.id, End.ARRIVES)
        if end is End.REFUSED:
            raise RefusedError("no room on the target")
        self.permits[step.id] = may_begin
        if not may_begin():
            raise StepError("not begun")
        self.started.append(step.id)
        if end is End.NEVER_BEGINS:
            raise HostUnreachableError(f"host {step.source} did not answer in time")
        self.jobs[step.guest] = Job(step, self.clock.elapsed_s, end, limit_mib_s)
        self._check_limits()
        if end is End.START_UNKNOWN:
            raise StepError("no word from the source")
        self.hook("started")

    def set_limit(self, step: Migrate, limit_mib_s: int) -> None:
        self.hook("set_limit")
        if step.source in self.silent:
            raise HostUnreachableError(f"host {step.source} does not answer")
        if (job := self.jobs.get(step.guest)) is not None and job.step.id == step.id:
            job.limit_mib_s = limit_mib_s

    def poll(self, step: Migrate) -> Progress:
        self.hook("poll")
        if step.source in self.silent:
            raise HostUnreachableError(f"host {step.source} does not answer")
        job = self.jobs.get(step.guest)
        if job is None or job.step.id != step.id:
            return Progress(running=False, error=self.errors.get(step.id, ""))
        ratio = min(0.99, (self.clock.elapsed_s - job.began_s) / self.lasts_s)
        return Progress(running=True, ratio=ratio, mib=int(1000 * ratio))

    def abort(self, step: Migrate) -> None:
        self.hook("abort")
        self.aborted.add(step.id)
        job = self.jobs.get(step.guest)
        if job is not None and job.end is not End.DEAF:
            del self.jobs[step.guest]

    def _presence(self, step: Migrate, host: str) -> Presence:
        if host in self.silent:
            return Presence.UNKNOWN
        job = self.jobs.get(step.guest)
        if job is not None and host == job.step.source:
            return Presence.LEAVING
        if job is not None and host == job.step.target and job.end is not End.LOST:
            return Presence.ARRIVING
        if host in self.where[step.guest]:
            return Presence.RUNNING
        return Presence.STOPPED if self.stopped.get(step.guest) == host else Presence.ABSENT

    def _check_limits(self) -> None:
        steps = [job.step for job in self.jobs.values()]
        self.most_running = max(self.most_running, len(steps))
        assert len(steps) <= self.settings.per_cluster, "too many migrations in the cluster"
        for host in {step.source for step in steps} | {step.target for step in steps}:
            assert sum(step.source == host for step in steps) <= self.settings.out_per_host, f"too many leave {host}"
            assert sum(step.target == host for step in steps) <= self.settings.in_per_host, f"too many come to {host}"


class FaultyStore:
    """A `MemoryStore` whose journal calls can be made to fail, before or after they took effect."""

    CALLS = ("open_plan", "set_plan_state", "write_step", "active_plan", "plan", "unresolved")

    def __init__(self, inner: MemoryStore) -> None:
        self.inner = inner
        self.hook: Callable[[str], None] = lambda call: None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        if name not in self.CALLS:
            return method

        def call(*arguments: Any) -> Any:
            self.hook(f"before {name}")
            value = method(*arguments)
            self.hook(f"after {name}")
            return value

        return call


class Power:
    """A `PowerExecutor` whose hosts reach their state at once, some time later, or never."""

    def __init__(self, *, refuses: str = "", error: str = "", lasts: int = 1) -> None:
        self.refuses, self.error, self.lasts = refuses, error, lasts
        self.started: list[str] = []

    def start(self, step: Sleep | Wake, may_begin: MayBegin = always) -> None:
        if self.refuses:
            raise RefusedError(self.refuses)
        assert step.id not in self.started
        self.started.append(step.id)

    def poll(self, step: Sleep | Wake) -> Progress:
        self.lasts -= 1
        if self.lasts >= 0:
            return Progress(running=True)
        return Progress(running=False, error=self.error)


def migrate(step: str, guest: str, source: str, target: str, after: tuple[str, ...] = ()) -> Migrate:
    """A migration step."""
    return Migrate(step, guest, source, target, "for the test", Estimate(1000, 5.0, 40, 0.99, 5000), guest, after)


def plan(*steps: Step, plan_id: str = "p1") -> Plan:
    """A plan of these steps."""
    nothing = Figures(3, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
    expires = START + timedelta(seconds=900)
    about = ("snapshot", "balance", 3, 1, START, expires, Status.FEASIBLE, "for the test", (), 0.0)
    return Plan(plan_id, *about, steps, nothing, nothing)


@dataclass
class Stage:
    """A world, a store and a runner that leads, as the tests drive them."""

    world: World
    clock: ManualClock
    inner: MemoryStore
    store: FaultyStore
    runner: PlanRunner
    power: Power | None = None
    refusals: dict[str, str] = field(default_factory=dict)
    why_held: str | None = None
    lease: Lease | None = None
    events: list[Event] = field(default_factory=list)

    def new_runner(self) -> PlanRunner:
        """Make a runner with an empty memory, as after a restart."""
        self.runner = PlanRunner(
            self.store,
            self.world,
            self.power,
            self.clock,
            self.world.settings,
            lambda _plan, step: self.refusals.get(step.id),
            lambda: self.why_held,
            lambda: self.lease,
            settle_s=SETTLE_S,
            confirm_s=CONFIRM_S,
        )
        return self.runner

    def tick(self, seconds: float = 1.0) -> tuple[Event, ...]:
        """Do one pass and let time pass; the leader renews its lease."""
        if self.lease is not None:
            self.inner.acquire_lease(self.lease.holder, LEASE_S)
        events = self.runner.tick()
        self.events += events
        self.world.advance(seconds)
        return events

    def run(self, most: int = 400) -> PlanRecord:
        """Tick until the plan is over, and return its record."""
        for _ in range(most):
            if self.inner.active_plan() is None:
                break
            self.tick()
        record = self.record()
        assert record.state is PlanState.ENDED, f"the plan does not end: {record}"
        return record

    def record(self, plan_id: str = "p1") -> PlanRecord:
        """The journal's record of the plan."""
        record = self.inner.plan(plan_id)
        assert record is not None
        return record

    def states(self) -> dict[str, StepState]:
        """Every step's state."""
        record = self.record()
        return {step.id: record.step_state(step.id) for step in record.plan.steps}


def stage(
    where: Mapping[str, str],
    *,
    ends: Mapping[str, End] | None = None,
    settings: MigrationSettings | None = None,
    power: Power | None = None,
) -> Stage:
    """Set a stage with each guest on its host and a runner that holds the lease."""
    clock = ManualClock()
    inner = MemoryStore(clock)
    world = World(clock, settings or MigrationSettings(), {guest: {host} for guest, host in where.items()}, ends or {})
    made = Stage(world, clock, inner, FaultyStore(inner), runner=None, power=power)  # type: ignore[arg-type]  # next line
    made.lease = inner.acquire_lease("a", LEASE_S)
    made.new_runner()
    return made


def outage() -> StoreUnavailableError:
    """What a store raises that does not answer."""
    return StoreUnavailableError("redis at 10.0.0.1:6379 does not answer: start it or set store.url")
