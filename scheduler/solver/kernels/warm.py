"""All kernels compiled ahead of the first search: `python -m scheduler.solver.kernels.warm`.

Each is compiled for the one signature it is ever called with, which its annotations tell. What is kept already is only
loaded. Code of other sources is removed. A second process that warms at the same time waits for the first.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from numba import boolean, float64, int64, typeof
from numpy.typing import NDArray

from scheduler.solver.forms import Bools, Ints
from scheduler.solver.kernels.compiled import entries, examples
from scheduler.solver.kernels.kept import SOLVER, folders, trusted
from scheduler.solver.kernels.state import make_state
from scheduler.solver.kernels.tables import make_tables
from scheduler.solver.rehearse import tiny

OLD_S = 86_400
"""Code of other sources is removed after this time: until then somebody may still work with them."""
_KEPT = re.compile(r"(.+-[0-9a-f]{16})-[0-9a-f]{16}\.bin")


def import_all() -> None:
    """Import every module of the solver that has kernels, and no other: some take long."""
    for path in sorted(SOLVER.rglob("*.py")):
        if re.search(r"^from scheduler\.solver\.kernels\.compiled import .*\bentry\b", path.read_text(), re.MULTILINE):
            parts = path.relative_to(SOLVER).with_suffix("").parts
            importlib.import_module(".".join(("scheduler.solver", *parts)))


def argument_types() -> dict[Any, Any]:
    """Return the type in compiled code of the annotations that an argument may have; the state's kernels are loaded."""
    tables = make_tables(tiny())
    state = make_state(tables, tiny().home)
    known: dict[Any, Any] = {int: int64, float: float64, bool: boolean}
    known |= {Ints: int64[::1], Bools: boolean[::1], NDArray[np.float64]: float64[::1]}
    for value in (tables, state, *(make(tables) for make in examples.values())):
        _add_tuples(known, value)
    return known


def _add_tuples(known: dict[Any, Any], value: object) -> None:
    if isinstance(value, tuple):
        known[type(value)] = typeof(value)
        for part in value:
            _add_tuples(known, part)


def signature_of(dispatcher: Any, known: dict[Any, Any]) -> tuple[Any, ...]:
    """Return the types of a kernel's arguments. Raises `TypeError` for one whose type has no `example`."""
    hints = get_type_hints(dispatcher.py_func)
    hints.pop("return", None)
    unknown = [f"{name}: {hint.__name__}" for name, hint in hints.items() if hint not in known]
    if unknown:
        raise TypeError(f"{dispatcher.__module__}.{dispatcher.__name__}: no example() of {', '.join(unknown)}")
    return tuple(known[hint] for hint in hints.values())


def warm() -> Iterator[tuple[str, float]]:
    """Compile or load every kernel; yield name and CPU seconds of each. Raises like `signature_of`, in the end."""
    import_all()
    began_s = time.process_time()
    known = argument_types()
    yield "make_state", time.process_time() - began_s
    refused = []
    for dispatcher in entries:
        began_s = time.process_time()
        try:
            signature = signature_of(dispatcher, known)
        except TypeError as error:
            refused.append(str(error))
            continue
        dispatcher.compile(signature)
        yield dispatcher.__name__, time.process_time() - began_s
    if refused:
        raise TypeError("; ".join(refused))


def remove_old(folder: Path, present: set[str], now_s: float) -> None:
    """Remove the files of compiled code that are not of a name among `present` and older than `OLD_S`."""
    for path in sorted(folder.iterdir()):
        kept = _KEPT.fullmatch(path.name)
        if kept and kept[1] not in present and path.stat().st_mtime < now_s - OLD_S:
            path.unlink(missing_ok=True)


@contextmanager
def _alone(folder: Path) -> Iterator[float | None]:
    """One process at a time; yield the time by the file system's clock, None where the folder cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:
        yield None
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.utime(handle)
        yield (folder / ".lock").stat().st_mtime
    finally:
        os.close(handle)


def main() -> int:
    """Compile what is not kept and say what it took; 1 when some could not be compiled or kept."""
    folder = folders()[0]
    refused, spent_s = "", 0.0
    with _alone(folder) as now_s:
        try:
            for _, seconds in warm():
                spent_s += seconds
        except TypeError as error:
            refused = f"warm: {error}"
        if now_s is not None and trusted(folder):
            remove_old(folder, {one._cache.name for one in entries}, now_s)
    missed = sum(sum(one.stats.cache_misses.values()) for one in entries)
    kept = f"{missed} of them compiled" if missed else "all kept"
    print(f"{len(entries)} kernels, {kept}, {spent_s:.1f} CPU s: {folder}")
    if missed and now_s is None:
        refused = f"warm: cannot write to {folder}: run this as a user who can"
    if refused:
        print(refused, file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
