"""A collector's report as text, `trimtab.report/1`: what travels through the store, one line of JSON."""

from __future__ import annotations

from cluster.formats.cluster_file import GUEST, HOST, read_guest
from cluster.formats.reader import Value, parse_json
from cluster.formats.values import (
    AMOUNT,
    BOOLEAN,
    ID,
    IDS,
    MOMENT,
    RATIO,
    TEXT,
    WHOLE,
    Plain,
    Record,
    compact_text,
    many,
    nullable,
    unique,
)
from cluster.guest import Guest
from cluster.report import HostUsage, Observation, Report

SCHEMA = "trimtab.report/1"


def _check_observation(value: Value, observation: Observation) -> None:
    unique(value.at("guests"), "guest id", [guest.id for guest in observation.guests])
    for guest, item in zip(observation.guests, value.at("guests").items(), strict=True):
        if guest.host != observation.host.id:
            raise item.at("host").refusal(f"the reported host ({observation.host.id})")


_GUEST: Plain[Guest] = Plain(read_guest, GUEST.write)

_OBSERVATION = Record(
    Observation,
    {
        "taken_at": MOMENT,
        "host": HOST,
        "usage": Record(
            HostUsage,
            {
                "cpu_millicores": nullable(WHOLE),
                "steal_millicores": nullable(WHOLE),
                "memory_available_mib": nullable(WHOLE),
                "net_mbit_s": nullable(AMOUNT),
                "disk_mib_s": nullable(AMOUNT),
                "load_1min": nullable(AMOUNT),
                "cpu_pressure_ratio": nullable(RATIO),
                "memory_pressure_ratio": nullable(RATIO),
                "io_pressure_ratio": nullable(RATIO),
                "watts": nullable(AMOUNT),
                "package_watts": nullable(AMOUNT),
            },
        ),
        "guests": many(_GUEST),
        "inactive": IDS,
        "warnings": many(TEXT),
        "kill_switch": BOOLEAN,
    },
    check=_check_observation,
)

_REPORT = Record(
    Report,
    {"boot_id": ID, "agent_start": MOMENT, "sequence": WHOLE, "observation": _OBSERVATION},
    fixed={"schema": SCHEMA},
)


def report_to_json_text(report: Report) -> str:
    """Write a report as one line of JSON, which reads back equal."""
    return compact_text(_REPORT.write(report))


def report_from_json_text(text: str, name: str) -> Report:
    """Read a report's text; `name` says where it came from in messages. `InputError` for anything wrong."""
    value = parse_json(text, name)
    value.schema(SCHEMA)
    return _REPORT.read(value)
