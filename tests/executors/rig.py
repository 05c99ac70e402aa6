"""The runner with the real libvirt executor over the lab's hosts, for tests in this process and in a child."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cluster.clock import SystemClock
from cluster.config.settings import MigrationSettings, StoreSettings
from cluster.connections.libvirt_connection import LibvirtConnection
from cluster.migration.links import Links
from cluster.plan import Migrate, Plan, PlanRecord, PlanState, StepRecord, StepState
from cluster.store.memory import MemoryStore
from cluster.store.open import open_store
from cluster.store.protocol import Lease, Store
from executors.events import Event
from executors.libvirt_migration import LibvirtMigrationExecutor
from executors.runner import PlanRunner
from executors.terms import TermsOf, no_terms
from tests.executors.world import plan

LEASE_S = 60.0
DEADLINE_S = 2.0


@dataclass
class Rig:
    """A leading runner over real hosts, given as id and libvirt URI."""

    uris: dict[str, str]
    settings: MigrationSettings = MigrationSettings(mbit_s=420)
    store: Store = field(default_factory=lambda: MemoryStore(SystemClock()))
    holder: str = "a"
    settle_s: float = 8.0
    links: Links = field(default_factory=lambda: Links({}))
    terms: TermsOf = no_terms
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = SystemClock()
        self.connections = {
            host: LibvirtConnection(uri, DEADLINE_S, self.clock, name=host) for host, uri in self.uris.items()
        }
        addresses = {host: uri.split("/")[2] for host, uri in self.uris.items()}
        self.executor = LibvirtMigrationExecutor(self.connections, addresses, self.settings, self.clock)
        self.lease: Lease | None = self.store.acquire_lease(self.holder, LEASE_S)
        self.runner = PlanRunner(
            self.store,
            self.executor,
            None,
            self.clock,
            self.settings,
            lambda _plan, _step: None,
            lambda: None,
            lambda: self.lease,
            settle_s=self.settle_s,
            confirm_s=1.0,
            terms=self.terms,
            links=lambda: self.links,
        )

    def begin(self, *steps: Migrate, plan_id: str = "p1") -> Plan:
        """Begin a plan of these steps."""
        made = plan(*steps, plan_id=plan_id)
        self.runner.begin(made)
        return made

    def tick(self) -> None:
        """One pass, and a short rest."""
        self.store.acquire_lease(self.holder, LEASE_S)
        self.events += self.runner.tick()
        time.sleep(0.1)

    def until(self, holds: Callable[[], bool], most_s: float = 30.0) -> None:
        """Tick until something holds."""
        deadline = time.monotonic() + most_s
        while not holds():
            assert time.monotonic() < deadline, f"does not come to pass: {self.events[-5:]}"
            self.tick()

    def finish(self, plan_id: str = "p1", most_s: float = 60.0) -> PlanRecord:
        """Tick until the plan is over."""
        self.until(lambda: self.record(plan_id).state is PlanState.ENDED, most_s)
        return self.record(plan_id)

    def record(self, plan_id: str = "p1") -> PlanRecord:
        """The journal's record of a plan."""
        record = self.store.plan(plan_id)
        assert record is not None
        return record

    def step(self, step: str = "s1") -> StepRecord:
        """A step's record."""
        return self.record().steps[step]

    def under_way(self, step: str = "s1") -> bool:
        """Whether the step's migration has sent memory."""
        record = self.record().steps.get(step)
        return record is not None and record.state is StepState.RUNNING and record.mib >= 2

    def close(self) -> None:
        """Let go of threads and connections."""
        self.executor.close()
        for connection in self.connections.values():
            connection.close()


def main(url: str, holder: str, mbit_s: str, *uris: str) -> None:
    """Carry out the store's active plan until it is over or this process is killed."""
    store = open_store(StoreSettings(url=url), SystemClock())
    hosts = dict(uri.split("=", 1) for uri in uris)
    rig = Rig(hosts, MigrationSettings(mbit_s=float(mbit_s)), store, holder)
    assert rig.lease is not None, "another runner leads"
    print("leading", flush=True)
    while store.active_plan() is not None:
        rig.tick()


if __name__ == "__main__":
    main(*sys.argv[1:])
