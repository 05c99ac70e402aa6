"""Argument types and inputs that several verbs share: bounded numbers, and a cluster file or standard input."""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from cluster.config.settings import Settings
from cluster.errors import InputError
from cluster.formats.cluster_file import load_cluster, read_cluster
from cluster.snapshot import Snapshot

STDIN = "-"
STDOUT = "-"


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    """Return an argument type: a whole number within bounds."""
    allowed = f"a whole number from {low}" + ("" if high is None else f" to {high}")

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"found {text!r}; allowed: {allowed}")
        return value

    return read


def positive(text: str) -> float:
    """Argument type: a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"found {text!r}; allowed: a number above 0")
    return value


def read_snapshot(name: str, settings: Settings) -> Snapshot:
    """Read a cluster file, `-` being standard input. `InputError` for anything wrong."""
    if name != STDIN:
        return load_cluster(Path(name), settings.collect.stale_s)
    try:
        text = sys.stdin.buffer.read().decode() if hasattr(sys.stdin, "buffer") else sys.stdin.read()
    except UnicodeDecodeError as error:
        raise InputError(
            f"standard input: found bytes that are no UTF-8 at {error.start}; allowed: JSON text"
        ) from None
    return read_cluster(text, "standard input", settings.collect.stale_s)


def write_file(path: Path, text: str) -> None:
    """Write a file whole or not at all. `InputError` when it cannot be written."""
    try:
        handle, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            mask = os.umask(0)
            os.umask(mask)
            Path(scratch).chmod(0o666 & ~mask)
            Path(scratch).replace(path)
        except BaseException:
            Path(scratch).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}; name a file you may write") from None
