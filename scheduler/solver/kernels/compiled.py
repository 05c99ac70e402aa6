"""How a function is compiled: without Python, without the interpreter's lock, kept on disk for the next start.

Compiled code here makes no arrays, so it is built without counting references (`_nrt`): counting those of the
many arrays of a state at every call made the search forty times slower.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from numba import config, njit

Function = TypeVar("Function", bound=Callable[..., object])


def _cache_dir(sources: Path) -> Path:
    """Return where compiled code is kept: another folder for other sources, since a cache misses edits in callees."""
    digest = hashlib.sha256()
    for path in sorted(sources.glob("*.py")):
        digest.update(path.read_bytes())
    name = digest.hexdigest()[:16]
    shared = Path(sys.prefix) / "cache" / "trimtab" / name
    if shared.is_dir() or os.access(sys.prefix, os.W_OK):
        return shared
    home = os.environ.get("CACHE_DIRECTORY") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "trimtab" / name


if not config.CACHE_DIR:
    config.CACHE_DIR = str(_cache_dir(Path(__file__).parent))


def entry(function: Function) -> Function:
    """Return the function compiled at its first call and cached; no fast maths, so that figures repeat."""
    return cast(Function, njit(cache=True, nogil=True, _nrt=False)(function))


def compiled(function: Function) -> Function:
    """Return the function compiled into the code that calls it, for compiled code alone."""
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "forceinline": True}
    return cast(Function, njit(nogil=True, _nrt=False, **options)(function))
