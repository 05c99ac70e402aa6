"""What the repeated sections of the configuration may be: hosts, windows, links, budgets, groups and rules.

A key is one line here and one field with its default in `settings.py`; `config/trimtab.toml` shows it in an example.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, time
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from cluster.config.consolidate import Depth
from cluster.config.energy import PriceSettings
from cluster.config.power_codecs import BMC
from cluster.config.sections import or_none
from cluster.config.settings import (
    BudgetScope,
    BudgetSettings,
    GroupSettings,
    HostSettings,
    LinkSettings,
    Mode,
    WindowKind,
    WindowSettings,
)
from cluster.formats.cluster_file import DOMAINS, POWER
from cluster.formats.reader import Value
from cluster.formats.rules_file import RULES, SELECTOR
from cluster.formats.values import (
    AMOUNT,
    BOOLEAN,
    ID,
    IDS,
    TEXT,
    TEXTS_BY_KEY,
    WHOLE,
    Plain,
    Record,
    choice,
    many,
    number,
    unique,
    whole,
)
from cluster.host import PowerModel
from cluster.power_curves import BY_MODEL
from cluster.windows import is_open

LIBVIRT_URI = re.compile(r"[a-z]+(\+[a-z0-9]+)?://\S+")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def _read_uri(value: Value) -> str:
    allowed = "a libvirt URI such as qemu+tls://kvm-1/system, or empty"
    text = value.text(allowed)
    if text and not LIBVIRT_URI.fullmatch(text):
        raise value.refusal(allowed)
    return text


def _read_days(value: Value) -> tuple[int, ...]:
    days = [_DAYS.index(one.choice(_DAYS)) for one in value.items("a list of days")]
    if not days or len(set(days)) < len(days):
        raise value.refusal(f"each of {', '.join(_DAYS)} at most once, at least one day")
    return tuple(sorted(days))


def _read_clock_time(value: Value) -> time:
    allowed = 'a time of day "HH:MM" from "00:00" to "23:59"'
    text = value.text(allowed)
    if not _CLOCK_TIME.fullmatch(text):
        raise value.refusal(allowed)
    return time.fromisoformat(text)


def _read_awake_by(value: Value) -> time | None:
    return None if value.raw == "none" else _read_clock_time(value)


def _read_time_zone(value: Value) -> str:
    allowed = 'the name of a time zone such as "UTC" or "Europe/Lisbon"'
    text = value.text(allowed)
    if text != "UTC":
        try:
            ZoneInfo(text)
        except (KeyError, ValueError, OSError):
            raise value.refusal(allowed) from None
    return text


_POSITIVE = number(above=True)
_POWER_FIGURES = Record(PowerModel, {key: codec for key, codec in POWER.codecs.items() if key != "state"})


def _read_power(value: Value) -> PowerModel:
    value.only_keys((*_POWER_FIGURES.keys, "model"))
    if not value.has("model"):
        return _POWER_FIGURES.read(value)
    model = value.at("model")
    curve = BY_MODEL[model.choice(tuple(BY_MODEL))]
    if value.has("watts"):
        raise model.refusal("model or watts, not both")
    figures = {key: one.raw for key, one in value.entries() if key != "model"}
    return replace(_POWER_FIGURES.read(value.replaced(figures)), watts=curve)


_HOST_POWER = Plain(_read_power, _POWER_FIGURES.write)
"""Power figures of a host's entry; its state is measured, never configured. `model` stands for that model's curve."""

_WINDOW_KEYS: Mapping[str, Plain[Any]] = MappingProxyType(
    {
        "days": Plain(_read_days, lambda days: [_DAYS[day] for day in days]),
        "start": Plain(_read_clock_time, lambda one: one.strftime("%H:%M")),
        "end": Plain(_read_clock_time, lambda one: one.strftime("%H:%M")),
        "time_zone": Plain(_read_time_zone, str),
    }
)
_WINDOW_NAMES = {"start": "from", "end": "to"}

_HOST = Record(
    HostSettings,
    {
        "id": ID,
        "uri": Plain(_read_uri, str),
        "migration_address": TEXT,
        "migration_tls": or_none(BOOLEAN),
        "migration_mbit_s": or_none(_POSITIVE),
        "cpu_millicores": or_none(whole(1)),
        "memory_mib": or_none(whole(1)),
        "net_mbit_s": or_none(AMOUNT),
        "disk_mib_s": or_none(AMOUNT),
        "mode": choice(Mode),
        "reserved_cpu_millicores": or_none(WHOLE),
        "reserved_memory_mib": or_none(WHOLE),
        "domains": DOMAINS,
        "labels": TEXTS_BY_KEY,
        "storage": or_none(IDS),
        "power": _HOST_POWER,
        "bmc": or_none(BMC),
    },
)


def _check_window(value: Value, window: WindowSettings) -> None:
    for key in ("depth", "awake_by"):
        if window.kind is not WindowKind.NIGHT and value.has(key):
            raise value.at(key).refusal('nothing here: it belongs to a window of kind = "night"')
    at = window.awake_by
    if (
        at is not None
        and at != window.end
        and not is_open(replace(window, days=tuple(range(7))), _on_a_day(window, at))
    ):
        raise value.at("awake_by").refusal("a time inside the window, or its end")


def _on_a_day(window: WindowSettings, at: time) -> datetime:
    return datetime.combine(date(2001, 1, 1), at, ZoneInfo(window.time_zone))


_WINDOW = Record(
    WindowSettings,
    {
        "kind": choice(WindowKind),
        **_WINDOW_KEYS,
        "depth": choice(Depth),
        "awake_by": Plain(_read_awake_by, lambda at: "none" if at is None else at.strftime("%H:%M")),
    },
    renamed=_WINDOW_NAMES,
    check=_check_window,
)
_LINK = Record(LinkSettings, {"name": ID, "mbit_s": _POSITIVE, "hosts": IDS})


def _check_budget(value: Value, budget: BudgetSettings) -> None:
    if budget.scope is BudgetScope.CLUSTER and budget.name:
        raise value.at("name").refusal('no name, with scope = "cluster"')


_BUDGET = Record(
    BudgetSettings,
    {"scope": choice(BudgetScope), "name": TEXT, "mbit_s": _POSITIVE, **_WINDOW_KEYS},
    renamed=_WINDOW_NAMES,
    check=_check_budget,
)


_PRICE = Record(PriceSettings, {"per_kwh": AMOUNT, **_WINDOW_KEYS}, renamed=_WINDOW_NAMES)


_GROUP = Record(GroupSettings, {"name": ID, "guests": SELECTOR, "in_flight": whole(1)})


def _read_groups(value: Value) -> tuple[GroupSettings, ...]:
    groups = many(_GROUP).read(value)
    unique(value, "group name", [group.name for group in groups], "name")
    return groups


def _read_hosts(value: Value) -> tuple[HostSettings, ...]:
    hosts = many(_HOST).read(value)
    unique(value, "host id", [host.id for host in hosts])
    return hosts


def _read_links(value: Value) -> tuple[LinkSettings, ...]:
    links = many(_LINK).read(value)
    unique(value, "link name", [link.name for link in links], "name")
    for link, item in zip(links, value.items(), strict=True):
        if not link.hosts or len(set(link.hosts)) < len(link.hosts):
            raise item.at("hosts").refusal("ids of the hosts behind the link, each once, at least one")
    return links


LISTS: Mapping[str, Plain[Any]] = MappingProxyType(
    {
        "hosts": Plain(_read_hosts, many(_HOST).write),
        "windows": many(_WINDOW),
        "links": Plain(_read_links, many(_LINK).write),
        "budgets": many(_BUDGET),
        "prices": many(_PRICE),
        "groups": Plain(_read_groups, many(_GROUP).write),
        "rules": RULES,
    }
)
"""Codec by repeated section: `[[hosts]]` and so on."""
