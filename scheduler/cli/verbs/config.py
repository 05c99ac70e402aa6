"""`trimtab config check | show`: whether the configuration is valid, and what is in effect and why."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

from cluster.config.loader import DEFAULT, DEFAULT_PATH, Loaded, settings_to_json
from scheduler.cli.context import Context

DESCRIPTION = "Check the configuration, or show every effective value and where it came from."
EXAMPLES = """\
  trimtab config check --config trimtab.toml
  trimtab config show                       every value; a remark says where it is from
  trimtab config show --set limits.cpu=0.7 --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("what", choices=("check", "show"), help="check: is it valid; show: the effective values")


def run(args: argparse.Namespace, context: Context) -> int:
    """Load the configuration, which refuses what is wrong, and show it."""
    loaded = context.loaded
    document = settings_to_json(loaded.settings)
    if args.what == "show":
        context.result(_shown(document, loaded.origins), {"values": document, "origins": dict(loaded.origins)})
        return 0
    changed = sum(origin != DEFAULT for origin in loaded.origins.values())
    name = str(loaded.path) if loaded.path else f"no file (there is no {DEFAULT_PATH})"
    context.result(
        f"{name}: valid; {_in_words(loaded)}; {changed} of {len(loaded.origins)} keys are not the default",
        {"valid": True, "file": str(loaded.path) if loaded.path else None, "changed": changed},
    )
    return 0


def _in_words(loaded: Loaded) -> str:
    settings = loaded.settings
    scheduler = settings.scheduler
    hosts = f"{len(settings.hosts)} hosts" if settings.hosts else "every host that reports"
    return f"mode {scheduler.mode}, policy {scheduler.policy}, level {scheduler.level}, {hosts}"


def _shown(document: Mapping[str, object], origins: Mapping[str, str]) -> str:
    lines = []
    for section, values in document.items():
        if isinstance(values, Mapping):
            lines.append(f"[{section}]")
            for key, value in values.items():
                lines.append(f"{f'{key} = {_toml(value)}':<50}  # {origins.get(f'{section}.{key}', DEFAULT)}")
            lines.append("")
    for section, values in document.items():
        if isinstance(values, list):
            lines.append(f"# {section}: {len(values)} entries, {origins.get(section, DEFAULT)}")
            lines += [f"#   {json.dumps(value, ensure_ascii=False)}" for value in values]
    return "\n".join(lines)


def _toml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
