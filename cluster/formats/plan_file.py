"""The plan file, `trimtab.plan/1`: a plan read strictly, its steps known to form a DAG, and written whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from cluster.formats.extras import put_extras, read_extras
from cluster.formats.reader import Value, parse_json, read_file, shown
from cluster.formats.values import (
    AMOUNT,
    ANY_NUMBER,
    BOOLEAN,
    ID,
    IDS,
    MOMENT,
    RATIO,
    TEXT,
    WHOLE,
    Json,
    Plain,
    Record,
    choice,
    document_text,
    many,
    nullable,
    number,
    unique,
    whole,
)
from cluster.plan import Estimate, Figures, Migrate, NotMoved, Plan, Sleep, Status, Step, TierValue, Wake

SCHEMA = "trimtab.plan/1"
OWN_NOTES = (
    "x_note", "x_mib_ratio", "x_bandwidth_ratio", "x_least_mbit_s", "x_guest_memory_mib", "x_guest_vcpus",
    "x_local_disks",
)  # fmt: skip
"""Keys that Trimtab adds to what the contract promises: other readers let them through."""

_ESTIMATE = Record(
    Estimate,
    {
        "mib": WHOLE,
        "seconds": AMOUNT,
        "downtime_ms": WHOLE,
        "converges": RATIO,
        "mbit_s": WHOLE,
        "note": TEXT,
        "mib_ratio": nullable(number(above=True)),
        "bandwidth_ratio": nullable(number(above=True)),
        "least_mbit_s": nullable(WHOLE),
    },
    renamed={
        "note": "x_note",
        "mib_ratio": "x_mib_ratio",
        "bandwidth_ratio": "x_bandwidth_ratio",
        "least_mbit_s": "x_least_mbit_s",
    },
)


def _check_migrate(value: Value, step: Migrate) -> None:
    if step.source == step.target:
        raise value.at("to").refusal(f"another host than from ({step.source})")


_STEPS: dict[str, Record[Any]] = {
    "migrate": Record(
        Migrate,
        {
            "id": ID,
            "after": IDS,
            "guest": ID,
            "guest_name": TEXT,
            "source": ID,
            "target": ID,
            "parking": BOOLEAN,
            "reason": TEXT,
            "gain_share": ANY_NUMBER,
            "estimate": _ESTIMATE,
            "guest_memory_mib": nullable(WHOLE),
            "guest_vcpus": nullable(WHOLE),
            "local_disks": IDS,
        },
        renamed={
            "source": "from",
            "target": "to",
            "guest_memory_mib": "x_guest_memory_mib",
            "guest_vcpus": "x_guest_vcpus",
            "local_disks": "x_local_disks",
        },
        fixed={"kind": "migrate"},
        check=_check_migrate,
    ),
    "sleep": Record(
        Sleep,
        {"id": ID, "after": IDS, "host": ID, "reason": TEXT, "saves_watts": ANY_NUMBER},
        fixed={"kind": "sleep"},
    ),
    "wake": Record(Wake, {"id": ID, "after": IDS, "host": ID, "reason": TEXT}, fixed={"kind": "wake"}),
}
_KIND_OF: dict[type[Any], str] = {Migrate: "migrate", Sleep: "sleep", Wake: "wake"}


def _read_step(value: Value) -> Step:
    value.entries("an object with a kind")
    step: Step = _STEPS[value.at("kind").choice(tuple(_STEPS))].read(value)
    return step


def _read_steps(value: Value) -> tuple[Step, ...]:
    items = value.items("a list of steps")
    steps = tuple(_read_step(item) for item in items)
    unique(value, "step id", [step.id for step in steps])
    _check_order(value, items, steps)
    _check_moves(items, steps)
    return steps


def _check_order(value: Value, items: Sequence[Value], steps: Sequence[Step]) -> None:
    """Refuse `after` edges to no step of the plan, and edges that run in a circle."""
    known = {step.id for step in steps}
    for step, item in zip(steps, items, strict=True):
        for before in item.at("after").items() if step.after else ():
            if before.raw not in known:
                raise before.refusal("the id of a step of this plan", choices=known)
    try:
        TopologicalSorter({step.id: step.after for step in steps}).prepare()
    except CycleError as error:
        circle = " after ".join(shown(one) for one in error.args[1])
        raise value.refusal("`after` edges without a circle", found=f"{circle}, a circle") from None


def _check_moves(items: Sequence[Value], steps: Sequence[Step]) -> None:
    """Refuse a second final or parking move of a guest, a parking move that leads nowhere, and doubled power steps."""
    final: dict[str, Migrate] = {}
    parking: dict[str, tuple[Migrate, Value]] = {}
    powered: set[tuple[type[Step], str]] = set()
    for step, item in zip(steps, items, strict=True):
        if not isinstance(step, Migrate):
            if (type(step), step.host) in powered:
                raise item.at("host").refusal(f"one {_KIND_OF[type(step)]} per host")
            powered.add((type(step), step.host))
        elif step.guest in (parking if step.parking else final):
            what = "parking" if step.parking else "final"
            raise item.at("guest").refusal(f"one {what} move per guest")
        elif step.parking:
            parking[step.guest] = (step, item)
        else:
            final[step.guest] = step
    after = _all_before(steps)
    for guest, (stop, item) in parking.items():
        end = final.get(guest)
        if end is None:
            raise item.at("parking").refusal("true only with a final move of the guest in the same plan")
        if end.source != stop.target or stop.id not in after[end.id]:
            raise item.at("to").refusal(f"the host its final move {end.id} starts from, {end.id} being after {stop.id}")


def _all_before(steps: Sequence[Step]) -> dict[str, set[str]]:
    """Return for each step of an acyclic plan every step that must be finished before it."""
    direct = {step.id: step.after for step in steps}
    before: dict[str, set[str]] = {}
    for one in TopologicalSorter(direct).static_order():
        before[one] = set(direct[one]).union(*(before[other] for other in direct[one]))
    return before


def _check_plan(value: Value, plan: Plan) -> None:
    if plan.steps and plan.status in (Status.NOTHING_TO_DO, Status.INFEASIBLE):
        raise value.at("steps").refusal(f'no steps with status "{plan.status}"')
    if plan.expires_at < plan.made_at:
        raise value.at("expires_at").refusal(f"a time not before made_at ({MOMENT.write(plan.made_at)})")


_FIGURES = Record(
    Figures,
    {
        "hosts_on": WHOLE,
        "watts": AMOUNT,
        "cpu_max": AMOUNT,
        "cpu_stdev": AMOUNT,
        "memory_max": AMOUNT,
        "memory_stdev": AMOUNT,
        "broken_rules": WHOLE,
    },
)

_PLAN = Record(
    Plan,
    {
        "id": ID,
        "snapshot": ID,
        "policy": ID,
        "level": whole(1, 5),
        "seed": WHOLE,
        "made_at": MOMENT,
        "expires_at": MOMENT,
        "status": choice(Status),
        "why": TEXT,
        "goals": many(
            Record(
                TierValue,
                {"tier": ID, "before": ANY_NUMBER, "after": ANY_NUMBER, "bound": ANY_NUMBER, "gap": ANY_NUMBER},
            )
        ),
        "gap": ANY_NUMBER,
        "steps": Plain(_read_steps, lambda steps: [_STEPS[_KIND_OF[type(step)]].write(step) for step in steps]),
        "before": _FIGURES,
        "after": _FIGURES,
        "blamed": many(TEXT),
        "not_moved": many(Record(NotMoved, {"guest": ID, "code": ID, "text": TEXT})),
        "makespan_s": AMOUNT,
        "makespan_bound_s": AMOUNT,
        "moved_mib": WHOLE,
        "solve_s": AMOUNT,
    },
    fixed={"schema": SCHEMA},
    check=_check_plan,
)


def plan_from_json(value: Value) -> Plan:
    """Read a plan that is the whole or a part of a document. `InputError` for anything wrong."""
    value.schema(SCHEMA)
    return replace(_PLAN.read(value), extra=read_extras(value, OWN_NOTES))


def plan_to_json(plan: Plan) -> Json:
    """Write a plan as a document."""
    return put_extras(_PLAN.write(plan), plan.extra)


def read_plan(text: str, name: str) -> Plan:
    """Read a plan file's text; `name` is the file's in messages. `InputError` for anything wrong; all or nothing."""
    return plan_from_json(parse_json(text, name))


def load_plan(path: Path) -> Plan:
    """Read a plan file. `InputError` when it cannot be read or is wrong."""
    return read_plan(read_file(path), str(path))


def write_plan(plan: Plan) -> str:
    """Write a plan as a plan file's text, which reads back equal."""
    return document_text(plan_to_json(plan))
