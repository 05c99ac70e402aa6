"""A program run to its end or to its deadline: no shell, no terminal, a clean environment, its output kept short."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import HostUnreachableError, InputError

MOST_BYTES = 1 << 16
MOST_SAID = 200
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, and what it wrote, as far as `MOST_BYTES`."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """What it said about an error, on one line."""
        text = self.err.strip() or self.out.strip() or "it says nothing"
        flat = "".join(char if char.isprintable() else " " for char in text)
        return " ".join(flat.split())[:MOST_SAID]


def run_program(who: str, words: Sequence[str], deadline_s: float) -> Ended:
    """Run a program and return how it ended. `who` begins messages.

    At the deadline it and what it started are killed: `HostUnreachableError`. `InputError`: it cannot be run at all.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(
                list(words),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={"PATH": os.environ.get("PATH", PATH), "LC_ALL": "C"},
                start_new_session=True,
                cwd="/",
            )
        except OSError as error:
            raise InputError(f"{who}: {words[0]} cannot be run: {error.strerror}; is it installed here?") from None
        try:
            status = process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise HostUnreachableError(f"{who}: {Path(words[0]).name} did not end within {deadline_s:g} s") from None
        finally:
            # Also what it left behind: a group of its own has nobody else's processes in it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        out.seek(0)
        err.seek(0)
        return Ended(
            status, out.read(MOST_BYTES).decode(errors="replace"), err.read(MOST_BYTES).decode(errors="replace")
        )
