"""The simulator's own physics of a pre-copy migration, as a small machine that moves from event to event.

A first pass sends the memory in use; each further pass sends what was dirtied during the one before. When that rest
fits into rate x downtime limit the guest is stopped, the rest is sent and the target takes over. A guest that dirties
faster goes on for ever, until somebody aborts. Nothing here is shared with the predictions of `cluster/migration`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

from simulator.faults import Fault
from simulator.guests import SimGuest
from simulator.network import Flow

_NOTHING_MIB = 1 / 256  # one page


@dataclass(frozen=True, slots=True)
class Physics:
    """Constants of a migration: time before the first byte, time of the hand-over itself, shortest pass."""

    setup_s: float = 0.1
    switch_s: float = 0.02
    least_pass_s: float = 0.05


class Phase(StrEnum):
    """Where a migration is. In `STOPPED` and `SWITCHING` the guest does not run anywhere."""

    SETUP = "setup"
    COPYING = "copying"
    STOPPED = "stopped"
    SWITCHING = "switching"


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a migration ended: `error` is empty for one that arrived."""

    guest: str
    source: str
    target: str
    began_s: float
    ended_s: float
    mib: float
    passes: int
    downtime_ms: int = 0
    error: str = ""


@dataclass
class Migration:
    """A migration under way. State changes only at its events, so it does not depend on how often it is looked at."""

    guest: SimGuest
    source: str
    target: str
    links: tuple[str, ...]
    limit_mib_s: float | None
    began_s: float
    load_offset_s: float
    physics: Physics = Physics()
    phase: Phase = Phase.SETUP
    passes: int = 0
    traps: list[Fault] = field(default_factory=list)
    _left_mib: float = 0.0
    _sent_mib: float = 0.0
    _rate_mib_s: float = 0.0
    _since_s: float = 0.0
    _pass_began_s: float = 0.0
    _stopped_s: float = 0.0

    @property
    def flow(self) -> Flow | None:
        """What it asks of the links; `None` while it sends nothing."""
        if self.phase in (Phase.COPYING, Phase.STOPPED):
            return Flow(self.guest.id, self.links, self.limit_mib_s)
        return None

    @property
    def rate_mib_s(self) -> float:
        """What the links give it now."""
        return self._rate_mib_s

    def sent_mib(self, at_s: float) -> float:
        """Return what has crossed the links so far."""
        return self._sent_mib + self._moved_since(at_s)

    def ratio(self, at_s: float) -> float:
        """Return the share of the first pass that is sent; 1 in later passes."""
        return min(1.0, self.sent_mib(at_s) / self.guest.resident_mib)

    def set_rate(self, at_s: float, rate_mib_s: float) -> None:
        """Account what was sent at the old rate and go on with a new one."""
        if rate_mib_s != self._rate_mib_s:
            self._settle(at_s)
            self._rate_mib_s = rate_mib_s

    def next_event_s(self) -> float:
        """Return when its phase ends or its next trap springs, if all rates stay; infinite when it stands still."""
        return min(self._phase_ends_s(), self._trap_springs_s())

    def sprung(self, at_s: float) -> list[Fault]:
        """Take the traps that have sprung by now."""
        if self._trap_springs_s() > at_s:
            return []
        least = min(fault.ratio or 0.0 for fault in self.traps)
        due = [fault for fault in self.traps if (fault.ratio or 0.0) <= least]
        self.traps = [fault for fault in self.traps if fault not in due]
        return due

    def advance(self, at_s: float) -> bool:
        """Move on if the phase has ended by now. Return true when the guest has arrived."""
        if self._phase_ends_s() > at_s:
            return False
        if self.phase is Phase.SETUP:
            self._begin_pass(at_s, self.guest.resident_mib)
            self.phase = Phase.COPYING
        elif self.phase is Phase.COPYING:
            self._end_pass(at_s)
        elif self.phase is Phase.STOPPED:
            self._sent_mib += self._left_mib
            self._left_mib, self._rate_mib_s, self._since_s = 0.0, 0.0, at_s
            self.phase = Phase.SWITCHING
        else:
            return True
        return False

    def result(self, at_s: float, error: str = "") -> JobResult:
        """Return how it ended, at this moment."""
        downtime_ms = round((at_s - self._stopped_s) * 1000) if self.phase is Phase.SWITCHING and not error else 0
        sent_mib = self.sent_mib(at_s)
        return JobResult(
            self.guest.id, self.source, self.target, self.began_s, at_s, sent_mib, self.passes, downtime_ms, error
        )

    def _end_pass(self, at_s: float) -> None:
        self._sent_mib += self._left_mib
        rest_mib = self.guest.dirtied_mib(self._pass_began_s + self.load_offset_s, at_s + self.load_offset_s)
        allowed_s = self.guest.facts.migration.max_downtime_ms / 1000
        self._begin_pass(at_s, rest_mib)
        if rest_mib <= max(_NOTHING_MIB, self._rate_mib_s * allowed_s):
            self.phase = Phase.STOPPED
            self._stopped_s = at_s

    def _begin_pass(self, at_s: float, mib: float) -> None:
        self._left_mib, self._since_s, self._pass_began_s = mib, at_s, at_s
        self.passes += 1

    def _phase_ends_s(self) -> float:
        if self.phase is Phase.SETUP:
            return self.began_s + self.physics.setup_s
        if self.phase is Phase.SWITCHING:
            return self._since_s + self.physics.switch_s
        if self._left_mib > 0 and self._rate_mib_s <= 0:
            return math.inf
        sent_s = self._since_s + (self._left_mib / self._rate_mib_s if self._left_mib > 0 else 0.0)
        if self.phase is Phase.STOPPED:
            return sent_s
        return max(sent_s, self._pass_began_s + self.physics.least_pass_s)

    def _trap_springs_s(self) -> float:
        if not self.traps or self.phase is Phase.SETUP:
            return math.inf
        missing_mib = min(fault.ratio or 0.0 for fault in self.traps) * self.guest.resident_mib - self._sent_mib
        if missing_mib <= 1e-6:
            return self._since_s
        return self._since_s + missing_mib / self._rate_mib_s if self._rate_mib_s > 0 else math.inf

    def _moved_since(self, at_s: float) -> float:
        return min(self._left_mib, self._rate_mib_s * max(0.0, at_s - self._since_s))

    def _settle(self, at_s: float) -> None:
        moved = self._moved_since(at_s)
        self._sent_mib += moved
        self._left_mib -= moved
        self._since_s = at_s
