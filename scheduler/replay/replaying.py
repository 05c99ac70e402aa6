"""Long stretches of time replayed quickly: the real loop over a pretend cluster, its jobs run only when there is work.

`simulate` and scenarios take every turn that the daemon would. Here measuring, planning and publishing keep their own
beats, while ticks and the lease's renewals come only while a plan is under way, a command waits or a job was just done:
between those nothing could come of them. Everything else is the loop as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cluster.config.settings import Settings
from cluster.history import Metric, ring_of
from cluster.store.memory import MemoryStore
from scheduler.loop import Job, Loop
from scheduler.parts import Parts
from scheduler.trouble import Trouble
from simulator.build import demo_settings_hosts
from simulator.clock import SimClock
from simulator.executor import SimMigrationExecutor, SimPowerExecutor
from simulator.fleet import SimFleet
from simulator.world import World

_EAGER = frozenset({"lease", "tick"})
_SOON_S = 1e-3


@dataclass(frozen=True, slots=True)
class Pace:
    """How closely a replay looks: `tick_s` between ticks while a plan is under way, `publishes` the status or not.

    A tick comes as early as something ends in the world, but never less than `least_tick_s` after the last one.
    """

    tick_s: float = 15.0
    least_tick_s: float = 0.5
    publishes: bool = False


class Replaying:
    """The real loop on a world whose clock only it moves. `store`, `loop`, `world` and `clock` may be looked at.

    `lines` are what the loop said, each with its moment, unless a `listener` takes them. What a job meets as trouble
    (an error of `cluster.errors`) is said as a line and the replay goes on, as the daemon does.
    """

    def __init__(
        self,
        world: World,
        settings: Settings,
        clock: SimClock,
        *,
        pace: Pace | None = None,
        listener: Callable[[datetime, str], None] | None = None,
    ) -> None:
        """Build the loop with `replay_settings`; the world's hosts and rules are its configuration."""
        self.pace = pace or Pace()
        self.world = world
        self.clock = clock
        self.settings = replay_settings(settings, world)
        self.store = MemoryStore(clock)
        self.lines: list[tuple[datetime, str]] = []
        self._listener = listener or (lambda at, text: self.lines.append((at, text)))
        fleet = SimFleet(world, self.store, clock, self.settings.collect)
        parts = Parts(self.store, fleet, SimMigrationExecutor(world), SimPowerExecutor(world), world)
        self.loop = Loop(parts, self.settings, clock, "replay", self._say)
        jobs = self.loop.jobs()
        self._jobs = tuple(job for job in jobs if job.name not in _EAGER and (self._kept(job)))
        self._eager = tuple(job for job in jobs if job.name in _EAGER)
        self._due_s = {job.name: clock.monotonic_s() for job in self._jobs}
        self._trouble = Trouble(self._say)

    def remember(self, metric: Metric, first_slot: int, values: Mapping[str, Sequence[int | None]]) -> None:
        """Give the store a past: by guest one value for each slot from `first_slot` on, as agents' reports leave them.

        Slots are numbered as by `cluster.history.slot_of`; what was held of these guests and metric is let go.
        """
        for guest, past in values.items():
            self.store.fill(guest, metric, ring_of(first_slot, past))

    def run(self, for_s: float, each: Callable[[], None] | None = None) -> None:
        """Let so much time pass. `each` is called after every round of jobs (to look at the world, say)."""
        end_s = self.clock.monotonic_s() + for_s
        while True:
            next_s = min(self._due_s.values())
            if self.store.active_plan() is not None:
                next_s = min(next_s, self._next_tick_s())
            if next_s >= end_s:
                break
            self.clock.advance_to(next_s)
            self._round()
            if each is not None:
                each()
        self.clock.advance_to(end_s)
        self.world.settle_accounts()

    def _round(self) -> None:
        """Run every job that is due, between two ticks: what a job begins is taken up at once."""
        self._eagerly()
        now_s = self.clock.monotonic_s()
        ran = False
        for job in self._jobs:
            if self._due_s[job.name] <= now_s + _SOON_S:
                self._trouble.run(job)
                self._due_s[job.name] += job.every_s
                ran = True
        if ran:
            self._eagerly()

    def _eagerly(self) -> None:
        for job in self._eager:
            self._trouble.run(job)

    def _next_tick_s(self) -> float:
        now_s = self.clock.monotonic_s()
        return max(now_s + self.pace.least_tick_s, min(now_s + self.pace.tick_s, self.world.next_change_s()))

    def _kept(self, job: Job) -> bool:
        return self.pace.publishes or job.name != "publish"

    def _say(self, text: str) -> None:
        self._listener(self.clock.now(), text)


def replay_settings(settings: Settings, world: World) -> Settings:
    """Return the settings of a replay: the world's hosts and rules, a lease and reports that outlast its beats."""
    beat_s = max(settings.scheduler.interval_s, settings.collect.interval_s)
    collect = settings.collect
    return replace(
        settings,
        hosts=settings.hosts or demo_settings_hosts(world),
        rules=(*settings.rules, *world.rules),
        scheduler=replace(settings.scheduler, lease_s=max(settings.scheduler.lease_s, 10 * beat_s)),
        power=replace(settings.power, look_s=max(settings.power.look_s, collect.interval_s)),
        energy=replace(settings.energy, meter_every_s=max(settings.energy.meter_every_s, collect.interval_s)),
        collect=replace(
            collect,
            stale_s=max(collect.stale_s, 2.5 * collect.interval_s),
            report_ttl_s=max(collect.report_ttl_s, 10 * collect.interval_s),
        ),
    )
