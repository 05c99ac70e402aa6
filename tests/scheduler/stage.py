"""The real loop on a small pretend cluster in virtual time, for tests of what the loop decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cluster.config.power import PowerSettings, WakeTest
from cluster.config.settings import GateSettings, HostSettings, Mode, SchedulerSettings, Settings
from cluster.plan import PlanRecord, PlanState
from cluster.rules import Rule
from cluster.store.memory import MemoryStore
from cluster.store.protocol import Command
from executors.runner import PlanRunner
from scheduler.loop import Loop
from scheduler.parts import Parts
from scheduler.turns import Turns
from simulator.build import demo_settings_hosts
from simulator.executor import SimMigrationExecutor, SimPowerExecutor
from simulator.fleet import SimFleet
from simulator.guests import SteadyLoad
from tests.simulator.worlds import make_guest, make_world

QUICK = Settings(
    scheduler=SchedulerSettings(mode=Mode.ACT, level=5, work_limit=0.5),
    gate=GateSettings(quiet_start_s=0.0, kill_switch="/nonexistent/stop"),
    power=PowerSettings(wake_test=WakeTest.OFF),
)


def in_mode(mode: Mode, settings: Settings = QUICK) -> Settings:
    """The settings in another mode."""
    return replace(settings, scheduler=replace(settings.scheduler, mode=mode))


class Stage:
    """Three hosts a, b, c; `guests` guests of one core and 4 GiB each, all on a; a loop that has just started."""

    def __init__(self, settings: Settings = QUICK, guests: int = 6, rules: Sequence[Rule] = ()) -> None:
        self.world, self.clock = make_world(
            [make_guest(f"g{number}", load=SteadyLoad(1000)) for number in range(guests)], rules=rules
        )
        self.store = MemoryStore(self.clock)
        self.said: list[str] = []
        self.settings = replace(settings, hosts=demo_settings_hosts(self.world), rules=tuple(rules))
        self.succeed("one")
        self._commands = 0

    def succeed(self, holder: str = "two") -> None:
        """Go on with another loop, once it leads; the one before, if any, has died without a word."""
        self.loop = self.new_loop(holder)
        self._turns = Turns(self.loop.jobs(), self.clock, self.said.append)

    def new_loop(self, holder: str) -> Loop:
        """A loop over the same world and store."""
        fleet = SimFleet(self.world, self.store, self.clock, self.settings.collect)
        parts = Parts(self.store, fleet, SimMigrationExecutor(self.world), SimPowerExecutor(self.world), self.world)
        return Loop(parts, self.settings, self.clock, holder, self.said.append)

    @property
    def runner(self) -> PlanRunner:
        """The loop's runner."""
        return self.loop.runner

    def run(self, seconds: float) -> None:
        """Let the loop do its jobs for a while."""
        self._turns.until(lambda: False, seconds)

    def ask(self, verb: str, argument: str = "") -> str:
        """Put a command to the loop and let it act on it; return what it said of it."""
        self._commands += 1
        said = len(self.said)
        self.store.push_command(Command(f"c{self._commands}", verb, argument, "ann", self.clock.now()))
        self.loop.tick()
        return next((line for line in self.said[said:] if " ann" in line), "")

    def on(self, host: str) -> int:
        """How many guests run on a host."""
        return len(self.world.snapshot().guests_by_host[host])

    def plans(self, state: PlanState) -> list[PlanRecord]:
        """The plans in a state, newest first."""
        return [record for record in self.store.plans(50) if record.state is state]

    def configure(self, settings: Settings) -> None:
        """Give the loop other settings, its hosts kept."""
        self.settings = replace(settings, hosts=self.settings.hosts, rules=self.settings.rules)
        self.loop.settings = self.settings

    def host_mode(self, host: str, mode: Mode) -> None:
        """Give one host a mode of its own."""
        hosts: tuple[HostSettings, ...] = tuple(
            replace(one, mode=mode) if one.id == host else one for one in self.settings.hosts
        )
        self.settings = replace(self.settings, hosts=hosts)
        self.loop.settings = self.settings
