"""Recorded loads of guests from files: CSV, Parquet, and the PlanetLab form (a folder or archive, one file per guest).

CSV and Parquet have the columns `time` (RFC 3339), `guest` and `cpu_millicores`, others are passed over; times lie on
one grid, and what is missing between two rows of a guest is as before. In the PlanetLab form each file is named for its
guest and holds whole numbers, percent of the guest's CPU, one for every 5 minutes.
"""

from __future__ import annotations

import csv
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from cluster.errors import InputError
from simulator.loads import FloatArray

PLANETLAB_STEP_S = 300
COLUMNS = ("time", "guest", "cpu_millicores")
MOST_SLOTS = 10_000_000
Row = tuple[datetime, str, float]


@dataclass(frozen=True, slots=True)
class Trace:
    """Loads of `guests` (sorted): CPU [guest, slot] from `start` on, one column per `step_s`; `start` None: any time.

    `cpu` is in millicores, or, with `is_ratio`, a share of all the guest's vCPUs. A guest not seen yet wants nothing.
    """

    guests: tuple[str, ...]
    start: datetime | None
    step_s: int
    cpu: FloatArray
    is_ratio: bool = False

    @property
    def lasts_s(self) -> float:
        """How long it is."""
        return float(self.cpu.shape[1] * self.step_s)

    def millicores(self, vcpus: Mapping[str, int]) -> FloatArray:
        """Return the loads in millicores [guest, slot]; `vcpus` by guest for those in shares."""
        if not self.is_ratio:
            return self.cpu
        most: FloatArray = np.array([vcpus.get(guest, 1) * 1000.0 for guest in self.guests])
        return self.cpu * most[:, None]


def read_trace(path: Path) -> Trace:
    """Read a trace, its form told by the name: a folder, `.tar.gz`, `.csv` or `.parquet`. `InputError` for the rest."""
    if path.is_dir():
        return planetlab((one.name, _read_bytes(one)) for one in sorted(path.iterdir()) if one.is_file())
    if not path.is_file():
        raise InputError(f"{path}: no such trace; give a .csv, a .parquet, or a folder of PlanetLab files")
    if path.name.endswith((".tar.gz", ".tgz", ".tar")):
        return planetlab(_members(path), str(path))
    if path.suffix == ".csv":
        return from_rows(_csv_rows(path), str(path))
    if path.suffix == ".parquet":
        return from_rows(_parquet_rows(path), str(path))
    raise InputError(f"{path}: found a file named {path.suffix or 'without ending'}; allowed: .csv, .parquet, .tar.gz")


def planetlab(files: Iterable[tuple[str, bytes]], name: str = "trace") -> Trace:
    """Return the trace of files by guest; all have to be equally long."""
    rows: dict[str, list[float]] = {}
    for guest, content in files:
        try:
            rows[guest] = [int(word) / 100 for word in content.split()]
        except ValueError:
            raise InputError(f"{name}: {guest}: found something else than whole numbers (percent of CPU)") from None
    lengths = {len(values) for values in rows.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise InputError(f"{name}: found files of {sorted(lengths) or 'no'} values; allowed: all of the same number")
    guests = tuple(sorted(rows))
    return Trace(guests, None, PLANETLAB_STEP_S, np.array([rows[guest] for guest in guests]), is_ratio=True)


def from_rows(rows: Iterable[Row], name: str) -> Trace:
    """Return the trace of (time, guest, millicores) rows in any order."""
    found = sorted(rows, key=lambda row: (row[0], row[1]))
    if not found:
        raise InputError(f"{name}: holds no row")
    moments = sorted({row[0] for row in found})
    start = moments[0]
    offsets = np.array([(at - start).total_seconds() for at in moments])
    step_s = int(np.gcd.reduce(np.round(offsets).astype(np.int64))) if len(moments) > 1 else PLANETLAB_STEP_S
    slots = round(offsets[-1]) // step_s + 1 if step_s else 0
    if not step_s or (np.abs(offsets - np.round(offsets)) > 1e-6).any() or slots > MOST_SLOTS:
        raise InputError(f"{name}: times do not lie on a grid of whole seconds; write one row each 300 s, say")
    guests = tuple(sorted({row[1] for row in found}))
    index = {guest: number for number, guest in enumerate(guests)}
    cpu: FloatArray = np.full((len(guests), slots), np.nan)
    for at, guest, millicores in found:
        cpu[index[guest], round((at - start).total_seconds()) // step_s] = millicores
    return Trace(guests, start, step_s, held(cpu))


def held(values: FloatArray) -> FloatArray:
    """Return the values with what is missing (NaN) as it was before, and 0 before the first."""
    known = ~np.isnan(values)
    last = np.maximum.accumulate(np.where(known, np.arange(values.shape[1]), -1), axis=1)
    filled = np.take_along_axis(values, np.maximum(last, 0), axis=1)
    return np.where(last < 0, 0.0, filled)


def _csv_rows(path: Path) -> Iterable[Row]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{path}: column {missing[0]} is missing; needed are {', '.join(COLUMNS)}")
            for number, row in enumerate(reader, 2):
                yield _row(row, f"{path}: line {number}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV: {error}") from None


def _row(row: Mapping[str, str | None], where: str) -> Row:
    try:
        at = datetime.fromisoformat((row["time"] or "").replace("Z", "+00:00"))
        millicores = float(row["cpu_millicores"] or "nan")
    except ValueError:
        raise InputError(
            f"{where}: found {row['time']!r} and {row['cpu_millicores']!r}; allowed: time and number"
        ) from None
    if at.tzinfo is None or not row["guest"] or not 0 <= millicores < 1e9:
        raise InputError(f"{where}: time without zone, no guest, or CPU under 0 millicores")
    return at.astimezone(UTC), row["guest"], millicores


def _parquet_rows(path: Path) -> Iterable[Row]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise InputError(f"{path}: reading Parquet needs pyarrow: install the extra 'parquet'") from None
    try:
        table = parquet.read_table(path)
    except (OSError, ArrowException) as error:
        raise InputError(f"{path}: cannot be read as Parquet: {error}") from None
    missing = [column for column in COLUMNS if column not in table.column_names]
    if missing:
        raise InputError(f"{path}: column {missing[0]} is missing; needed are {', '.join(COLUMNS)}")
    columns = [table[column].to_pylist() for column in COLUMNS]
    for number, (at, guest, millicores) in enumerate(zip(*columns, strict=True), 1):
        text = at.isoformat() if isinstance(at, datetime) else str(at)
        zoned = text if "+" in text or text.endswith("Z") else f"{text}+00:00"
        yield _row({"time": zoned, "guest": str(guest), "cpu_millicores": str(millicores)}, f"{path}: row {number}")


def _members(path: Path) -> Iterable[tuple[str, bytes]]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and (file := archive.extractfile(member)) is not None:
                    yield Path(member.name).name, file.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read as an archive: {error}") from None


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
