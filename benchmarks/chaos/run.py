"""One run: a pretend cluster, two or three schedulers, each with its own clock, and a timetable of bad luck, by seed.

All of it happens on one thread, in the order of a virtual clock; a scheduler that stands still in the middle of a call
is one on whose call the others' turns are nested.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, cast

from benchmarks.chaos.cluster import make_cluster, make_settings
from benchmarks.chaos.plans import ChanceCycle
from benchmarks.chaos.strikes import Counted, Fate, Killed, StruckHands, StruckPower, StruckStore, draw_strikes
from benchmarks.chaos.trouble import Act, Deadline, Verb, draw_acts, draw_faults
from benchmarks.chaos.witness import Start, WatchedStore, WatchedWorld, Witness
from cluster.errors import TrimtabError
from cluster.plan import Migrate, PlanRecord, Sleep, StepState, Wake
from cluster.store.protocol import Command, Store
from scheduler.loop import Loop
from scheduler.parts import Parts
from scheduler.turns import Turns
from simulator.build import demo_settings_hosts
from simulator.clock import SimClock
from simulator.fleet import SimFleet
from simulator.network import SharedLink

BAD_S = 100.0
"""For how long things go wrong; then all comes back, and what is under way has to end."""
REST_S = 330.0
"""Time for that: a migration's time-out, what it takes to settle, and a lease, one after the other."""


class OwnClock:
    """A scheduler's own clock: its time of day is off, its seconds are a little long or short, and it may be frozen."""

    def __init__(self, true: SimClock, ahead_s: float, rate: float) -> None:
        self._true = true
        self._ahead = timedelta(seconds=ahead_s)
        self._born_s = true.monotonic_s()
        self.rate = rate
        self.frozen_s = 0.0

    def now(self) -> datetime:
        return self._true.now() + self._ahead - timedelta(seconds=self.frozen_s)

    def monotonic_s(self) -> float:
        return 1000.0 + (self._true.monotonic_s() - self._born_s - self.frozen_s) * self.rate

    def sleep(self, seconds: float) -> None:
        self._true.sleep(seconds / self.rate)


@dataclass
class Scheduler:
    """One scheduler process: the real loop with a clock, a line to the store and hands of its own."""

    number: int
    holder: str
    clock: OwnClock
    loop: Loop
    turns: Turns
    lines: list[str]
    held_up: bool = False
    doomed: bool = False

    def due_s(self, now_s: float) -> float:
        """When it is due next, in true seconds."""
        return now_s + max(0.001, (self.turns.next_due_s - self.clock.monotonic_s()) / self.clock.rate)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    seed: int
    wrong: tuple[str, ...]
    done: int
    ended_otherwise: int
    held_up: int
    deaths: int
    leaders: int
    strikes: int
    busiest_ratio: float = 0.0
    log: tuple[str, ...] = ()


