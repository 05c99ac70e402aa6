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


@cache
def script(name: str) -> Script:
    """Return a script by name, with the part that all begin with."""
    folder = files("cluster.store") / "lua"
    text = "\n".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in ("common", name))
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
