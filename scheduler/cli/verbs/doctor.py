"""`trimtab doctor`: can every part reach what it needs, and what to do if not."""

from __future__ import annotations

import argparse

from cluster.store.open import open_store
from scheduler.cli.context import Context
from scheduler.cli.diagnosis import diagnose
from scheduler.cli.matter import Grade, Matter

DESCRIPTION = (
    "Look at the store, the hosts, the reports and everything that holds acting back; every line that is not ok says "
    "what to do. Exit status 0: all well, 1: acting would be refused, 3: something needed does not answer."
)
EXAMPLES = """\
  trimtab doctor
  trimtab doctor --config /etc/trimtab/trimtab.toml --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: none."""


def run(args: argparse.Namespace, context: Context) -> int:
    """Look at everything and tell."""
    settings = context.settings
    matters = tuple(diagnose(settings, context.clock, lambda: open_store(settings.store, context.clock)))
    grades = {matter.grade for matter in matters}
    status = 3 if Grade.UNREACHABLE in grades else 1 if Grade.REFUSES in grades else 0
    context.result(
        "\n".join(_line(matter) for matter in matters),
        {
            "well": status == 0,
            "findings": [
                {"grade": one.grade.value, "about": one.about, "text": one.text, "todo": one.todo} for one in matters
            ],
        },
    )
    return status


def _line(matter: Matter) -> str:
    mark = " " if matter.text.endswith("?") else "; "
    todo = f"{mark}{matter.todo}" if matter.todo else ""
    return f"{matter.grade.value:<11}  {matter.about}: {matter.text}{todo}"
