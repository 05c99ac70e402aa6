"""Vector bin packing instances, read from archives of .vbp files and the tables of what is known about each.

A .vbp file holds whitespace-separated integers: d, the d capacities of a bin, the number of item kinds, and for each
kind its d sizes and how many items there are of it. A table (tab-separated) has a line for each instance.
"""

from __future__ import annotations

import csv
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.integers import IntArray, Integers
from cluster.errors import InputError

FAMILIES = {"panigrahy": "panigrahy_1-5.tar.gz", "new": "new_1-3.tar.gz"}
"""Archive of each family; its table is `<family>_known.csv`."""

SAMPLE = 25
"""Instances of each class that the comparison runs."""


@dataclass(frozen=True, slots=True)
class Packing:
    """One instance: `capacity` [d] of every bin, `sizes` [items, d] with an item for each of its kind's number."""

    family: str
    name: str
    capacity: IntArray
    sizes: IntArray


@dataclass(frozen=True, slots=True)
class Known:
    """What is published of an instance, in bins: a lower bound, the optimum (`None`: unknown), the best heuristic's."""

    lower_bound: int
    optimum: int | None
    best_overall: int


def read_packing(text: str, where: str, family: str, name: str) -> Packing:
    """Return the instance of one .vbp text. Raises `InputError` naming `where`, line and field."""
    numbers = Integers(text, where)
    dimensions = numbers.one("number of dimensions", low=1)
    capacity = numbers.take(dimensions, "capacity of a bin", low=1)
    kinds = numbers.one("number of item kinds")
    rows = numbers.rows(kinds, dimensions + 1, "sizes and number of an item kind")
    for dimension, most in enumerate(capacity.tolist()):
        column = rows[:, dimension]
        numbers.check(column, "size of an item", most, dimension - rows.size, dimensions + 1)
    numbers.end()
    return Packing(family, name, capacity, np.repeat(rows[:, :-1], rows[:, -1], axis=0))


def read_known(folder: Path, family: str) -> dict[str, Known]:
    """Return what is known of each instance of a family, by name."""
    path = folder / f"{family}_known.csv"
    known = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                optimum = int(row["OPT"])
                known[row["instance_name"]] = Known(
                    int(row["LB"]), None if optimum < 0 else optimum, int(row["best_overall"])
                )
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give --data the folder it is in") from None
    except (KeyError, TypeError, ValueError) as error:
        what = f"line {len(known) + 2}: found {error}; allowed: columns instance_name, LB, OPT, best_overall, integers"
        raise InputError(f"{path}, {what}") from None
    return known


def class_of(name: str) -> str:
    """Return the class of an instance's name: `class1` of `class1_120_10_3`."""
    return name.partition("_")[0]


def sample(names: list[str], size: int = SAMPLE) -> list[str]:
    """Return a fixed sample of one class.

    The rule: sort by the numbers in the name (items, dimensions, number), cut the list into `size` pieces of equal
    length, take the middle of each. All sizes and dimensions are in it, and no dice.
    """
    ordered = sorted(names, key=_numbers)
    if len(ordered) <= size:
        return ordered
    return [ordered[(2 * piece + 1) * len(ordered) // (2 * size)] for piece in range(size)]


def read_sample(folder: Path, family: str, size: int = SAMPLE) -> dict[str, list[tuple[Packing, Known]]]:
    """Return the sample of every class of a family, with what is known of each instance, by class in order."""
    known = read_known(folder, family)
    classes = sorted({class_of(name) for name in known})
    chosen = {one: sample([name for name in known if class_of(name) == one], size) for one in classes}
    packings = read_archive(folder / FAMILIES[family], family, {name for names in chosen.values() for name in names})
    return {one: [(packings[name], known[name]) for name in names] for one, names in chosen.items()}


def read_archive(path: Path, family: str, wanted: set[str]) -> dict[str, Packing]:
    """Return the wanted instances of an archive, by name; nothing is unpacked to disk."""
    found = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = Path(member.name).stem
                file = archive.extractfile(member) if name in wanted and member.name.endswith(".vbp") else None
                if file is not None:
                    text = file.read().decode("ascii", "replace")
                    found[name] = read_packing(text, f"{path}: {member.name}", family, name)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give --data the folder it is in") from None
    except (OSError, EOFError, tarfile.TarError) as error:
        raise InputError(f"{path}: cannot be read as an archive ({error})") from None
    missing = sorted(wanted - set(found))
    if missing:
        raise InputError(f"{path}: no {missing[0]}.vbp in it, which its table names ({len(missing)} missing)")
    return found


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split("_")[1:] if part.isdigit())
