"""Rate limits on moves: the permits that a step takes from the store when it begins. Pure.

A permit is counted either for a while from the moment it is taken (moves per hour or day) or for as long as its step
is under way (moves of a group in flight).
"""

from __future__ import annotations

from dataclasses import dataclass

HOUR_S = 3600.0
DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Permit:
    """One of at most `most` under `key`. `within_s`: how long it counts; `None`: until its step is over."""

    key: str
    most: int
    within_s: float | None = None
