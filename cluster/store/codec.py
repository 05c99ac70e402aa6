"""How records stand in Redis: one line of JSON each, and back. Pure.

Plans and reports stand there in their own file formats. `UnreadableError` marks a text that this version cannot read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cluster.errors import InputError
from cluster.formats.plan_file import read_plan
from cluster.migration.learned import MoveFact
from cluster.plan import JournalEntry, Plan, PlanRecord, PlanState, StepRecord, StepState
from cluster.store.protocol import Command


class UnreadableError(ValueError):
    """A text in the store that this version of Trimtab cannot read."""


def moment(at: datetime) -> str:
    """Return a moment as RFC 3339 text in UTC, to the microsecond."""
    return at.astimezone(UTC).isoformat()


def microseconds(at: datetime) -> int:
    """Return whole microseconds since 1970: exact, and small enough for Lua's numbers."""
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def write_step_record(record: StepRecord, call: str) -> str:
    """Return a step's record with the mark of the call that wrote it."""
    return _text(
        {
            "state": record.state,
            "at": moment(record.at),
            "token": record.token,
            "detail": record.detail,
            "progress_ratio": record.progress_ratio,
            "mib": record.mib,
            "downtime_ms": record.downtime_ms,
            "call": call,
        }
    )


def read_step_record(text: str) -> StepRecord:
    """Return a step's record from its text."""
    value = _object(text)
    try:
        return StepRecord(
            StepState(value["state"]),
            datetime.fromisoformat(value["at"]),
            value["token"],
            value["detail"],
            value["progress_ratio"],
            value["mib"],
            value["downtime_ms"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableError(f"a step's record: {error!r}") from error


def write_entry(entry: JournalEntry) -> str:
    """Return a line of the journal as text."""
    return _text(
        {
            "at": moment(entry.at),
            "plan": entry.plan,
            "step": entry.step,
            "state": entry.state,
            "token": entry.token,
            "detail": entry.detail,
        }
    )


def read_entry(text: str) -> JournalEntry:
    """Return a line of the journal from its text."""
    value = _object(text)
    try:
        at = datetime.fromisoformat(value["at"])
        return JournalEntry(at, value["plan"], value["step"], value["state"], value["token"], value["detail"])
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableError(f"a line of the journal: {error!r}") from error


def write_command(command: Command) -> str:
    """Return a command as text."""
    return _text(
        {
            "id": command.id,
            "verb": command.verb,
            "argument": command.argument,
            "by": command.by,
            "at": moment(command.at),
        }
    )


def read_command(text: str) -> Command:
    """Return a command from its text."""
    value = _object(text)
    try:
        at = datetime.fromisoformat(value["at"])
        return Command(value["id"], value["verb"], value["argument"], value["by"], at)
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableError(f"a command: {error!r}") from error


def write_fact(fact: MoveFact) -> str:
    """Return what a migration took as text."""
    return _text({**asdict(fact), "at": moment(fact.at)})


def read_fact(text: str) -> MoveFact:
    """Return what a migration took from its text."""
    value = _object(text)
    try:
        return MoveFact(**{**value, "at": datetime.fromisoformat(value["at"])})
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableError(f"what a migration took: {error!r}") from error


def write_mark(plan: str, step: str, sentence: str) -> str:
    """Return a guest's unresolved mark as text: the step that made it, and what to tell people."""
    return _text({"plan": plan, "step": step, "sentence": sentence})


def read_mark(text: str) -> str:
    """Return what an unresolved mark tells people."""
    return str(_object(text).get("sentence", ""))


def read_plan_record(text: str, state: str, why: str, steps: Mapping[str, str]) -> PlanRecord:
    """Return a plan's record from its plan file, its state and the records of its steps."""
    try:
        plan = _read_plan(text)
        records = {step: read_step_record(record) for step, record in steps.items()}
        return PlanRecord(plan, PlanState(state), records, why)
    except (InputError, ValueError) as error:
        raise UnreadableError(f"a plan: {error}") from error


@lru_cache(maxsize=16)
def _read_plan(text: str) -> Plan:
    """Return a plan from its file; whoever follows a plan asks for the same one again and again."""
    return read_plan(text, "store")


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UnreadableError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UnreadableError(f"not a JSON object: {text[:40]}")
    return value
