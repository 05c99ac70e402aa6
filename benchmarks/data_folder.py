"""Where the public data of a family lies: the folder given, or the family's own folder inside it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from cluster.errors import InputError, TrimtabError


def add_data_option(parser: argparse.ArgumentParser) -> None:
    """Give a command its `--data DIR`."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the public instances")


def family_folder(data: Path, family: str) -> Path:
    """Return `data/family` where there is one, else `data`. Raises `InputError` when there is no folder at all."""
    if not data.is_dir():
        raise InputError(f"{data}: no such folder; give --data the folder that holds {family}/")
    inside = data / family
    return inside if inside.is_dir() else data


def run_command(command: Callable[[], int]) -> None:
    """Run a command and leave with its status; a refusal is one line on stderr and the refusal's own status."""
    try:
        status = command()
    except TrimtabError as error:
        print(f"{error}", file=sys.stderr)
        status = error.exit_status
    sys.exit(status)
