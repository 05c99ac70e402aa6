"""How far each wake test is, as kept in the store's flags `wake_test:HOST`, so that another leader goes on. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

PREFIX = "wake_test:"


class Phase(StrEnum):
    """How far a test is."""

    ASKED = "asked"
    EMPTYING = "emptying"
    SLEEPING = "sleeping"
    ASLEEP = "asleep"
    WAKING = "waking"
    PASSED = "passed"
    REFUSED = "refused"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Whether the test has ended."""
        return self in (Phase.PASSED, Phase.REFUSED, Phase.FAILED)


@dataclass(frozen=True, slots=True)
class WakeTest:
    """A test of one host: who asked when, how far it is and since when (times as text), its plan, and how it ended."""

    host: str
    by: str
    at: str
    phase: Phase = Phase.ASKED
    since: str = ""
    drain: bool = False
    plan: str = ""
    text: str = ""


def read(flags: Mapping[str, str], host: str) -> WakeTest | None:
    """Return a host's latest test, `None` without one."""
    text = flags.get(PREFIX + host)
    if text is None:
        return None
    known = json.loads(text)
    return WakeTest(**{**known, "phase": Phase(known["phase"])})


def write(test: WakeTest) -> str:
    """Return a test as its flag's text."""
    return json.dumps(asdict(test))


def read_all(flags: Mapping[str, str]) -> list[WakeTest]:
    """Return the latest test of every host, oldest first."""
    tests = (read(flags, flag.removeprefix(PREFIX)) for flag in flags if flag.startswith(PREFIX))
    return sorted((test for test in tests if test is not None), key=lambda test: (test.at, test.host))


def under_test(flags: Mapping[str, str]) -> frozenset[str]:
    """Return the hosts that a test puts to sleep or wakes now: nobody else does."""
    busy = (Phase.SLEEPING, Phase.ASLEEP, Phase.WAKING)
    return frozenset(test.host for test in read_all(flags) if test.phase in busy)
