"""What every verb is given: global options, the configuration they name, the clock, and where results and notes go."""

from __future__ import annotations

import errno
import os
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from cluster.clock import Clock, SystemClock

if TYPE_CHECKING:
    from cluster.config.loader import Loaded
    from cluster.config.settings import Settings


_PLAIN = {**{ord(char): "#" for char in "█▉▊▋▌▍▎▏"}, ord("·"): ".", ord("…"): "~"}


class Context:
    """Global options and streams of one call. The configuration is read when it is first asked for (`InputError`).

    A result goes to stdout, alone; everything else to stderr. A reader that went away (`| head`) is no error: what is
    left to say is dropped, and the verb ends with the status it would have had.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.config: Path | None = None
        self.overrides: tuple[str, ...] = ()
        self.as_json = False
        self.verbose = False
        self.clock: Clock = clock or SystemClock()

    @cached_property
    def loaded(self) -> Loaded:
        """The configuration and where each value came from."""
        from cluster.config.loader import load_settings

        return load_settings(self.config, self.overrides)

    @property
    def settings(self) -> Settings:
        """The effective configuration."""
        return self.loaded.settings

    def result(self, text: str, document: Any) -> None:
        """Print a verb's result: as text for people, or as one JSON document with `--json`."""
        if self.as_json:
            import json

            text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2)
        self.write(text)

    def write(self, text: str) -> None:
        """Print to stdout."""
        _put(sys.stdout, text)

    def progress(self, line: str) -> None:
        """Tell how things go: on stdout for people, on stderr where stdout is for the JSON result alone."""
        _put(sys.stderr if self.as_json else sys.stdout, line)

    def note(self, line: str) -> None:
        """Print a remark to stderr."""
        _put(sys.stderr, line)

    def complain(self, line: str) -> None:
        """Print an error on one line of stderr."""
        self.note("trimtab: " + " ".join(line.split()))

    def flush(self) -> None:
        """Let everything out."""
        _put(sys.stdout, None)
        _put(sys.stderr, None)


def _put(stream: TextIO, text: str | None) -> None:
    try:
        if text is not None:
            stream.write(text if text.endswith("\n") else text + "\n")
        stream.flush()
    except UnicodeEncodeError:
        # A terminal or pipe without UTF-8: bars and dots have a plain form, other letters are spelt out.
        plain = f"{text}\n".translate(_PLAIN).encode("ascii", "backslashreplace").decode()
        _put(stream, plain.rstrip("\n"))
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        # The reader or the terminal is gone. What Python would flush at its exit must not fail a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
