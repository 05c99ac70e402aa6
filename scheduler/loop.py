"""The loop's jobs: collect, tick, cycle, keep the lease, publish. The daemon and the simulator run them.

`collect` brings reports to the store; `tick` watches and starts steps; `cycle` plans. Nothing here is needed after a
crash: the store has it all.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache, partial
from pathlib import Path

from cluster.clock import Clock
from cluster.config.settings import Mode, Settings
from cluster.errors import RefusedError, UnreachableError
from cluster.plan import Migrate, Plan, PlanRecord, Step, StepState
from cluster.snapshot import Snapshot
from cluster.store.protocol import Lease
from executors.events import Event, EventKind
from executors.protocol import Sighting
from executors.runner import PlanRunner
from scheduler import regret
from scheduler.arrivals import Arrivals
from scheduler.commands import carry_out
from scheduler.cycle import Cycle
from scheduler.energy.desk import EnergyDesk
from scheduler.gate import View, failed_moves, why_no_action, why_too_late
from scheduler.intent import is_urgent, plannable_by_us
from scheduler.last_look import why_not_now
from scheduler.leadership import Leadership
from scheduler.learning import MoveNotes
from scheduler.limits_now import LimitsNow
from scheduler.lines import line_of
from scheduler.manual_moves import ManualMoves
from scheduler.parts import Parts
from scheduler.power.notes import note_power
from scheduler.power.reach import within_reach
from scheduler.power.wake_notes import WakeNotes
from scheduler.power.wake_tests import WakeTests
from scheduler.resting import why_out_of_window
from scheduler.see import KeptHosts, Sight, build_snapshot
from scheduler.status import status_of
from scheduler.watts.watch import WattWatch

TICK_S = 0.5
STATUS_TTL_S = 30.0
MOST_UNTICKED = 32
"""How often the lease is renewed without a tick having begun: eight times as long as it lasts."""
SILENT_CYCLES = 5
"""For how many cycles a host counts as unreachable that did not answer a step's look."""

