"""The Bitbrains and Google traces as arrays of use: guests by slots of five minutes."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.data_folder import family_folder
from cluster.errors import InputError
from cluster.history import SLOT_S
from scheduler.forecast.series import Floats

CORE_MILLICORES = 1000
GOOGLE_MEMORY_MIB = 8192
"""The Google trace gives percent of an unknown size: one core and so much memory are taken for the whole."""


@dataclass(frozen=True)
class Trace:
    """Use [guest, slot], whole numbers as rings keep them, NaN where unknown; `limits` [guest]: all it could use."""

    name: str
    unit: str
    use: Floats
    limits: Floats


def bitbrains(data: Path) -> Trace:
    """Return CPU use in millicores. Raises `InputError` when a file is missing, or what reads Parquet is."""
    folder = family_folder(data, "bitbrains")
    try:
        from pyarrow import parquet
    except ImportError:
        raise InputError("reading Parquet needs pyarrow: pip install 'pyarrow>=14' in this environment") from None
    for name in ("meta.parquet", "trace.parquet"):
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: no such file; give --data the folder that holds bitbrains/")
    meta = parquet.read_table(folder / "meta.parquet").to_pydict()
    cores = {guest: int(count) for guest, count in zip(meta["id"], meta["cpu_count"], strict=True)}
    mhz = {guest: float(most) for guest, most in zip(meta["id"], meta["cpu_capacity"], strict=True)}
    table = parquet.read_table(folder / "trace.parquet", columns=["id", "timestamp", "duration", "cpu_usage"])
    owners = np.asarray(table["id"].to_pylist())
    until_s = np.asarray(table["timestamp"].cast("int64").to_numpy()) // 1000
    over_s = np.asarray(table["duration"].to_numpy()) // 1000
    used_mhz = np.asarray(table["cpu_usage"].to_numpy())
    courses: list[tuple[int, npt.NDArray[np.float64]]] = []
    guests = sorted(cores)
    for guest in guests:
        mine = owners == guest
        # A row stands for all slots of its duration, up to its time; each guest has its own offset within a slot.
        ends, lasts = until_s[mine], over_s[mine]
        offset = (ends[0] - lasts[0]) % SLOT_S
        last = np.rint((ends - offset) / SLOT_S).astype(int)
        first = np.rint((ends - lasts - offset) / SLOT_S).astype(int)
        course = np.full(last[-1] - first[0], np.nan)
        figures = np.floor(used_mhz[mine] * cores[guest] * CORE_MILLICORES / mhz[guest])
        for begin, end, figure in zip(first - first[0], last - first[0], figures, strict=True):
            course[begin:end] = figure
        courses.append((int(first[0]), course))
    start = min(first for first, _ in courses)
    slots = max(first - start + len(course) for first, course in courses)
    use = np.full((len(guests), slots), np.nan, np.float32)
    for row, (begun, course) in enumerate(courses):
        use[row, begun - start : begun - start + len(course)] = course
    limits = np.asarray([cores[guest] * CORE_MILLICORES for guest in guests], np.float32)
    return Trace("Bitbrains, CPU", "millicores", use, limits)


def google(data: Path) -> tuple[Trace, Trace]:
    """Return CPU and memory use. Raises `InputError` when the file is missing."""
    path = family_folder(data, "gcd") / "gcd_half.tar.gz"
    if not path.is_file():
        raise InputError(f"{path}: no such file; give --data the folder that holds gcd/")
    percent = []
    with tarfile.open(path) as archive:
        for member in sorted((one for one in archive.getmembers() if one.isfile()), key=lambda one: one.name):
            file = archive.extractfile(member)
            if file is not None:
                lines = file.read().decode().replace(",", " ").splitlines()
                percent.append([[float(figure) for figure in line.split()] for line in lines])
    shares = np.clip(np.asarray(percent, np.float64), 0, 100) / 100

    def trace(name: str, unit: str, column: int, most: int) -> Trace:
        use = np.floor(shares[:, :, column] * most).astype(np.float32)
        return Trace(name, unit, use, np.full(len(use), most, np.float32))

    return (
        trace("Google (GCD), CPU", "thousandths of the whole", 0, CORE_MILLICORES),
        trace("Google (GCD), memory", "1/8192 of the whole", 1, GOOGLE_MEMORY_MIB),
    )
