"""The reference store: everything in this process's memory, expiring by the clock given. For tests and the simulator.

Thread-safe; nothing survives the process, which `durability_problems` says.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cluster.clock import Clock
from cluster.history import Metric, UsageRing, add_sample, empty_ring
from cluster.migration.learned import MoveFact
from cluster.plan import JournalEntry, Migrate, Plan, PlanRecord, PlanState, StepRecord, StepState
from cluster.rates import Permit
from cluster.report import Report
from cluster.store import refusals
from cluster.store.bounds import COMMAND_SEEN_S, ENERGY_DAYS_KEPT, JOURNAL_KEPT, MOVES_KEPT, PLANS_KEPT
from cluster.store.permits import PermitBook
from cluster.store.protocol import Command, Lease, Sample


@dataclass
class _Plan:
    """A plan as held: what changes of it."""

    plan: Plan
    state: PlanState
    why: str = ""
    steps: dict[str, StepRecord] = field(default_factory=dict)

    def record(self) -> PlanRecord:
        return PlanRecord(self.plan, self.state, dict(self.steps), self.why)


@dataclass(frozen=True)
class _Mark:
    """A guest's unresolved mark and the step that made it."""

    plan: str
    step: str
    sentence: str


class MemoryStore:
    """`Store` in memory. Times to live run on the clock's monotonic seconds."""

    def __init__(
        self,
        clock: Clock,
        journal_kept: int = JOURNAL_KEPT,
        plans_kept: int = PLANS_KEPT,
        moves_kept: int = MOVES_KEPT,
    ) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._reports: dict[str, tuple[Report, float]] = {}
        self._rings: dict[tuple[str, Metric], bytearray] = {}
        self._lease: tuple[Lease, float] | None = None
        self._last_token = 0
        self._plans: dict[str, _Plan] = {}
        self._plans_kept = plans_kept
        self._journal: deque[JournalEntry] = deque(maxlen=journal_kept)
        self._last_moves: dict[str, datetime] = {}
        self._unresolved: dict[str, _Mark] = {}
        self._permits = PermitBook()
        self._facts: deque[MoveFact] = deque(maxlen=moves_kept)
        self._energy_days: dict[str, str] = {}
        self._flags: dict[str, str] = {}
        self._commands: list[Command] = []
        self._commands_seen: dict[str, float] = {}
        self._status: tuple[str, float] | None = None

    def put_report(self, report: Report, ttl_s: float) -> bool:
        with self._lock:
            held = self._reports.get(report.host)
            if held is not None and self._is_alive(held[1]) and held[0].order >= report.order:
                return held[0].order == report.order  # the same one again, after a lost answer, is held
            self._reports[report.host] = (report, self._deadline(ttl_s))
            return True

    def reports(self) -> tuple[Report, ...]:
        with self._lock:
            self._reports = {host: held for host, held in self._reports.items() if self._is_alive(held[1])}
            return tuple(self._reports[host][0] for host in sorted(self._reports))

    def record_usage(self, guest: str, metric: Metric, at: datetime, value: int) -> None:
        self.record_samples((Sample(guest, metric, at, value),))

    def record_samples(self, samples: Sequence[Sample]) -> None:
        refusals.check_samples(samples)
        with self._lock:
            for sample in samples:
                key = sample.guest, sample.metric
                if (ring := self._rings.get(key)) is None:
                    ring = self._rings[key] = empty_ring()
                add_sample(ring, sample.at, sample.value)

    def usage(self, guest: str, metric: Metric) -> UsageRing:
        with self._lock:
            return UsageRing(bytes(self._rings.get((guest, metric), b"")))

    def fill(self, guest: str, metric: Metric, ring: UsageRing) -> None:
        """Take a whole ring over, in place of what is held: how a replay begins with a past."""
        with self._lock:
            self._rings[guest, metric] = bytearray(ring.packed) or empty_ring()

    def acquire_lease(self, holder: str, ttl_s: float) -> Lease | None:
        with self._lock:
            lease = self._current_lease()
            if lease is None:
                self._last_token += 1
                lease = Lease(holder, self._last_token)
            elif lease.holder != holder:
                return None
            self._lease = (lease, self._deadline(ttl_s))
            return lease

    def release_lease(self, lease: Lease) -> None:
        with self._lock:
            if self._current_lease() == lease:
                self._lease = None

    def open_plan(self, plan: Plan, state: PlanState, token: int, at: datetime) -> None:
        refusals.check_opening(plan.id, state)
        with self._lock:
            self._fence(token)
            if plan.id in self._plans:
                raise refusals.plan_known(plan.id)
            self._refuse_second(plan.id)
            self._plans[plan.id] = _Plan(plan, state)
            while len(self._plans) > self._plans_kept:
                del self._plans[next(iter(self._plans))]
            self._journal.append(JournalEntry(at, plan.id, "", state, token, plan.why))

    def set_plan_state(self, plan: str, state: PlanState, token: int, at: datetime, why: str) -> None:
        with self._lock:
            self._fence(token)
            held = self._held(plan)
            if held.state in refusals.OVER:
                raise refusals.plan_over(plan, held.state)
            if state is PlanState.WAITING and held.state in refusals.UNDER_WAY:
                raise refusals.plan_back(plan, held.state)
            if state in refusals.UNDER_WAY:
                self._refuse_second(plan)
            if state is not held.state:
                self._journal.append(JournalEntry(at, plan, "", state, token, why))
            held.state, held.why = state, why

    def write_step(
        self, plan: str, step: str, expected: StepState, record: StepRecord, permits: Sequence[Permit] = ()
    ) -> None:
        with self._lock:
            self._fence(record.token)
            held = self._held(plan)
            planned = next((planned for planned in held.plan.steps if planned.id == step), None)
            if planned is None:
                raise refusals.step_unknown(plan, step)
            before = held.record().step_state(step)
            if before is not expected:
                raise refusals.step_changed(plan, step, before, expected)
            now_s = self._clock.monotonic_s()
            if (key := self._permits.lacking((plan, step), permits, now_s)) is not None:
                raise refusals.no_permit(plan, step, key)
            self._permits.take((plan, step), permits, now_s)
            held.steps[step] = record
            if record.state is before:
                return
            self._journal.append(JournalEntry(record.at, plan, step, record.state, record.token, record.detail))
            if record.state.is_final and record.state is not StepState.UNRESOLVED:
                self._permits.give_back((plan, step), all_of_them=record.state is StepState.REFUSED)
            if isinstance(planned, Migrate):
                self._mark(plan, step, planned.guest, record)

    def permits_taken(self) -> Mapping[str, int]:
        with self._lock:
            return self._permits.counts(self._clock.monotonic_s())

    def note_step(self, plan: str, step: str, word: str, token: int, at: datetime, text: str) -> None:
        with self._lock:
            self._fence(token)
            held = self._held(plan)
            if all(planned.id != step for planned in held.plan.steps):
                raise refusals.step_unknown(plan, step)
            self._journal.append(JournalEntry(at, plan, step, word, token, text))

    def active_plan(self) -> PlanRecord | None:
        with self._lock:
            active = self._under_way()
            return None if active is None else self._plans[active].record()

    def plan(self, plan: str) -> PlanRecord | None:
        with self._lock:
            held = self._plans.get(plan)
            return None if held is None else held.record()

    def plans(self, most: int) -> tuple[PlanRecord, ...]:
        with self._lock:
            return tuple(held.record() for held in reversed(self._plans.values()))[: max(0, most)]

    def journal(self, most: int) -> tuple[JournalEntry, ...]:
        with self._lock:
            return tuple(self._journal)[-most:] if most > 0 else ()

    def record_move(self, fact: MoveFact) -> None:
        with self._lock:
            self._facts.append(fact)

    def moves(self) -> tuple[MoveFact, ...]:
        with self._lock:
            return tuple(self._facts)

    def put_energy_day(self, day: str, text: str, token: int) -> None:
        with self._lock:
            self._fence(token)
            self._energy_days[day] = text
            self._energy_days = dict(sorted(self._energy_days.items())[-ENERGY_DAYS_KEPT:])

    def energy_days(self, most: int) -> Mapping[str, str]:
        with self._lock:
            return dict(list(self._energy_days.items())[-most:]) if most > 0 else {}

    def last_moves(self) -> Mapping[str, datetime]:
        with self._lock:
            return dict(sorted(self._last_moves.items()))

    def unresolved(self) -> Mapping[str, str]:
        with self._lock:
            return {guest: mark.sentence for guest, mark in sorted(self._unresolved.items())}

    def resolve(self, guest: str, by: str, at: datetime) -> None:
        with self._lock:
            mark = self._unresolved.pop(guest, None)
            if mark is not None:
                self._permits.give_back((mark.plan, mark.step), all_of_them=False)
                detail = refusals.lifted_by(by)
                self._journal.append(JournalEntry(at, mark.plan, mark.step, refusals.RESOLVED, 0, detail))

    def set_flag(self, flag: str, value: str | None) -> None:
        with self._lock:
            if value is None:
                self._flags.pop(flag, None)
            else:
                self._flags[flag] = value

    def flags(self) -> Mapping[str, str]:
        with self._lock:
            return dict(sorted(self._flags.items()))

    def push_command(self, command: Command) -> None:
        with self._lock:
            self._commands_seen = {id_: until for id_, until in self._commands_seen.items() if self._is_alive(until)}
            if command.id not in self._commands_seen:
                self._commands_seen[command.id] = self._deadline(COMMAND_SEEN_S)
                self._commands.append(command)

    def take_commands(self) -> tuple[Command, ...]:
        with self._lock:
            taken, self._commands = tuple(self._commands), []
            return taken

    def put_status(self, text: str, ttl_s: float) -> None:
        with self._lock:
            self._status = (text, self._deadline(ttl_s))

    def status(self) -> str | None:
        with self._lock:
            return self._status[0] if self._status is not None and self._is_alive(self._status[1]) else None

    def durability_problems(self) -> tuple[str, ...]:
        return ("the store is in memory: journal and lease are lost with the process; set store.url",)

    def ping(self) -> None:
        """Memory always answers."""

    def close(self) -> None:
        """Nothing to let go of; the contents stay readable."""

    def _deadline(self, ttl_s: float) -> float:
        return self._clock.monotonic_s() + ttl_s

    def _is_alive(self, deadline: float) -> bool:
        return self._clock.monotonic_s() < deadline

    def _current_lease(self) -> Lease | None:
        return self._lease[0] if self._lease is not None and self._is_alive(self._lease[1]) else None

    def _fence(self, token: int) -> None:
        lease = self._current_lease()
        if lease is None or lease.token != token:
            raise refusals.fenced(token, None if lease is None else lease.token)

    def _held(self, plan: str) -> _Plan:
        if plan not in self._plans:
            raise refusals.plan_unknown(plan)
        return self._plans[plan]

    def _under_way(self) -> str | None:
        return next((plan for plan, held in self._plans.items() if held.state in refusals.UNDER_WAY), None)

    def _refuse_second(self, plan: str) -> None:
        other = self._under_way()
        if other is not None and other != plan:
            raise refusals.plan_under_way(plan, other)

    def _mark(self, plan: str, step: str, guest: str, record: StepRecord) -> None:
        """Keep the guest's last move and unresolved mark in step with a change of its step's state.

        Only the step that made a mark lifts it: a later step of the same guest that ends `refused` says nothing of
        where the guest runs.
        """
        if record.state is StepState.DONE:
            self._last_moves[guest] = record.at
        if record.state is StepState.UNRESOLVED:
            self._unresolved[guest] = _Mark(plan, step, refusals.sentence(plan, step, record.detail))
        else:
            mark = self._unresolved.get(guest)
            if mark is not None and (mark.plan, mark.step) == (plan, step):
                del self._unresolved[guest]
