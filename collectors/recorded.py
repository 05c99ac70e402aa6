"""Recordings of observations: one JSON line per report, written as they are made and played back by a collector.

A recording holds reports of any number of hosts in order of time. Played back, each look returns the host's next
observation; times are moved so that the first one is now, and the last one is repeated (with its own age) at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from cluster.clock import Clock
from cluster.errors import HostUnreachableError, InputError
from cluster.formats.report_file import report_from_json_text, report_to_json_text
from cluster.report import Observation, Report


class Recorder:
    """Appends reports to a file, each on disk-bound buffers at once, so that a recording that is cut is still good."""

    def __init__(self, path: Path) -> None:
        try:
            self._file: IO[str] = path.open("a", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path}: cannot write a recording: {error.strerror}") from None

    def write(self, report: Report) -> None:
        """Append one report."""
        text = report_to_json_text(report)
        self._file.write(" ".join(text.splitlines()) + "\n")
        self._file.flush()

    def close(self) -> None:
        """End the recording."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_recording(path: Path) -> Iterator[Report]:
    """Read a recording line by line. `InputError` names file and line of what is not a report.

    A last line that was cut (without its end) is left out.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.endswith("\n") and line.strip():
                    yield report_from_json_text(line, f"{path}: line {number}")
    except OSError as error:
        raise InputError(f"{path}: cannot read the recording: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a recording: it is not UTF-8 text") from None


class RecordedCollector:
    """Plays one host of a recording back."""

    def __init__(self, host_id: str, observations: tuple[Observation, ...], clock: Clock) -> None:
        self._host_id = host_id
        self._observations = observations
        self._clock = clock
        self._next = 0
        self._shift: timedelta | None = None

    @property
    def host(self) -> str:
        return self._host_id

    def collect(self) -> Observation:
        if not self._observations:
            raise HostUnreachableError(f"host {self._host_id}: the recording does not hold it; record it or drop it")
        now = self._clock.now()
        if self._shift is None:
            self._shift = now - self._observations[0].taken_at
        seen = self._observations[min(self._next, len(self._observations) - 1)]
        self._next += 1
        return _at(seen, min(now, seen.taken_at + self._shift))

    def close(self) -> None:
        self._next = 0


def recorded_collectors(path: Path, clock: Clock) -> dict[str, RecordedCollector]:
    """Return a collector for each host of a recording, by id."""
    by_host: dict[str, list[Observation]] = {}
    for report in read_recording(path):
        by_host.setdefault(report.host, []).append(report.observation)
    return {host: RecordedCollector(host, tuple(seen), clock) for host, seen in sorted(by_host.items())}


def _at(seen: Observation, at: datetime) -> Observation:
    return replace(seen, taken_at=at, host=replace(seen.host, measured_at=at))
