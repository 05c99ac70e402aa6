"""The store in Redis 7.0 or newer: every change one Lua script, which Redis runs whole or not at all.

Reports, lease and status expire on the server's clock; times written down are the caller's. A change of the journal
carries a mark of its call, so that it can be sent again after a lost answer without being done twice and without a
conflict with itself.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from cluster.errors import InputError, StoreUnavailableError, TrimtabError
from cluster.formats.plan_file import write_plan
from cluster.formats.report_file import report_from_json_text, report_to_json_text
from cluster.history import SLOT_S, SLOTS, Metric, UsageRing, slot_of
from cluster.migration.learned import MoveFact
from cluster.plan import JournalEntry, Migrate, Plan, PlanRecord, PlanState, StepRecord, StepState
from cluster.rates import Permit
from cluster.report import Report
from cluster.store import codec, refusals
from cluster.store.bounds import COMMAND_SEEN_S, ENERGY_DAYS_KEPT, JOURNAL_KEPT, MOVES_KEPT, PLANS_KEPT
from cluster.store.protocol import Command, Lease, Sample
from cluster.store.server import ROOT, RedisServer

_log = logging.getLogger(__name__)

_RING_TTL_S = SLOTS * SLOT_S
_TAKEN_TTL_S = 600
_SAMPLES_AT_ONCE = 500  # others wait for a script: some milliseconds


class RedisStore:
    """`Store` on a Redis server."""

    def __init__(
        self,
        server: RedisServer,
        journal_kept: int = JOURNAL_KEPT,
        plans_kept: int = PLANS_KEPT,
        moves_kept: int = MOVES_KEPT,
    ) -> None:
        self._server = server
        self._journal_kept = journal_kept
        self._plans_kept = plans_kept
        self._moves_kept = moves_kept
        # Reading strictly costs more than anything else here, and most reports are read many times.
        self._read: dict[str, tuple[str, Report | None]] = {}
        self._unanswered: list[str] = []
        self._unanswered_lock = threading.Lock()

    def put_report(self, report: Report, ttl_s: float) -> bool:
        start = codec.microseconds(report.agent_start)
        text = report_to_json_text(report)
        answer = self._server.run(
            "put_report", report.host, start, report.sequence, text, _milliseconds(ttl_s), again=True
        )
        return bool(answer)

    def reports(self) -> tuple[Report, ...]:
        answer = self._server.run("reports")
        held = {}
        for host, text in sorted(_pairs(answer).items()):
            known = self._read.get(host)
            held[host] = known if known is not None and known[0] == text else (text, _report(host, text))
        self._read = held
        return tuple(report for _, report in held.values() if report is not None)

    def record_usage(self, guest: str, metric: Metric, at: datetime, value: int) -> None:
        self.record_samples((Sample(guest, metric, at, value),))

    def record_samples(self, samples: Sequence[Sample]) -> None:
        refusals.check_samples(samples)
        for first in range(0, len(samples), _SAMPLES_AT_ONCE):
            arguments: list[str | int] = []
            for sample in samples[first : first + _SAMPLES_AT_ONCE]:
                arguments += [f"{sample.guest}:{sample.metric}", slot_of(sample.at), sample.value]
            self._server.run("record_usage", SLOTS, _milliseconds(_RING_TTL_S), *arguments)

    def usage(self, guest: str, metric: Metric) -> UsageRing:
        return UsageRing(self._server.call("GET", f"{ROOT}usage:{guest}:{metric}") or b"")

    def acquire_lease(self, holder: str, ttl_s: float) -> Lease | None:
        token = self._server.run("acquire_lease", holder, _milliseconds(ttl_s), again=True)
        return None if token is None else Lease(holder, int(token))

    def release_lease(self, lease: Lease) -> None:
        self._server.run("release_lease", lease.holder, lease.token, again=True)

    def open_plan(self, plan: Plan, state: PlanState, token: int, at: datetime) -> None:
        refusals.check_opening(plan.id, state)
        entry = codec.write_entry(JournalEntry(at, plan.id, "", state, token, plan.why))
        guests = [text for step in plan.steps for text in (step.id, step.guest if isinstance(step, Migrate) else "")]
        code, detail = self._change(
            "open_plan",
            plan.id,
            write_plan(plan),
            state,
            token,
            entry,
            uuid.uuid4().hex,
            self._journal_kept,
            self._plans_kept,
            *guests,
        )
        self._refuse(code, detail, plan.id, token)

    def set_plan_state(self, plan: str, state: PlanState, token: int, at: datetime, why: str) -> None:
        entry = codec.write_entry(JournalEntry(at, plan, "", state, token, why))
        code, detail = self._change(
            "set_plan_state", plan, state, token, why, entry, uuid.uuid4().hex, self._journal_kept
        )
        self._refuse(code, detail, plan, token)

    def write_step(
        self, plan: str, step: str, expected: StepState, record: StepRecord, permits: Sequence[Permit] = ()
    ) -> None:
        call = uuid.uuid4().hex
        entry = JournalEntry(record.at, plan, step, record.state, record.token, record.detail)
        code, detail = self._change(
            "write_step",
            plan,
            step,
            expected,
            record.state,
            codec.write_step_record(record, call),
            record.token,
            codec.write_entry(entry),
            call,
            self._journal_kept,
            codec.moment(record.at),
            codec.write_mark(plan, step, refusals.sentence(plan, step, record.detail)),
            *(part for permit in permits for part in (permit.key, permit.most, _permit_ms(permit))),
        )
        if code == "unknown_step":
            raise refusals.step_unknown(plan, step)
        if code == "no_permit":
            raise refusals.no_permit(plan, step, detail)
        if code == "changed":
            raise refusals.step_changed(plan, step, StepState(detail), expected)
        self._refuse(code, detail, plan, record.token)

    def permits_taken(self) -> Mapping[str, int]:
        return {key: int(count) for key, count in sorted(_pairs(self._server.run("permits_taken", again=True)).items())}

    def note_step(self, plan: str, step: str, word: str, token: int, at: datetime, text: str) -> None:
        entry = codec.write_entry(JournalEntry(at, plan, step, word, token, text))
        code, detail = self._change("note_step", plan, step, token, entry, uuid.uuid4().hex, self._journal_kept)
        if code == "unknown_step":
            raise refusals.step_unknown(plan, step)
        self._refuse(code, detail, plan, token)

    def active_plan(self) -> PlanRecord | None:
        return next(iter(self._plans("active", "")), None)

    def plan(self, plan: str) -> PlanRecord | None:
        return next(iter(self._plans("one", plan)), None)

    def plans(self, most: int) -> tuple[PlanRecord, ...]:
        return self._plans("latest", most)

    def journal(self, most: int) -> tuple[JournalEntry, ...]:
        if most <= 0:
            return ()
        lines = self._server.call("LRANGE", f"{ROOT}journal", -most, -1)
        with self._reading():
            return tuple(codec.read_entry(_str(line)) for line in lines)

    def record_move(self, fact: MoveFact) -> None:
        self._server.run("record_move", codec.write_fact(fact), self._moves_kept, again=True)

    def moves(self) -> tuple[MoveFact, ...]:
        lines = self._server.call("LRANGE", f"{ROOT}moves", 0, -1)
        facts = (_fact(_str(line)) for line in lines)
        return tuple(fact for fact in facts if fact is not None)

    def put_energy_day(self, day: str, text: str, token: int) -> None:
        code, detail = self._change("put_energy_day", day, text, token, ENERGY_DAYS_KEPT)
        self._refuse(code, detail, "", token)

    def energy_days(self, most: int) -> Mapping[str, str]:
        return dict(list(self._hash("energy").items())[-most:]) if most > 0 else {}

    def last_moves(self) -> Mapping[str, datetime]:
        with self._reading():
            return {guest: datetime.fromisoformat(at) for guest, at in self._hash("last-moves").items()}

    def unresolved(self) -> Mapping[str, str]:
        with self._reading():
            return {guest: codec.read_mark(mark) for guest, mark in self._hash("unresolved").items()}

    def resolve(self, guest: str, by: str, at: datetime) -> None:
        entry = JournalEntry(at, "", "", refusals.RESOLVED, 0, refusals.lifted_by(by))
        self._server.run("resolve", guest, codec.write_entry(entry), self._journal_kept, again=True)

    def set_flag(self, flag: str, value: str | None) -> None:
        if value is None:
            self._server.call("HDEL", f"{ROOT}flags", flag, again=True)
        else:
            self._server.call("HSET", f"{ROOT}flags", flag, value, again=True)

    def flags(self) -> Mapping[str, str]:
        return self._hash("flags")

    def push_command(self, command: Command) -> None:
        text = codec.write_command(command)
        self._server.run("push_command", command.id, text, _milliseconds(COMMAND_SEEN_S), again=True)

    def take_commands(self) -> tuple[Command, ...]:
        with self._unanswered_lock:
            call = self._unanswered.pop() if self._unanswered else uuid.uuid4().hex
        try:
            lines = self._server.run("take_commands", call, _milliseconds(_TAKEN_TTL_S), again=True)
        except StoreUnavailableError:
            # What this call took, if it took anything, is handed out again to the next call with its mark.
            with self._unanswered_lock:
                self._unanswered.append(call)
            raise
        with self._reading():
            return tuple(codec.read_command(_str(line)) for line in lines)

    def put_status(self, text: str, ttl_s: float) -> None:
        self._server.call("SET", f"{ROOT}status", text, "PX", _milliseconds(ttl_s), again=True)

    def status(self) -> str | None:
        text = self._server.call("GET", f"{ROOT}status")
        return None if text is None else _str(text)

    def durability_problems(self) -> tuple[str, ...]:
        return self._server.durability_problems()

    def ping(self) -> None:
        self._server.call("PING")

    def close(self) -> None:
        self._server.close()

    def _change(self, name: str, *arguments: str | int) -> tuple[str, str]:
        """Run a script that changes the journal, again if its answer got lost; return its code and detail."""
        answer = [_str(part) for part in self._server.run(name, *arguments, again=True)]
        return answer[0], answer[1] if len(answer) > 1 else ""

    def _refuse(self, code: str, detail: str, plan: str, token: int) -> None:
        """Raise what a script's code stands for; `ok` passes."""
        error: TrimtabError
        match code:
            case "ok":
                return
            case "fenced":
                error = refusals.fenced(token, int(detail) if detail else None)
            case "under_way":
                error = refusals.plan_under_way(plan, detail)
            case "known":
                error = refusals.plan_known(plan)
            case "over":
                error = refusals.plan_over(plan, PlanState(detail))
            case "back":
                error = refusals.plan_back(plan, PlanState(detail))
            case _:
                error = refusals.plan_unknown(plan)
        raise error

    def _plans(self, which: str, what: str | int) -> tuple[PlanRecord, ...]:
        answer = self._server.run("read_plans", which, what)
        with self._reading():
            return tuple(
                codec.read_plan_record(_str(text), _str(state), _str(why), _pairs(steps))
                for text, state, why, steps in answer
            )

    def _hash(self, name: str) -> dict[str, str]:
        answer = self._server.call("HGETALL", f"{ROOT}{name}")
        return dict(sorted((_str(key), _str(text)) for key, text in answer.items()))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn a text that cannot be read into the store's failure, in one line."""
        try:
            yield
        except ValueError as error:
            text = (
                f"store {self._server.shown} holds {error}, which this version cannot read; run one version of Trimtab"
            )
            raise StoreUnavailableError(text) from error


def _report(host: str, text: str) -> Report | None:
    """Read a report. `None`: an agent of another version; it must not hide the other hosts, and becomes stale."""
    try:
        return report_from_json_text(text, f"report of host {host}")
    except InputError as error:
        _log.warning("%s; run the same version of Trimtab there", error)
        return None


def _fact(text: str) -> MoveFact | None:
    """Read what a migration took. `None`: another version wrote it; to plan without it beats not to plan."""
    try:
        return codec.read_fact(text)
    except codec.UnreadableError:
        return None


def _milliseconds(ttl_s: float) -> int:
    """Return a time to live as Redis wants it: at least 1."""
    return max(1, round(ttl_s * 1000))


def _permit_ms(permit: Permit) -> int:
    return -1 if permit.within_s is None else _milliseconds(permit.within_s)


def _pairs(flat: list[Any]) -> dict[str, str]:
    return {_str(key): _str(value) for key, value in zip(flat[::2], flat[1::2], strict=True)}


def _str(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