Listener = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done every so often."""

    name: str
    every_s: float
    run: Callable[[], None]


class Loop:
    """The whole of Trimtab at work on one cluster. Jobs may run on different threads."""

    def __init__(self, parts: Parts, settings: Settings, clock: Clock, holder: str, listener: Listener) -> None:
        self.parts = parts
        self.settings = settings
        self.sentence = ""
        self._clock = clock
        self._listener = listener
        self._started_s = clock.monotonic_s()
        self._unreachable: dict[str, str] = {}
        self._silent_until_s: dict[str, float] = {}
        self._acting = threading.Lock()
        self._finishing = False
        self._arrivals = Arrivals(clock)
        self._manual_moves = ManualMoves(parts.store, clock)
        self._move_notes = MoveNotes()
        self._unticked = 0
        self.leadership = Leadership(parts.store, holder, settings.scheduler.lease_s, clock)
        self._kept_hosts = KeptHosts()
        limits = LimitsNow(lambda: self.settings, lambda: self.see(None, named=False).snapshot, clock)
        self.runner = PlanRunner(
            parts.store,
            parts.migrations,
            parts.power,
            clock,
            settings.migration,
            self._last_look,
            lambda: why_no_action(self._bare_view()),
            lambda: self.leadership.lease,
            may_last=lambda seconds: why_too_late(self.settings.windows, clock.now(), seconds),
            why_not_adopt=self._why_not_adopt,
            on_look=self._note_silence,
            terms=limits.terms,
            links=limits.links,
            spare_millicores=limits.spare_millicores,
        )
        self.watts = WattWatch(
            parts.store,
            clock,
            lambda: self.settings,
            lambda active: self.see(active, named=False).snapshot,
            lambda: self.leadership.lease,
            parts.meters,
        )
        self._wake_notes = WakeNotes(parts.store, clock, lambda: self.settings, listener)
        unproven = partial(self.view, None, with_proofs=False)
        self._wake_tests = WakeTests(
            parts.store, self.runner, clock, self._wake_notes, lambda: self.settings, unproven, listener
        )
        self._energy = EnergyDesk(parts.store, "" if parts.world is not None else socket.gethostname())
        self.cycle_once = Cycle(parts.store, self.leadership, self.runner, self.view)

    def jobs(self) -> tuple[Job, ...]:
        """Return what is to be done and how often, in the order of a first round."""
        chosen = self.settings
        return (
            Job("lease", chosen.scheduler.lease_s / 4, self.keep_lease),
            Job("collect", chosen.collect.interval_s, self.collect),
            Job("tick", TICK_S, self.tick),
            Job("cycle", chosen.scheduler.interval_s, self.cycle),
            Job("wake_tests", chosen.collect.interval_s, self.test_wakes),
            Job("urgent", chosen.collect.interval_s, self.urgent),
            Job("watts", self.watts.every_s, self.watts.run),
            Job("power", chosen.power.look_s, self.look_at_power),
            Job("publish", max(1.0, min(5.0, chosen.scheduler.interval_s / 2)), self.publish),
        )

    # -- the jobs --------------------------------------------------------------------------------------------------
    def keep_lease(self) -> None:
        """Take or renew leadership. `RefusedError` while the loop is stuck: who cannot act must not lead."""
        if self._unticked >= MOST_UNTICKED:
            raise RefusedError("the loop is stuck: leadership is not renewed, another scheduler may take over")
        self._unticked += 1
        self.leadership.keep()

    def collect(self) -> None:
        """Measure all hosts, where no agents do it."""
        if self.parts.fleet is not None:
            self._unreachable = dict(self.parts.fleet.collect())

    def tick(self) -> None:
        """Carry out commands, then let the runner do one pass. Only the leader does."""
        with self._acting:
            self._unticked = 0
            if (lease := self._lease()) is None:
                return
            for command in self.parts.store.take_commands():
                self._listener(carry_out(command, self.parts.store, self.runner, lambda: self.view(None), lease.token))
            for event in self.runner.tick():
                note_power(event, self.parts.store, self._clock.now())
                self._wake_notes.note(event)
                self._learn(event)
                if event.kind is not EventKind.PROGRESS:
                    self._listener(line_of(event))

    def cycle(self) -> None:
        """See, plan, act; say what came of it when it is news."""
        with self._acting:
            if self._finishing:
                return
            self._regret()
            self._note_manual_moves()
            if self._lease() is not None:
                self._wake_tests.schedule()
            sentence = self.cycle_once.run()
        if sentence != self.sentence:
            self._listener(sentence)
        self.sentence = sentence

    def test_wakes(self) -> None:
        """Settle what hosts prove by waking, and take the next step of a wake test. Only the leader does."""
        with self._acting:
            if self._lease() is not None:
                self._wake_tests.step()

    def urgent(self) -> None:
        """Let a failing host not wait for the next cycle. Only the leader looks."""
        if self._lease() is not None and is_urgent(self.view(self.parts.store.active_plan())):
            self.cycle()

    def look_at_power(self) -> None:
        """Look at hosts that sleep or are silent, where their power can be seen. Only the leader does."""
        if self.parts.power_eyes is not None and self._lease() is not None:
            for line in self.parts.power_eyes.look():
                self._listener(line)

    def publish(self) -> None:
        """Tell `trimtab status` how things are. Only the leader does."""
        if self._lease() is not None:
            self.parts.store.put_status(json.dumps(self.status()), STATUS_TTL_S)

    def _lease(self) -> Lease | None:
        """Return the lease while it is ours. Who has lost it with the store must not take that for peace: it raises."""
        if (lease := self.leadership.lease) is None:
            self.parts.store.ping()
        return lease

    def take(self, settings: Settings) -> None:
        """Go on with other settings. Out of mode `act`, what was begun in it is finished and nothing more started."""
        mode = settings.scheduler.mode
        with self._acting:
            if self.settings.scheduler.mode is Mode.ACT and mode is not Mode.ACT:
                self.runner.stop_starting(f"the mode is {mode} now")
            self.settings = settings

    # -- what people ask for -----------------------------------------------------------------------------------------
    def stop_starting(self) -> None:
        """Finish what runs and start nothing more, no new plan either."""
        self._finishing = True
        self.runner.wind_up()

    def abort(self) -> None:
        """Stop what runs, where that is safe."""
        self.runner.abort()

    def is_idle_here(self) -> bool:
        """Tell whether no plan is under way that this scheduler carries out."""
        return self.leadership.lease is None or self.parts.store.active_plan() is None

    def close(self) -> None:
        """Give up leadership and let go of everything."""
        with contextlib.suppress(UnreachableError):  # without the store the lease runs out by itself
            self.leadership.release()
        self.parts.close()

    @property
    def latest_plan(self) -> Plan | None:
        """The plan of the last cycle that made one."""
        return self.cycle_once.latest

    def status(self) -> dict[str, object]:
        """Return the state of things, ready for JSON."""
        sight = self.see(self.parts.store.active_plan())
        now, shown = self._clock.now(), self.watts.shown
        return status_of(sight, self.parts.store, self.settings, self.sentence, now, self.runner.waits, shown)

    # -- seeing ----------------------------------------------------------------------------------------------------
    def see(self, active: PlanRecord | None, *, named: bool = True) -> Sight:
        """Return what is known of the cluster now; the snapshot has an id if it is to be named."""
        store, now, silent = self.parts.store, self._clock.now(), self._unreachable_now()
        return build_snapshot(
            store.reports(), self.settings, store.flags(), now, active, silent, kept_hosts=self._kept_hosts, named=named
        )

    def view(self, active: PlanRecord | None, *, with_proofs: bool = True) -> View:
        """Return what the gate looks at; the snapshot is the cluster as autonomous plans may touch it.

        `with_proofs`: power is let alone where no wake test allows it.
        """
        sight = self.see(active)
        # Later than clocks may differ: written while one was wrong. Waiting for that moment could take for ever.
        latest = self._clock.now() + timedelta(seconds=self.settings.collect.stale_s)
        moves = {guest: at for guest, at in self.parts.store.last_moves().items() if at <= latest}
        records = self.parts.store.plans(20)
        failures = {guest: at for guest, at in failed_moves(records).items() if at <= latest}
        power = self.parts.power is not None
        bare = self._bare_view()
        flags = bare.flags if with_proofs else None
        seen = plannable_by_us(
            within_reach(sight.snapshot, self.parts.power), self.settings, sight.stopped, power, flags
        )
        return replace(
            bare,
            snapshot=seen,
            advise=cache(partial(self._energy.advise, seen, self.settings, bare.now)),
            last_moves=moves,
            last_failures=failures,
            arrivals=self._arrivals.of(records),
            permits_taken={} if self.settings.rates.guest_per_day is None else self.parts.store.permits_taken(),
            store_problems=() if self.parts.world is not None else self.parts.store.durability_problems(),
        )

    def _bare_view(self) -> View:
        """Return what the checks before every step look at: no figures of the cluster."""
        now = self._clock.now()
        return View(
            settings=self.settings,
            now=now,
            started_at=now - timedelta(seconds=self._clock.monotonic_s() - self._started_s),
            snapshot=Snapshot("", now, (), ()),
            flags=self.parts.store.flags(),
            kill_switch=Path(self.settings.gate.kill_switch).exists(),
        )

    def _last_look(self, plan: Plan, step: Step) -> str | None:
        record = self.parts.store.active_plan()
        if record is None or record.plan.id != plan.id:
            return f"plan {plan.id} is not under way any more"
        under_way = [move for move in plan.migrations if record.step_state(move.id) is StepState.RUNNING]
        sight, now = self.see(record, named=False), self._clock.now()
        guest = sight.snapshot.guest_by_id.get(step.guest) if isinstance(step, Migrate) else None
        failing = guest is not None and sight.snapshot.host_by_id[guest.host].failing
        if guest is not None and not failing and (why := why_out_of_window(guest, self.settings.windows, now)):
            return why
        return why_not_now(plan, step, sight, self.settings.limits, now, under_way, self.settings.consolidate)

    def _unreachable_now(self) -> dict[str, str]:
        """Return the hosts that do not answer, to collectors or to a step's look, each with the reason."""
        now_s = self._clock.monotonic_s()
        silent = [host for host, until_s in tuple(self._silent_until_s.items()) if now_s < until_s]
        return {**self._unreachable, **dict.fromkeys(silent, "did not answer when a step was to begin")}

    def _note_silence(self, step: Migrate, sighting: Sighting) -> None:
        """Remember who was silent: a host that reports but cannot be acted on would end plan after plan."""
        until_s = self._clock.monotonic_s() + SILENT_CYCLES * self.settings.scheduler.interval_s
        for host in (step.source, step.target):
            if host in sighting.silent:
                self._silent_until_s[host] = until_s
            else:
                self._silent_until_s.pop(host, None)

    def _note_manual_moves(self) -> None:
        """Find guests that somebody else has moved, before anything is planned. Only the leader does."""
        if self.leadership.lease is not None and self.parts.store.active_plan() is None:
            sight = self.see(None, named=False)
            for line in self._manual_moves.look(sight.snapshot, sight.doubled):
                self._listener(line)

    def _why_not_adopt(self) -> str | None:
        mode = self.settings.scheduler.mode
        return None if mode is Mode.ACT else f"mode {mode}: what runs is finished, and planned anew"

    def _regret(self) -> None:
        """Judge plans that ended a while ago by the cluster as it is now. Only the leader does."""
        store = self.parts.store
        if self._lease() is None or store.active_plan() is not None:
            return
        flags = store.flags()
        for record in regret.due(store.plans(20), flags, self.settings.gate, self._clock.now()):
            judgement = regret.judge(record, self.see(None, named=False).snapshot)
            store.set_flag(regret.PREFIX + record.plan.id, "unknown" if judgement is None else regret.write(judgement))
            if judgement is not None and judgement.ratio < self.settings.gate.regret_least_ratio:
                self._listener(regret.line(record.plan.id, judgement))
        for flag in regret.outworn(flags):
            store.set_flag(flag, None)

    def _learn(self, event: Event) -> None:
        """Keep what a migration took. Knowledge is worth no trouble: without the store it is let go."""
        if (fact := self._move_notes.note(event)) is not None:
            with contextlib.suppress(UnreachableError):
                self.parts.store.record_move(fact)
