"""The loader of the configuration: one TOML file and `--set` over it, checked whole, with the origin of every key.

Nothing else reads configuration. `InputError` names the file (or `--set`), the key, what was found, what is allowed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.config.lists import LISTS
from cluster.config.sections import SECTIONS
from cluster.config.settings import BudgetScope, CollectSource, Settings
from cluster.errors import InputError
from cluster.formats.reader import Value, closest, parse_toml, read_file, shown
from cluster.formats.values import Json
from cluster.rules.contradictions import find_in_rules_alone

DEFAULT_PATH = Path("/etc/trimtab/trimtab.toml")
DEFAULT = "default"
OVERRIDE = "--set"

APART = (
    ("collect.interval_s", "collect.stale_s"),
    ("collect.stale_s", "collect.report_ttl_s"),
    ("collect.dirty_rate_period_s", "collect.dirty_rate_every_s"),
    ("store.timeout_s", "scheduler.lease_s"),
    ("consolidate.wake_headroom_ratio", "consolidate.headroom_ratio"),
)
"""Keys whose values must not touch or cross: the first is below the second."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The effective settings, the file they are from (`None`: there was none), and each key's origin.

    Origins are by `section.key`, or by the name of a repeated section: "default", the file's name, or "--set".
    """

    settings: Settings
    origins: Mapping[str, str]
    path: Path | None = None


def load_settings(
    path: Path | None = None, overrides: Sequence[str] = (), *, default_path: Path = DEFAULT_PATH
) -> Loaded:
    """Load a configuration with `section.key=value` overrides, the last of a key winning.

    `path` `None` means the default file where there is one, and every default where there is none. `InputError` for a
    named file that is missing, for anything unknown or out of range, and for settings or rules that contradict.
    """
    if path is None and default_path.exists():
        path = default_path
    name = "" if path is None else str(path)
    file = Value({}, name) if path is None else parse_toml(read_file(path), name)
    settings, origins = _from_file(file, name)
    for override in overrides:
        settings, key = _overridden(settings, override)
        origins[key] = OVERRIDE
    _check(settings, origins)
    return Loaded(settings, origins, path)


def settings_to_json(settings: Settings) -> Json:
    """Return every effective value by section and key, as the TOML file would hold them ("none" for no value)."""
    return {
        **{name: record.write(getattr(settings, name)) for name, record in SECTIONS.items()},
        **{name: codec.write(getattr(settings, name)) for name, codec in LISTS.items()},
    }


def _from_file(file: Value, name: str) -> tuple[Settings, dict[str, str]]:
    file.only_keys((*SECTIONS, *LISTS))
    settings = Settings()
    origins: dict[str, str] = {}
    for section, record in SECTIONS.items():
        value = file.at(section)
        if not value.is_missing:
            settings = replace(settings, **{section: record.read(value)})
        for key in record.keys:
            origins[f"{section}.{key}"] = DEFAULT if value.is_missing or value.at(key).is_missing else name
    for section, codec in LISTS.items():
        value = file.at(section)
        if not value.is_missing:
            settings = replace(settings, **{section: codec.read(value)})
        origins[section] = DEFAULT if value.is_missing else name
    return settings, origins


def _overridden(settings: Settings, override: str) -> tuple[Settings, str]:
    key, equals, text = override.partition("=")
    key = key.strip()
    section, dot, name = key.partition(".")
    if not equals or not dot:
        raise InputError(f"{OVERRIDE}: found {shown(override)}; allowed: section.key=value")
    if section not in SECTIONS:
        raise _unknown(key, section, tuple(SECTIONS))
    record = SECTIONS[section]
    if name not in record.keys:
        raise _unknown(key, name, record.keys)
    field = record.field_of_key[name]
    value = Value({section: {name: _toml_value(text.strip())}}, OVERRIDE).at(section).at(name)
    changed = replace(getattr(settings, section), **{field: record.codecs[field].read(value)})
    return replace(settings, **{section: changed}), key


def _unknown(key: str, part: str, choices: Sequence[str]) -> InputError:
    close = closest(part, choices)
    hint = "" if close is None else f"; did you mean {close}?"
    return InputError(f"{OVERRIDE}: {key}: found an unknown key; allowed: {', '.join(choices)}{hint}")


def _toml_value(text: str) -> object:
    """Return text as the TOML value it is, or else as it stands, so that words need no quotes in a shell."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _check(settings: Settings, origins: Mapping[str, str]) -> None:
    """Refuse settings that are right one by one and wrong together."""
    for low, high in APART:
        below, above = _number(settings, low), _number(settings, high)
        if below >= above:
            where = next(origin for key in (high, low) if (origin := origins[key]) != DEFAULT)
            raise InputError(f"{where}: {high}: found {above:g}; allowed: above {low} ({below:g})")
    if settings.collect.source is CollectSource.RECORDED and not settings.collect.recording:
        raise InputError(
            f"{origins['collect.source']}: collect.recording: found an empty text; "
            'allowed: the path of a recording, with collect.source = "recorded"'
        )
    if settings.prices and not settings.energy.price_per_kwh:
        raise InputError(
            f"{origins['prices']}: energy.price_per_kwh: found 0; "
            "allowed: above 0, the price outside the hours of [[prices]]"
        )
    _check_names(settings, origins)
    for one in find_in_rules_alone(settings.rules):
        raise InputError(f"{origins['rules']}: rules: found {one.text}; allowed: rules that can hold together")


def _check_names(settings: Settings, origins: Mapping[str, str]) -> None:
    """Refuse links and budgets that speak of links or, where hosts are listed, of hosts that are not there."""
    host_ids, link_names = [host.id for host in settings.hosts], [link.name for link in settings.links]
    named = [("links", f"links[{i}].hosts", id_) for i, link in enumerate(settings.links) for id_ in link.hosts]
    named += [("budgets", f"budgets[{i}].name", one.name) for i, one in enumerate(settings.budgets) if one.name]
    link_budgets = {f"budgets[{i}].name" for i, one in enumerate(settings.budgets) if one.scope is BudgetScope.LINK}
    for section, where, name in named:
        known, what = (link_names, "links") if where in link_budgets else (host_ids, "hosts")
        if name not in known and (known or what == "links"):
            close = closest(name, known)
            hint = "" if close is None else f"; did you mean {close}?"
            raise InputError(f"{origins[section]}: {where}: found {shown(name)}; allowed: one of [[{what}]]{hint}")


def _number(settings: Settings, key: str) -> float:
    section, name = key.split(".")
    return float(getattr(getattr(settings, section), name))
