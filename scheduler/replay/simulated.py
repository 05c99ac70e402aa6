"""The real loop on a pretend cluster in virtual time, as `simulator.replay` drives it: for `simulate` and scenarios."""

from __future__ import annotations

from cluster.config.settings import Settings
from cluster.snapshot import Snapshot
from cluster.store.memory import MemoryStore
from cluster.store.protocol import Command
from scheduler import regret
from scheduler.loop import Loop
from scheduler.parts import Parts
from scheduler.turns import Turns
from simulator.clock import SimClock
from simulator.executor import SimMigrationExecutor, SimPowerExecutor
from simulator.fleet import SimFleet
from simulator.world import World


class Bench:
    """What stays when the loop crashes and comes up again: the world and the store."""

    def __init__(self) -> None:
        self.world: World
        self.store: MemoryStore
        self.before: Snapshot
        self._loops = 0

    def loop(self, world: World, settings: Settings, clock: SimClock) -> SimulatedLoop:
        """Return a loop on the world: the first, or one that comes after a crash."""
        if not self._loops:
            self.world, self.store, self.before = world, MemoryStore(clock), world.snapshot()
        self._loops += 1
        return SimulatedLoop(world, settings, clock, self.store, f"loop-{self._loops}")


class SimulatedLoop:
    """The real loop as `simulator.replay` drives one."""

    def __init__(self, world: World, settings: Settings, clock: SimClock, store: MemoryStore, holder: str) -> None:
        self._lines: list[str] = []
        self._store = store
        fleet = SimFleet(world, store, clock, settings.collect)
        parts = Parts(store, fleet, SimMigrationExecutor(world), SimPowerExecutor(world), world)
        self._clock = clock
        self._loop = Loop(parts, settings, clock, holder, self._lines.append)
        self._turns = Turns(self._loop.jobs(), clock, self._lines.append)

    @property
    def next_due_s(self) -> float:
        """When the next job is due."""
        return self._turns.next_due_s

    def step(self) -> None:
        """Run the jobs that are due."""
        self._turns.step()

    def command(self, verb: str, argument: str) -> None:
        """Do what the verb of the command line does, by the store."""
        flag = {"pause": "paused", "resume": "paused"}.get(verb, f"{verb.removeprefix('un')}:{argument}")
        if verb in ("pause", "drain", "fail"):
            self._store.set_flag(flag, "a person")
        elif verb in ("resume", "undrain", "unfail"):
            self._store.set_flag(flag, None)
            if verb == "resume":
                regret.forget(self._store)
        else:
            number = f"{verb}-{self._clock.monotonic_s()}"
            self._store.push_command(Command(number, verb, argument, "a person", self._clock.now()))

    def take_lines(self) -> list[str]:
        """Return what the loop has said."""
        taken = list(self._lines)
        self._lines.clear()
        return taken

    def close(self) -> None:
        """Give up leadership; the store stays."""
        self._loop.close()
