"""The store's Lua scripts, read from the package: each runs as one atomic step of Redis."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """A script's whole text and the SHA-1 that Redis knows it by."""

    text: str
    sha: str


WITH_PERMITS = frozenset({"permits_taken", "resolve", "write_step"})
"""Scripts that use what `permits.lua` defines."""


@cache
def script(name: str) -> Script:
    """Return a script by name, with the part that all begin with and what it uses beyond that."""
    folder = files("cluster.store") / "lua"
    parts = ("common", "permits", name) if name in WITH_PERMITS else ("common", name)
    text = "\n".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in parts)
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
