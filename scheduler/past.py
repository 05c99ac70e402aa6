"""What past plans did, predicted against measured, and what sleeping was worth, as data ready for JSON. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cluster.energy_day import Energy, EnergyDay, kwh, total
from cluster.migration.learned import MoveFact
from cluster.plan import JournalEntry, Migrate, PlanRecord, Sleep, StepState, Wake
from scheduler import regret


@dataclass(frozen=True, slots=True)
class _Span:
    """When a step began and was last written, by the journal."""

    began: datetime
    ended: datetime


def plans_of(
    records: Iterable[PlanRecord],
    journal: Iterable[JournalEntry],
    facts: Iterable[MoveFact],
    flags: Mapping[str, str],
    since: datetime,
) -> list[dict[str, Any]]:
    """Return the plans made since a moment, newest first.

    Of a move that is done, MiB and seconds are as its migration's own statistics told; where those are not kept, the
    seconds are from the journal. `predicted` figures are of the moves that were measured, so that both speak of the
    same. `took_s` is from the first step's begin to the last one's end.
    """
    spans = _spans(journal)
    known = {(fact.plan, fact.step): fact for fact in facts}
    return [_plan(record, spans, known, flags) for record in records if record.plan.made_at >= since]


def _spans(journal: Iterable[JournalEntry]) -> dict[tuple[str, str], _Span]:
    spans: dict[tuple[str, str], _Span] = {}
    states = {state.value for state in StepState}
    for entry in journal:
        key = entry.plan, entry.step
        if not entry.step or entry.state not in states:
            continue
        if entry.state == StepState.RUNNING:
            spans[key] = _Span(entry.at, entry.at)
        elif key in spans:
            spans[key] = _Span(spans[key].began, entry.at)
    return spans


def _plan(
    record: PlanRecord,
    spans: Mapping[tuple[str, str], _Span],
    facts: Mapping[tuple[str, str], MoveFact],
    flags: Mapping[str, str],
) -> dict[str, Any]:
    plan = record.plan
    moves = [_move(step, record, spans.get((plan.id, step.id)), facts.get((plan.id, step.id)))
             for step in plan.migrations]  # fmt: skip
    begun = [spans[plan.id, step.id] for step in plan.steps if (plan.id, step.id) in spans]
    judged = regret.read(flags.get(regret.PREFIX + plan.id, ""))
    states = [record.step_state(step.id) for step in plan.steps]
    return {
        "id": plan.id,
        "made_at": plan.made_at.isoformat(timespec="seconds"),
        "policy": plan.policy,
        "state": record.state.value,
        "why": plan.why,
        "ended": record.why,
        "steps": {state.value: states.count(state) for state in StepState if state in states},
        "moves": moves,
        "slept": _done(record, Sleep),
        "woken": _done(record, Wake),
        "measured": measured(moves),
        "planned_s": round(plan.makespan_s, 1),
        "took_s": round((max(one.ended for one in begun) - min(one.began for one in begun)).total_seconds(), 1)
        if begun
        else None,
        "watts": {"before": plan.before.watts, "after": plan.after.watts},
        "kept_ratio": None if judged is None else round(judged.ratio, 3),
    }


def _done(record: PlanRecord, kind: type[Sleep] | type[Wake]) -> list[str]:
    steps = (step for step in record.plan.steps if isinstance(step, kind))
    return [step.host for step in steps if record.step_state(step.id) is StepState.DONE]


def _move(step: Migrate, record: PlanRecord, span: _Span | None, fact: MoveFact | None) -> dict[str, Any]:
    written = record.steps.get(step.id)
    is_done = written is not None and written.state is StepState.DONE
    mib = fact.mib if fact is not None else (written.mib if written is not None else 0)
    seconds = fact.seconds if fact is not None else (span.ended - span.began).total_seconds() if span else None
    return {
        "step": step.id,
        "guest": step.guest_name or step.guest,
        "from": step.source,
        "to": step.target,
        "state": record.step_state(step.id).value,
        "predicted_mib": step.estimate.mib,
        "mib": (mib or None) if is_done else None,
        "predicted_s": round(step.estimate.seconds, 1),
        "seconds": round(seconds, 1) if is_done and seconds is not None else None,
    }


def measured(moves: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return sums over the moves that are done: what was predicted of those measured, and what was.

    `typical_mib_error` and `typical_s_error` are medians of measured / predicted - 1; `None` without a measured move.
    """
    done = [move for move in moves if move["state"] == StepState.DONE]
    sizes = [(move["predicted_mib"], move["mib"]) for move in done if move["mib"] is not None]
    times = [(move["predicted_s"], move["seconds"]) for move in done if move["seconds"] is not None]
    return {
        "moves_done": len(done),
        "predicted_mib": round(sum(said for said, _ in sizes)),
        "mib": round(sum(was for _, was in sizes)),
        "typical_mib_error": _typical(sizes),
        "predicted_s": round(sum(said for said, _ in times), 1),
        "seconds": round(sum(was for _, was in times), 1),
        "typical_s_error": _typical(times),
    }


def _typical(pairs: Iterable[tuple[float, float]]) -> float | None:
    errors = [was / said - 1 for said, was in pairs if said > 0]
    return round(statistics.median(errors), 3) if errors else None


def energy_of(days: Sequence[EnergyDay], since: str) -> dict[str, Any]:
    """Return the days from a date on, oldest first, and their total."""
    shown = [day for day in days if day.day >= since]
    currency = next((day.currency for day in reversed(shown) if day.currency), "")
    return {
        "currency": currency or None,
        "days": [
            {
                "day": day.day,
                **energy_json(day.whole),
                "night": energy_json(day.night),
                "rest": energy_json(day.rest),
            }
            for day in shown
        ],
        "total": energy_json(total(shown)),
    }


def energy_json(energy: Energy) -> dict[str, Any]:
    """Return a sum in kWh, hours and money. `with_all_on_kwh` is what would have been used with nothing asleep."""
    return {
        "seen_h": round(energy.seen_s / 3600, 3),
        "asleep_host_h": round(energy.asleep_host_s / 3600, 3),
        "used_kwh": round(kwh(energy.used_j), 6),
        "used_metered_kwh": round(kwh(energy.used_metered_j), 6),
        "with_all_on_kwh": round(kwh(energy.used_j + energy.net_saved_j + energy.moves_j), 6),
        "saved_kwh": round(kwh(energy.net_saved_j), 6),
        "taken_off_kwh": {
            "wakes": round(kwh(energy.wakes_j), 6),
            "moves": round(kwh(energy.moves_j), 6),
        },
        "metered_ratio": round(energy.metered_ratio, 4),
        "cost": round(energy.cost, 4),
        "money_saved": round(energy.money_saved, 4),
    }
