"""Scenario folders: `README.md` (why it is there), `scenario.toml`, and `expected.log`, what has to come out.

`scenario.toml` has `schema = "trimtab.scenario/1"` and is read as strictly as every other file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cluster.config.lists import LISTS
from cluster.config.sections import SECTIONS
from cluster.config.settings import CollectSource, Mode, Settings
from cluster.formats.cluster_file import POWER
from cluster.formats.reader import Value, parse_toml, read_file
from cluster.formats.rules_file import RULES
from cluster.formats.values import (
    AMOUNT,
    BOOLEAN,
    ID,
    IDS,
    MOMENT,
    RATIO,
    TEXT,
    TEXTS_BY_KEY,
    WHOLE,
    Plain,
    Record,
    choice,
    many,
    nullable,
    number,
    whole,
)
from simulator.faults import SOURCE, TARGET, Fault, FaultKind
from simulator.scenario import VERBS, GuestSpec, HostSpec, LinkSpec, Scenario, Timed, guest_names

SCHEMA = "trimtab.scenario/1"
SCENARIO_FILE = "scenario.toml"
EXPECTED_FILE = "expected.log"

# A scenario is about the loop, so it starts at once, and with a work limit it ends the same everywhere.
_SETTINGS_OF_SCENARIOS: Mapping[str, Mapping[str, Any]] = {
    "scheduler": {"mode": str(Mode.ACT), "work_limit": 2.0, "workers": 1},
    "gate": {"quiet_start_s": 0.0},
    "collect": {"source": str(CollectSource.SIMULATED), "smoothing_s": 0.0},
    "reserve": {"memory_mib": 0, "memory_ratio": 0.0},
}

_LISTS_OF_SCENARIOS = ("windows", "links", "budgets", "groups")


def load_scenario(folder: Path) -> Scenario:
    """Read a scenario folder (or its `scenario.toml`). `InputError` for anything wrong."""
    path = folder / SCENARIO_FILE if folder.is_dir() or not folder.suffix else folder
    value = parse_toml(read_file(path), str(path))
    value.schema(SCHEMA)
    settings = _read_settings(value.at("settings"))
    scenario = replace(_SCENARIO.read(value), settings=settings, folder=path.parent)
    _check(value, scenario)
    return scenario


def _read_settings(value: Value) -> Settings:
    given = {} if value.is_missing else _mapping(value)
    if given:
        value.only_keys((*SECTIONS, *_LISTS_OF_SCENARIOS))
    settings = Settings()
    for section, record in SECTIONS.items():
        raw = {**_SETTINGS_OF_SCENARIOS.get(section, {}), **(_mapping(value.at(section)) if section in given else {})}
        settings = replace(settings, **{section: record.read(value.at(section).replaced(raw))})
    for name in _LISTS_OF_SCENARIOS:
        if name in given:
            settings = replace(settings, **{name: LISTS[name].read(value.at(name))})
    return settings


def _mapping(value: Value) -> dict[str, object]:
    return {key: one.raw for key, one in value.entries("a table")}


def _check(value: Value, scenario: Scenario) -> None:
    ways = [bool(scenario.hosts), scenario.demo is not None, bool(scenario.cluster_file)]
    if ways.count(True) != 1:
        raise value.refusal(
            "one cluster: hosts and guests, or demo, or cluster_file", found=f"{ways.count(True)} clusters"
        )
    if scenario.demo is not None or scenario.cluster_file:
        if scenario.trace:
            raise value.at("trace").refusal("nothing: a trace drives the guests of a scenario with hosts and guests")
        return
    hosts = [one for spec in scenario.hosts for one in spec.ids]
    guests = [one for spec in scenario.guests for one in guest_names(spec)]
    known_at: tuple[tuple[str, tuple[GuestSpec | Fault, ...], list[str]], ...] = (
        ("guests", scenario.guests, hosts),
        ("faults", scenario.faults, [*hosts, SOURCE, TARGET]),
    )
    for key, specs, known in known_at:
        for item, spec in zip(value.at(key).items() if specs else [], specs, strict=True):
            if spec.host and spec.host not in known:
                raise item.at("host").refusal("the id of a host of this file", choices=known)
            if isinstance(spec, Fault) and spec.guest and spec.guest not in guests:
                raise item.at("guest").refusal("the name of a guest of this file", choices=guests)
    for item, command in zip(value.at("commands").items() if scenario.commands else [], scenario.commands, strict=True):
        guest, _, target = command.argument.partition(" ")
        if command.verb == "migrate" and (guest not in guests or target not in hosts):
            raise item.at("argument").refusal("the name of a guest of this file, a space, and the id of a host of it")
    for what, ids in (("host", hosts), ("guest", guests)):
        if twice := sorted({one for one in ids if ids.count(one) > 1}):
            raise value.refusal(f"each {what} once", found=f"the {what} {twice[0]} twice")


def _read_fault(value: Value) -> Fault:
    try:
        return _FAULT.read(value)
    except ValueError as error:
        raise value.refusal(f"what fits together ({error})") from error


_ABOVE_0 = number(0.0, above=True)
_HOST = Record(
    HostSpec,
    {
        "ids": IDS,
        "cores": whole(1),
        "memory_gib": whole(1),
        "link_mbit_s": _ABOVE_0,
        "domains": TEXTS_BY_KEY,
        "labels": TEXTS_BY_KEY,
        "power": POWER,
    },
)
_GUEST = Record(
    GuestSpec,
    {
        "name": ID,
        "host": ID,
        "memory_gib": whole(1),
        "cpu_millicores": WHOLE,
        "count": whole(1),
        "vcpus": whole(1),
        "in_use_ratio": RATIO,
        "noise_ratio": RATIO,
        "high_millicores": nullable(WHOLE),
        "period_s": _ABOVE_0,
        "hot_mib": AMOUNT,
        "hot_mib_s": AMOUNT,
        "cold_mib_s": AMOUNT,
        "max_downtime_ms": WHOLE,
        "movable": BOOLEAN,
        "labels": TEXTS_BY_KEY,
    },
)
_LINK = Record(LinkSpec, {"name": ID, "mbit_s": _ABOVE_0, "hosts": IDS})
_COMMAND = Record(Timed, {"at_s": AMOUNT, "verb": Plain(lambda value: value.choice(VERBS), str), "argument": TEXT})
_FAULT = Record(
    Fault,
    {
        "at_s": AMOUNT,
        "kind": choice(FaultKind),
        "host": ID,
        "guest": ID,
        "ratio": RATIO,
        "factor": AMOUNT,
        "duration_s": AMOUNT,
        "count": WHOLE,
        "mbit_s": AMOUNT,
    },
)
_SCENARIO = Record(
    Scenario,
    {
        "duration_s": _ABOVE_0,
        "start": MOMENT,
        "seed": WHOLE,
        "sample_s": _ABOVE_0,
        "hosts": many(_HOST),
        "guests": many(_GUEST),
        "links": many(_LINK),
        "rules": RULES,
        "faults": many(Plain(_read_fault, _FAULT.write)),
        "commands": many(_COMMAND),
        "demo": SECTIONS["simulator"],
        "cluster_file": TEXT,
        "trace": TEXT,
    },
    fixed={"schema": SCHEMA, "settings": ""},
)
