"""A day of PlanetLab: one file per guest, 288 whole numbers, CPU use in percent every 5 minutes, read from the archive.

Files are taken in the order of their names. The last value holds until midnight.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np

from cluster.errors import InputError
from simulator.loads import FloatArray

SLOTS = 288
SLOT_S = 300.0
DAY_S = SLOTS * SLOT_S


def read_day(folder: Path, day: str) -> FloatArray:
    """Return the CPU use [guest, slot], ratios. `InputError` says what is missing or not of this form."""
    path = folder / f"{day}.tar.gz"
    if not path.is_file():
        raise InputError(f"{path}: no such file; give --data the folder that holds planetlab/{day}.tar.gz")
    rows: list[tuple[str, list[int]]] = []
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and (file := archive.extractfile(member)) is not None:
                    rows.append((member.name, [int(word) for word in file.read().split()]))
    except (tarfile.TarError, OSError, ValueError) as error:
        raise InputError(f"{path}: not a day of PlanetLab (files of {SLOTS} whole numbers): {error}") from None
    for name, values in rows:
        if len(values) != SLOTS:
            raise InputError(f"{path}: {name}: {len(values)} values, not {SLOTS}")
    if not rows:
        raise InputError(f"{path}: holds no file")
    return np.array([values for _, values in sorted(rows)], float) / 100
