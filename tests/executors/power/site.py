"""Hosts with power of their own, a store, a real runner and the real power executor, on a clock that tests move."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from cluster.config.power import PowerSettings
from cluster.config.settings import MigrationSettings
from cluster.errors import HostUnreachableError, RefusedError, StepError
from cluster.host import Host, PowerState
from cluster.plan import PlanRecord, PlanState, Sleep, StepRecord, StepState, Wake
from cluster.power_sight import effective_state, power_steps
from cluster.report import HostUsage, Observation, Report
from cluster.store.memory import MemoryStore
from executors.power.executor import HostPowerExecutor
from executors.power.observer import PowerObserver
from executors.power.worker import HostWorker, Spawn
from executors.runner import PlanRunner
from scheduler.power.notes import note_power
from tests.executors.world import LEASE_S, START, ManualClock, World, plan

SETTINGS = PowerSettings(sleep_timeout_s=120.0, wake_timeout_s=240.0, agent_timeout_s=20.0, retries=1)
INTERVAL_S = 10.0


def inline(function: Callable[[], None], _name: str) -> None:
    """Run it now."""
    function()


def never(_function: Callable[[], None], _name: str) -> None:
    """Begin a thread that hangs at once, for ever."""


@dataclass
class Machine:
    """A host and its BMC: down `down_s` after it was told, up `up_s` after; it reports while it is up."""

    clock: ManualClock
    host: str
    sees_power: bool = True
    down_s: float = 20.0
    up_s: float = 60.0
    refuses: bool = False
    silent: bool = False
    deaf: bool = False
    says: PowerState | None = None
    asked: list[str] = field(default_factory=list)
    looks: int = 0
    _on: bool = True
    _changes_s: float = 0.0

    @property
    def is_up(self) -> bool:
        """Whether the host runs."""
        return self._on if self.clock.elapsed_s >= self._changes_s else not self._on

    def state(self) -> PowerState:
        self.looks += 1
        self._must_answer()
        if self.says is not None:
            return self.says
        if not self.sees_power:
            return PowerState.ON if self.is_up else PowerState.UNKNOWN
        return PowerState.ON if self.is_up or self._on else PowerState.OFF

    def sleep(self) -> None:
        self._told("sleep", False, self.down_s)

    def wake(self) -> None:
        self._told("wake", True, self.up_s)

    def watts(self) -> float | None:
        return None

    def close(self) -> None:
        """Nothing is held."""

    def put(self, on: bool) -> None:
        """Let somebody else switch it."""
        self._on, self._changes_s = on, 0.0

    def _told(self, what: str, to: bool, lasting_s: float) -> None:
        self._must_answer()
        if self.refuses:
            raise StepError(f"host {self.host}: its BMC refuses it")
        self.asked.append(what)
        if not self.deaf and self._on is not to:
            self._on, self._changes_s = to, self.clock.elapsed_s + lasting_s

    def _must_answer(self) -> None:
        if self.silent:
            raise HostUnreachableError(f"host {self.host}: its BMC does not answer")


class FakeRoom:
    """A room that finds what it is told to find."""

    def __init__(self) -> None:
        self.holds: dict[str, str] = {}
        self.unseen: set[str] = set()
        self.cleared: list[str] = []
        self.shut: set[str] = set()

    def clear(self, host: str, step: str) -> str:
        self.cleared.append(host)
        if host in self.unseen:
            raise HostUnreachableError(f"host {host}: its agent did not look within 20 s")
        if host in self.holds:
            raise RefusedError(f"host {host}: {self.holds[host]} is active there")
        self.shut.add(host)
        return ""

    def leave(self, host: str) -> None:
        self.shut.discard(host)


class Site:
    """Hosts `h1` to `h3`, all up and reporting; a runner that leads."""

    def __init__(self, spawn: Spawn = inline, own: Iterable[str] = (), **about: object) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.machines = {host: Machine(self.clock, host, **about) for host in ("h1", "h2", "h3")}  # type: ignore[arg-type]
        self.room = FakeRoom()
        self.spawn = spawn
        self.own = tuple(own)
        self.lines: list[str] = []
        self.report_ttl_s = 3600.0
        self._reported: dict[str, int] = {}
        self.lease = self.store.acquire_lease("a", LEASE_S)
        self.restart()
        self.report()

    def restart(self) -> None:
        """Let another process lead from what the store holds."""
        workers = {host: HostWorker(host, one, self.clock, self.spawn) for host, one in self.machines.items()}
        self.executor = HostPowerExecutor(
            workers,
            self.store,
            self.clock,
            SETTINGS,
            self.room,
            kept_on=dict.fromkeys(self.own, "is this scheduler's own"),
            quiet_s=1.5 * INTERVAL_S,
        )
        self.observer = PowerObserver(workers, self.store, self.clock, SETTINGS, self.room, stale_s=90.0)
        world = World(self.clock, MigrationSettings(), {}, {})
        self.runner = PlanRunner(
            self.store,
            world,
            self.executor,
            self.clock,
            MigrationSettings(),
            lambda _plan, _step: None,
            lambda: None,
            lambda: self.lease,
        )

    def take_over(self) -> None:
        """Let another process take the lease, and lead."""
        assert self.lease is not None
        self.store.release_lease(self.lease)
        self.lease = self.store.acquire_lease("b", LEASE_S)
        self.restart()

    def report(self) -> None:
        """Let every host that is up report."""
        for host, machine in self.machines.items():
            if machine.is_up:
                number = self._reported[host] = self._reported.get(host, 0) + 1
                seen = Observation(self.clock.now(), Host(host, 8000, 16384), HostUsage(), ())
                self.store.put_report(Report("boot", START, number, seen), self.report_ttl_s)

    def tick(self, seconds: float = 1.0) -> None:
        """Do one pass of the runner, and let time pass with reports every interval."""
        assert self.lease is not None
        self.store.acquire_lease(self.lease.holder, LEASE_S)
        for event in self.runner.tick():
            note_power(event, self.store, self.clock.now())
        before = self.clock.elapsed_s
        self.clock.sleep(seconds)
        if before // INTERVAL_S != self.clock.elapsed_s // INTERVAL_S:
            self.report()

    def begin(self, *steps: Sleep | Wake, plan_id: str = "p1") -> None:
        """Begin a plan of these steps."""
        made = plan(*steps, plan_id=plan_id)
        self.runner.begin(replace(made, expires_at=self.clock.now() + timedelta(hours=1)))

    def run(self, *steps: Sleep | Wake, plan_id: str = "p1", most: int = 600) -> StepRecord:
        """Carry out a plan and return the record of its last step."""
        self.begin(*steps, plan_id=plan_id)
        return self.end(steps[-1].id, plan_id, most)

    def end(self, step: str, plan_id: str = "p1", most: int = 600) -> StepRecord:
        """Tick until the plan is over, and return the record of a step."""
        for _ in range(most):
            if self.store.active_plan() is None:
                break
            self.tick()
        record = self.record(plan_id)
        assert record.state is PlanState.ENDED, record
        return record.steps[step]

    def record(self, plan_id: str = "p1") -> PlanRecord:
        """The journal's record of a plan."""
        record = self.store.plan(plan_id)
        assert record is not None
        return record

    def look(self, times: int = 1, every_s: float = 30.0) -> None:
        """Let the observer look, and time pass in between."""
        for _ in range(times):
            self.lines += self.observer.look()
            for _ in range(int(every_s)):
                self.tick()


def sleep(host: str = "h1", step: str = "s1", after: tuple[str, ...] = ()) -> Sleep:
    """A step that puts a host to sleep."""
    return Sleep(step, host, "for the test", 0.0, after)


def wake(host: str = "h1", step: str = "s1", after: tuple[str, ...] = ()) -> Wake:
    """A step that wakes a host."""
    return Wake(step, host, "for the test", after)


def effective(site: Site, host: str = "h1") -> PowerState:
    """The state that plans go by."""
    report = next((one for one in site.store.reports() if one.host == host), None)
    fresh = report is not None and (site.clock.now() - report.observation.taken_at).total_seconds() < 90
    steps = power_steps(site.store.active_plan()).get(host, ())
    return effective_state(host, PowerState.ON, fresh, site.store.flags(), steps)


def asleep(site: Site, host: str = "h1") -> Site:
    """Put a host to sleep, and have all be well."""
    record = site.run(sleep(host), plan_id="p0")
    assert record.state is StepState.DONE, record
    return site
