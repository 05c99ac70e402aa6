"""Compiled code on disk, so that the next start does not compile: a file for each function, its sources and processor.

Numba's own cache is not used: it misses edits in functions that are compiled into others, and does not even read where
it may not write. Here a file's name goes by all sources that may be compiled into the function; the folder of another
user's installation is read too; and where nothing can be written, code is compiled for this process alone.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

_log = logging.getLogger(__name__)
_CHECKSUM = hashlib.sha256().digest_size
SOLVER = Path(__file__).parents[1]
_IMPORT = re.compile(r"^from scheduler\.solver\.([\w.]+) import", re.MULTILINE)


@cache
def _source(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def sources_of(path: Path, solver: Path = SOLVER) -> list[Path]:
    """Return the module at `path` and all that it imports, at first or second hand, that have to do with kernels."""
    found, more = {path}, [path]
    while more:
        for name in _IMPORT.findall(_source(more.pop())):
            module = solver.joinpath(*name.split(".")).with_suffix(".py")
            if module not in found and (name.startswith("kernels.") or "solver.kernels" in _source(module)):
                found.add(module)
                more.append(module)
    return sorted(found)


def digest_of(paths: Iterable[Path]) -> str:
    """Return what names the code that is compiled from modules as they are now."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in paths:
        digest.update(path.name.encode() + b"\0" + _source(path).encode() + b"\0")
    return digest.hexdigest()[:16]


def folders(prefix: Path = Path(sys.prefix), environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Return where compiled code may be kept, the installation's own folder first, then the user's."""
    if environ.get("NUMBA_CACHE_DIR"):
        return (Path(environ["NUMBA_CACHE_DIR"]) / "trimtab",)
    found = [prefix / "cache" / "trimtab"]
    if environ.get("CACHE_DIRECTORY"):  # what systemd gives a service, for it alone
        found.append(Path(environ["CACHE_DIRECTORY"].split(":")[0]))
    elif environ.get("XDG_CACHE_HOME"):
        found.append(Path(environ["XDG_CACHE_HOME"]) / "trimtab")
    elif environ.get("HOME"):
        found.append(Path(environ["HOME"]) / ".cache" / "trimtab")
    return tuple(found)


def trusted(folder: Path) -> bool:
    """Tell whether a folder is there and belongs to who could change this program anyway: its code will be run."""
    try:
        owner = folder.stat().st_uid
    except OSError:
        return False
    return owner in (0, os.geteuid(), SOLVER.stat().st_uid)


class KeptCode:
    """What a function's dispatcher asks for compiled code before it compiles, and gives it to afterwards.

    A file holds the checksum of the rest, then the pickled result; what is cut short or damaged counts as not there.
    `name` is that of its files without signature and processor.
    """

    def __init__(self, function: Callable[..., object], places: Sequence[Path] = ()) -> None:
        self.places = tuple(places) or folders()
        module = Path(function.__code__.co_filename)
        self.name = f"{module.stem}.{function.__qualname__}-{digest_of(sources_of(module))}"

    @property
    def cache_path(self) -> str:
        """Where code is kept first."""
        return str(self.places[0])

    def load_overload(self, signature: object, target: Any) -> Any:
        """Return the compiled code of a signature, or None where there is none.

        Numba's own types and functions are not registered for it, as they are before compiling: that takes longer
        than all the rest, and machine code needs none of them.
        """
        name = self._file(signature, target.codegen())
        for folder in self.places:
            try:
                kept = (folder / name).read_bytes() if trusted(folder) else b""
            except OSError:
                continue
            if hashlib.sha256(kept[_CHECKSUM:]).digest() == kept[:_CHECKSUM]:
                return CompileResult._rebuild(target, *pickle.loads(kept[_CHECKSUM:]))
        return None

    def save_overload(self, signature: object, code: Any) -> None:
        """Keep compiled code in the first folder that can be written to."""
        library, *rest = code._reduce()
        pickled = dumps((_without_bitcode(library), *rest))
        name = self._file(signature, code.codegen)
        for folder in self.places:
            if _write(folder / name, hashlib.sha256(pickled).digest() + pickled):
                return
        _tell_of_nowhere(self.places)

    def flush(self) -> None:
        """Numba's way to say that kept code is old: its name says so already."""

    def _file(self, signature: object, codegen: Any) -> str:
        what = repr((signature, codegen.magic_tuple(), sys.version_info[:3])).encode()
        return f"{self.name}-{hashlib.sha256(what).hexdigest()[:16]}.bin"


def _without_bitcode(library: tuple[str, str, Any]) -> tuple[str, str, Any]:
    """Return a serialized library with only the names of its bitcode: that is most of it, and for inlining alone."""
    name, kind, data = library
    if kind != "object":
        return library
    machine_code, bitcode = data
    module = llvmlite.binding.parse_bitcode(bitcode)
    functions = (f'define void @"{one.name}"() {{ unreachable }}' for one in module.functions if _is_seen(one))
    figures = (f'@"{one.name}" = global i8 0' for one in module.global_variables if _is_seen(one))
    names = llvmlite.binding.parse_assembly("\n".join((*functions, *figures)))
    return name, kind, (machine_code, names.as_bitcode())


def _is_seen(one: Any) -> bool:
    """Whether a module defines a name for others: those for itself clash where it is linked into two of them."""
    inside = (llvmlite.binding.Linkage.internal, llvmlite.binding.Linkage.private)
    return not one.is_declaration and one.linkage not in inside


def _write(path: Path, content: bytes) -> bool:
    """Put a whole file in place at once, so that nobody reads half of it; tell whether that could be done."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(content)
        scratch.replace(path)
    except OSError:
        return False
    return True


@cache
def _tell_of_nowhere(places: tuple[Path, ...]) -> None:
    """Say once what it costs that nothing can be kept."""
    _log.warning(
        "compiled code can be kept in none of: %s; every start compiles anew, for a minute or more; "
        "run 'python -m scheduler.solver.kernels.warm' as a user who can write there",
        ", ".join(str(place) for place in places),
    )