@dataclass
class Run:
    """The run of a seed. With `verbose` its outcome holds a log of all that was said and done."""

    seed: int
    verbose: bool = False
    deaths: int = 0
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.clock = SimClock(datetime(2026, 11, 23, 10, tzinfo=UTC))
        hosts, guests, rules = make_cluster(self.random)
        self.settings = make_settings(self.random, hosts)
        wires = [SharedLink(one.name, one.mbit_s, frozenset(one.hosts)) for one in self.settings.links]
        self.world = WatchedWorld(hosts, guests, self.clock, rules, shared_links=wires, sample_s=60.0)
        self.settings = replace(self.settings, hosts=demo_settings_hosts(self.world), rules=rules)
        self.witness = Witness(self.settings, self.clock.monotonic_s)
        self.store = WatchedStore(self.clock, self.world, self.witness)
        self.world.witness, self.world.store = self.witness, self.store
        self.counted = Counted(draw_strikes(self.random, 4))
        names = [host.id for host in hosts], [guest.facts.id for guest in guests]
        for fault in draw_faults(self.random, *names, BAD_S):
            self.log.append(f"to come: {fault}")
            self.world.plan_fault(fault)
        self.size = self.random.choice((2, 2, 3))
        acts = draw_acts(self.random, *names, self.size, BAD_S)
        self.acts = sorted([*acts, *(Act(one.at_s, Verb.BEGIN, number=one.number) for one in self._births())], key=_at)
        self.cut_off: dict[int, float] = {}
        self.outage_until_s = 0.0
        self.schedulers: dict[int, Scheduler] = {}
        self.commands = 0

    def _births(self) -> list[Deadline]:
        return [Deadline(number * self.random.uniform(0, 6), number) for number in range(self.size)]

    # -- the whole -----------------------------------------------------------------------------------------------------
    def outcome(self) -> Outcome:
        """Run to the end and return what came of it."""
        self.until(BAD_S, ())
        self.counted.strikes.clear()
        self.outage_until_s = 0.0
        self.cut_off.clear()
        self.world.mend()
        for flag in ("paused",):
            self.store.set_flag(flag, None)
        for number in range(self.size):
            if number not in self.schedulers:
                self.schedulers[number] = self.new_scheduler(number)
        deadline_s = BAD_S + REST_S
        while self.clock.monotonic_s() < deadline_s and (self.store.active_plan() or self.world.migrations):
            self.until(min(deadline_s, self.clock.monotonic_s() + 10.0), ())
        self.until(self.clock.monotonic_s() + 1.0, ())
        if (record := self.store.active_plan()) is not None and not self._waits_for_permits(record):
            states = {step.id: str(record.step_state(step.id)) for step in record.plan.steps}
            self.witness.accuse(f"plan {record.plan.id} is {record.state} to the end: {states}")
        tally = self.witness
        return Outcome(
            self.seed,
            tuple(tally.wrong),
            tally.done,
            tally.ended_otherwise,
            tally.held_up,
            self.deaths,
            len(tally.tokens),
            len(self.counted.fallen),
            tally.busiest_ratio,
            tuple(self.log) if self.verbose else (),
        )

    def _waits_for_permits(self, record: PlanRecord) -> bool:
        """Whether a plan may wait for the hour to pass: by its leader's clock, far behind, it may not have expired."""
        limited = self.settings.rates.cluster_per_hour is not None
        return limited and all(record.step_state(step.id) is not StepState.RUNNING for step in record.plan.steps)

    def until(self, until_s: float, held_up: tuple[int, ...]) -> None:
        """Let time pass for everybody but those held up, in the order in which they are due."""
        while True:
            now_s = self.clock.monotonic_s()
            due = {
                number: one.due_s(now_s)
                for number, one in self.schedulers.items()
                if not one.held_up and number not in held_up
            }
            number = min(due, key=lambda one: (due[one], one), default=-1)
            scheduler_s = due.get(number, math.inf)
            act_s = self.acts[0].at_s if self.acts else math.inf
            if min(scheduler_s, act_s) >= until_s:
                self.clock.advance_to(until_s)
                self._listen()
                return
            self.clock.advance_to(min(scheduler_s, act_s))
            if act_s <= scheduler_s:
                self._act(self.acts.pop(0))
            else:
                self._step(self.schedulers[number])
            self._listen()

    # -- schedulers ----------------------------------------------------------------------------------------------------
    def new_scheduler(self, number: int) -> Scheduler:
        """Return a process that has just come up."""
        random = self.random
        ahead_s = random.choice((0.0, 0.0, random.uniform(-40, 40), random.uniform(-4000, 4000)))
        clock = OwnClock(self.clock, ahead_s, random.uniform(0.95, 1.05))
        holder = f"scheduler-{number}.{self.deaths}"
        lines: list[str] = []
        scheduler: list[Scheduler] = []

        def stall(for_s: float, frozen: bool) -> None:
            self._stall(scheduler[0], for_s, frozen)

        def begins(step: Migrate) -> None:
            plan = next(one.plan.id for one in self.store.plans(20) if step in one.plan.steps)
            self.witness.acting = Start(holder, plan, step, fate.held_up)

        def changes_power(step: Sleep | Wake) -> None:
            if not fate.held_up:
                self.witness.sees_power(holder, step)

        fate = Fate(self.counted, stall, lambda: self._is_cut_off(number))
        store = cast(Store, StruckStore(self.store, fate))
        fleet = SimFleet(self.world, store, self.clock, self.settings.collect)
        hands = StruckHands(self.world, fate, begins)
        power = StruckPower(self.world, fate, changes_power)
        parts = Parts(store, fleet, hands, power, self.world)
        loop = Loop(parts, self.settings, clock, holder, lines.append)
        loop.cycle_once = ChanceCycle(
            parts,
            loop.leadership,
            loop.runner,
            loop.view,
            Random(random.getrandbits(64)),
            lambda: self.clock.monotonic_s() >= BAD_S,
        )
        # What is published for people changes nothing and takes a fifth of the time.
        jobs = [job for job in loop.jobs() if job.name != "publish"]
        scheduler.append(Scheduler(number, holder, clock, loop, Turns(jobs, clock, lines.append), lines))
        return scheduler[0]

    def _step(self, one: Scheduler) -> None:
        try:
            one.turns.step()
        except Killed:
            self._dies(one)
        self._hear(one)
        self.witness.sees_leaders([each.holder for each in self.schedulers.values() if self._believes_to_lead(each)])

    def _believes_to_lead(self, one: Scheduler) -> bool:
        """Whether a scheduler takes itself for the leader; one whose clock has ever stood still cannot know."""
        return not one.clock.frozen_s and not one.held_up and one.loop.leadership.lease is not None

    def _dies(self, one: Scheduler) -> None:
        self.deaths += 1
        self._note(f"{one.holder} is killed")
        if self.schedulers.get(one.number) is one:
            del self.schedulers[one.number]
            again_s = self.clock.monotonic_s() + self.random.choice((0.2, 3.0, 12.0, 30.0))
            self.acts = sorted([*self.acts, Act(again_s, Verb.BEGIN, number=one.number)], key=_at)

    def _stall(self, one: Scheduler, for_s: float, frozen: bool) -> None:
        """Let all others go on while one stands still in the middle of a call."""
        self._note(f"{one.holder} stands still for {for_s:g} s" + (", its clock too" if frozen else ""))
        one.held_up = True
        began_s = self.clock.monotonic_s()
        self.until(began_s + for_s, (one.number,))
        one.held_up = False
        if frozen:
            one.clock.frozen_s += self.clock.monotonic_s() - began_s
        self._note(f"{one.holder} goes on")
        if one.doomed:
            raise Killed

    def _is_cut_off(self, number: int) -> bool:
        now_s = self.clock.monotonic_s()
        return now_s < self.outage_until_s or now_s < self.cut_off.get(number, 0.0)

    # -- what is done to them ------------------------------------------------------------------------------------------
    def _act(self, act: Act) -> None:
        self._note(f"{act.verb} {act.number} {act.name} {act.for_s:g}")
        now_s = self.clock.monotonic_s()
        match act.verb:
            case Verb.BEGIN:
                if act.number not in self.schedulers:
                    self.schedulers[act.number] = self.new_scheduler(act.number)
            case Verb.KILL:
                if (one := self.schedulers.get(act.number)) is not None:
                    if one.held_up:
                        one.doomed = True
                    else:
                        self._dies(one)
            case Verb.STORE_GONE:
                self.outage_until_s = now_s + act.for_s
            case Verb.CUT_OFF:
                self.cut_off[act.number] = now_s + act.for_s
            case Verb.FLAG:
                self.store.set_flag(act.name, "a person")
            case Verb.UNFLAG:
                self.store.set_flag(act.name, None)
            case Verb.ABORT:
                self.commands += 1
                self.store.push_command(Command(f"c{self.commands}", "abort", "", "a person", self.clock.now()))
            case Verb.MOVE:
                self._move_by_hand(act)

    def _move_by_hand(self, act: Act) -> None:
        """An operator migrates a guest; what libvirt refuses, it refuses him as well."""
        with self.world.present():
            places = self.world.location(act.name)
            if places and act.host not in places:
                with suppress(TrimtabError):
                    self.witness.acting = None
                    self.world.start_migration(act.name, places[0], act.host)

    # -- the log -------------------------------------------------------------------------------------------------------
    def _note(self, text: str) -> None:
        if self.verbose:
            self.log.append(f"{self.clock.monotonic_s():8.2f} {text}")

    def _hear(self, one: Scheduler) -> None:
        for line in one.lines:
            self._note(f"{one.holder}: {line}")
            self.witness.hears(line)
        one.lines.clear()

    def _listen(self) -> None:
        for event in self.world.take_events():
            if self.verbose:
                self.log.append(f"{event.at_s:8.2f} world: {event.text}")


_at: Callable[[Any], float] = lambda one: float(one.at_s)  # noqa: E731  # a key for lists of several kinds
