"""The ladder that a migration climbs while it does not converge: more downtime, post-copy, a second try, giving up.

Each rung is one change that QEMU takes in mid-migration, or a new migration where it takes none, and is written into
the journal before it is climbed. Whether a migration converges is seen by its own passes: one that leaves as much to
send as those before it, at a downtime allowed, will leave as much for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from cluster.clock import Clock
from cluster.errors import RefusedError, StepError, UnreachableError
from cluster.plan import Migrate
from executors.protocol import MayBegin

NO_LESS_RATIO = 0.9
"""A pass that leaves at least this share of the least left before it has brought nothing."""
PATIENCE_PASSES = 2
"""Passes in a row that bring nothing before a rung is climbed; one, where pages are dirtied faster than sent."""
PATIENCE_S = 1.0
"""Least time on a rung, so that what it changed can be seen."""
FULL_THROTTLE_RATIO = 0.98
"""A guest slowed down this far (QEMU's most is 0.99) is not slowed any further."""


class Rung(StrEnum):
    """What is done about a migration that does not converge; its name is the journal's word for it."""

    DOWNTIME = "downtime"
    POSTCOPY = "postcopy"
    RETRY = "retry"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class Passes:
    """A running migration's passes over the guest's memory, as its own statistics say.

    `number` counts from 1, the pass that sends everything; `left_mib` is what this one still has to send. Rates are
    those of the last pass. `throttle_ratio`: how far auto-converge has slowed the guest.
    """

    number: int
    left_mib: float
    sent_mib_s: float
    dirty_mib_s: float
    throttle_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class Climbing:
    """What a guest's policy and both ends allow: downtimes in the order tried, post-copy armed at the start, and what
    a second try would do differently (empty: it would not).
    """

    downtimes_ms: tuple[int, ...]
    postcopy: bool = False
    throttles: bool = False
    second_try: str = ""
    second_throttles: bool = False


@runtime_checkable
class Climbs(Protocol):
    """A migration executor whose running migrations can be helped. Raises what `MigrationExecutor` raises."""

    def climbing(self, step: Migrate) -> Climbing:
        """Say what is allowed and armed for this migration, whoever began it."""

    def passes(self, step: Migrate) -> Passes | None:
        """Read the running migration's passes. `None`: it does not run, runs in post-copy, or says nothing yet."""

    def allow_downtime(self, step: Migrate, downtime_ms: int) -> None:
        """Allow the running migration a longer downtime."""

    def start_postcopy(self, step: Migrate) -> None:
        """Switch the running migration to post-copy. `StepError` when it was not armed for it."""

    def start_again(self, step: Migrate, limit_mib_s: int, may_begin: MayBegin) -> None:
        """Begin the second try, as `start` begins the first."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a runner lends the ladder for one step and pass: its pen, what was written with it, its permit to begin, the
    bandwidth cap.
    """

    note: Callable[[Rung, str], None]
    noted: Callable[[], frozenset[str]]
    may_begin: MayBegin
    limit_mib_s: int


@dataclass(slots=True)
class Trend:
    """Whether passes bring a migration nearer its end, since the rung it stands on."""

    number: int = 0
    left_mib: float = 0.0
    least_mib: float = float("inf")
    stuck: int = 0

    def see(self, passes: Passes) -> None:
        """Take one look at the running migration into account."""
        if passes.number == self.number:
            self.left_mib = max(self.left_mib, passes.left_mib)
            return
        # What the pass that has just ended had to send, as far as it was looked at; the first sends everything.
        if self.number > 1:
            brought_nothing = self.left_mib >= NO_LESS_RATIO * self.least_mib
            self.stuck = self.stuck + passes.number - self.number if brought_nothing else 0
            self.least_mib = min(self.least_mib, self.left_mib)
        self.number, self.left_mib = passes.number, passes.left_mib

    def is_stuck(self, passes: Passes) -> bool:
        """Tell whether going on like this would bring nothing."""
        hopeless = passes.dirty_mib_s >= passes.sent_mib_s > 0
        return self.stuck >= (1 if hopeless else PATIENCE_PASSES)


@dataclass(slots=True)
class _Climb:
    """Where one running step stands. Times are the clock's monotonic seconds."""

    climbing: Climbing
    trend: Trend = field(default_factory=Trend)
    allowed_ms: int = 0
    since_s: float = 0.0
    tried_postcopy: bool = False
    second: bool = False
    between: bool = False


@dataclass(slots=True)
class Ladder:
    """Helps running migrations along, one look per step and pass. What it knows may be lost at any moment."""

    migrations: Climbs
    clock: Clock
    _climbs: dict[str, _Climb] = field(default_factory=dict)

    def forget(self, step: Migrate) -> None:
        """A step is over, or begun anew: it stands before the first rung."""
        self._climbs.pop(step.id, None)

    def clear(self) -> None:
        """Forget everything."""
        self._climbs.clear()

    def is_between_tries(self, step: Migrate) -> bool:
        """Tell whether the first try was called off and the second not begun yet."""
        climb = self._climbs.get(step.id)
        return climb is not None and climb.between

    def look(self, step: Migrate, means: Means) -> str:
        """Look at a running migration and climb at most one rung. Return why it is given up; empty: it is not.

        What the executor cannot do or see now is tried again at the next look.
        """
        climb = self._climb(step, means)
        if climb is None or climb.between:
            return ""
        try:
            passes = self.migrations.passes(step)
        except (UnreachableError, StepError):
            return ""
        if passes is None:
            return ""
        climb.trend.see(passes)
        if self.clock.monotonic_s() - climb.since_s < PATIENCE_S or not climb.trend.is_stuck(passes):
            return ""
        return self._rung(step, climb, passes, means)

    def second_try(self, step: Migrate, means: Means) -> None:
        """Begin the second try, now that the guest runs on its source alone. Raises what a start raises."""
        climb = self._climbs[step.id]
        climb.between, climb.second, climb.tried_postcopy = False, True, False
        climb.trend, climb.since_s, climb.allowed_ms = Trend(), self.clock.monotonic_s(), 0
        self.migrations.start_again(step, means.limit_mib_s, means.may_begin)

    def call_off(self, step: Migrate) -> None:
        """There will be no second try after all."""
        self._climbs[step.id].between = False

    def _climb(self, step: Migrate, means: Means) -> _Climb | None:
        """Return where a step stands; of one that another process began, as the journal has it."""
        if step.id not in self._climbs:
            try:
                climbing = self.migrations.climbing(step)
            except (UnreachableError, StepError, RefusedError):
                return None
            second = Rung.RETRY in means.noted()
            self._climbs[step.id] = _Climb(climbing, since_s=self.clock.monotonic_s(), second=second)
        return self._climbs[step.id]

    def _rung(self, step: Migrate, climb: _Climb, passes: Passes, means: Means) -> str:
        climbing = climb.climbing
        why = _why(passes, climb.trend)
        higher = [downtime_ms for downtime_ms in climbing.downtimes_ms[1:] if downtime_ms > climb.allowed_ms]
        if higher:
            # A step that would not be enough is left out.
            needed_ms = 1000 * climb.trend.left_mib / passes.sent_mib_s if passes.sent_mib_s else 0.0
            downtime_ms = next((one for one in higher if one >= needed_ms), higher[-1])
            means.note(Rung.DOWNTIME, f"{why}: a downtime of {downtime_ms} ms is allowed")
            climb.allowed_ms = downtime_ms
            self._try(climb, lambda: self.migrations.allow_downtime(step, downtime_ms))
            return ""
        throttles = climbing.second_throttles if climb.second else climbing.throttles
        if throttles and passes.throttle_ratio < FULL_THROTTLE_RATIO:
            return ""  # QEMU itself goes on slowing the guest down
        if climbing.postcopy and not climb.tried_postcopy:
            means.note(Rung.POSTCOPY, f"{why}: it goes on in post-copy")
            climb.tried_postcopy = True
            self._try(climb, lambda: self.migrations.start_postcopy(step))
            return ""
        if climbing.second_try and not climb.second:
            means.note(Rung.RETRY, f"{why}: it is stopped and tried again with {climbing.second_try}")
            climb.between = True
            return ""
        means.note(Rung.GIVE_UP, f"{why}: given up")
        return f"it does not converge: {why}"

    def _try(self, climb: _Climb, act: Callable[[], None]) -> None:
        """Do it; where it fails the next rung is climbed in its time, since the passes go on showing the same."""
        climb.since_s, climb.trend.stuck = self.clock.monotonic_s(), 0
        try:
            act()
        except (UnreachableError, StepError):
            return


def _why(passes: Passes, trend: Trend) -> str:
    return (
        f"after {passes.number} passes {min(trend.least_mib, trend.left_mib):.0f} MiB are left each time; "
        f"{passes.dirty_mib_s:.0f} MiB/s are dirtied, {passes.sent_mib_s:.0f} MiB/s sent"
    )
