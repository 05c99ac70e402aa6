"""A power step as one process watches it: begun through its executor, and overdue after a while.

Nothing here is needed after a crash: a step found in the journal is watched from scratch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from cluster.clock import Clock
from cluster.errors import RefusedError, StepError, UnreachableError
from cluster.plan import Sleep, StepRecord, StepState, Wake
from executors.protocol import MayBegin, PowerExecutor, Progress
from executors.watch import Seen, adopted_age_s


@dataclass(slots=True)
class PowerWatch:
    """Starts and watches `Sleep` and `Wake` steps; `power` is `None` where no host's power can be controlled."""

    power: PowerExecutor | None
    clock: Clock
    timeout_s: float
    _since_s: dict[str, float] = field(default_factory=dict)

    def start(self, step: Sleep | Wake, may_begin: MayBegin) -> None:
        """Begin. Raises what the executor raises, and `RefusedError` without one."""
        self._since_s[step.id] = self.clock.monotonic_s()
        if self.power is None:
            raise RefusedError(f"host {step.host}: no power control is configured")
        if not may_begin():
            raise StepError(f"host {step.host} was left as it is: it was given up, or another scheduler leads now")
        self.power.start(step)

    def look(self, step: Sleep | Wake, record: StepRecord, now: datetime) -> Seen:
        """Look at a running step."""
        since_s = self._since_s.setdefault(
            step.id, self.clock.monotonic_s() - adopted_age_s(record, now, self.timeout_s)
        )
        progress = Progress(running=True)
        if self.power is not None:
            try:
                progress = self.power.poll(step)
            except UnreachableError as error:
                # A host going down or coming up may be silent; whether it came to its state is asked until time is up.
                progress = Progress(running=True, error=str(error))
        if not progress.running:
            state = StepState.FAILED if progress.error else StepState.DONE
            return Seen(state, progress.error or "the host is in the state asked for", progress)
        if self.clock.monotonic_s() - since_s > self.timeout_s:
            late = f"not in the state asked for after {self.timeout_s:g} s"
            return Seen(StepState.FAILED, f"{late}: {progress.error}" if progress.error else late, progress)
        return Seen(StepState.RUNNING, "", progress)

    def forget(self, step: str) -> None:
        """Stop watching a step."""
        self._since_s.pop(step, None)

    def clear(self) -> None:
        """Forget everything."""
        self._since_s.clear()
