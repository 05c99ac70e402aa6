"""Parts of a search side by side in threads: compiled code runs without the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def side_by_side(parts: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run parts in threads, the first in this one, and return what they return, in order.

    What one of them raises is raised here when all have ended.
    """
    if len(parts) == 1:
        return [parts[0]()]
    with ThreadPoolExecutor(len(parts) - 1) as pool:
        others = [pool.submit(part) for part in parts[1:]]
        first = parts[0]()
    return [first, *(one.result() for one in others)]
