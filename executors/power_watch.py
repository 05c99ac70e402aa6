"""A power step as one process watches it: begun through its executor, and overdue after a while.

Nothing here is needed after a crash: a step found in the journal is taken over by what the journal says of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cluster.clock import Clock
from cluster.errors import (
    ConflictError,
    FencedError,
    RefusedError,
    StepError,
    StoreUnavailableError,
    UnreachableError,
)
from cluster.plan import PlanRecord, Sleep, StepState, Wake
from cluster.rates import Permit
from executors.journal import Journal
from executors.protocol import MayBegin, PowerExecutor, PowerOfHosts, Progress
from executors.watch import Seen, adopted_age_s

ASKED = "asked"
"""The word of the journal for a host that was told to sleep or to wake."""


def power_permits(step: Sleep | Wake) -> tuple[Permit, ...]:
    """Return the permit that keeps a host's power from being acted on twice at once, whoever leads."""
    return (Permit(f"power:{step.host}", 1, None, f"change of power of {step.host} under way at once"),)


@dataclass(slots=True)
class PowerWatch:
    """Starts and watches `Sleep` and `Wake` steps; `power` is `None` where no host's power can be controlled.

    `timeout_s` counts for executors that have no time-outs of their own.
    """

    power: PowerExecutor | None
    clock: Clock
    timeout_s: float
    journal: Journal
    _since_s: dict[str, float] = field(default_factory=dict)
    _steps: dict[str, Sleep | Wake] = field(default_factory=dict)

    def start(self, record: PlanRecord, step: Sleep | Wake, may_begin: MayBegin) -> None:
        """Begin. Raises what the executor raises, and `RefusedError` without one."""
        self._watch(step, 0.0)
        if self.power is None:
            raise RefusedError(f"host {step.host}: no power control is configured")
        if self._of_hosts() is not None:
            try:
                self.power.start(step, self._noting(record, step, may_begin))
            except StoreUnavailableError:
                # How far it came is not known here: the next pass takes it over by what the journal says.
                self._since_s.pop(step.id, None)
                raise
            return
        if not may_begin():
            raise StepError(f"host {step.host} was left as it is: it was given up, or another scheduler leads now")
        self.power.start(step)

    def look(self, record: PlanRecord, step: Sleep | Wake, permit: Callable[[PlanRecord], MayBegin]) -> Seen:
        """Look at a running step; one that another process began is taken over first."""
        if step.id not in self._since_s:
            try:
                self._adopt(record, step, permit)
            except RefusedError as error:
                return Seen(StepState.REFUSED, str(error))
        progress = Progress(running=True)
        if self.power is not None:
            try:
                progress = self.power.poll(step)
            except RefusedError as error:
                return Seen(StepState.REFUSED, str(error))
            except UnreachableError as error:
                # A host going down or coming up may be silent; whether it came to its state is asked until time is up.
                progress = Progress(running=True, error=str(error))
        if not progress.running:
            state = StepState.FAILED if progress.error else StepState.DONE
            return Seen(state, progress.error or "the host is in the state asked for", progress)
        timeout_s = self._timeout_s(step)
        if self.clock.monotonic_s() - self._since_s[step.id] > timeout_s:
            late = f"not in the state asked for after {timeout_s:g} s"
            return Seen(StepState.FAILED, f"{late}: {progress.error}" if progress.error else late, progress)
        return Seen(StepState.RUNNING, "", progress)

    def forget(self, step: str) -> None:
        """Stop watching a step: it is over."""
        self._since_s.pop(step, None)
        known = self._steps.pop(step, None)
        if known is not None and (power := self._of_hosts()) is not None:
            power.forget(known)

    def clear(self) -> None:
        """Forget everything. What was begun goes on; whoever leads finds it in the journal."""
        self._since_s.clear()
        self._steps.clear()

    def _adopt(self, record: PlanRecord, step: Sleep | Wake, permit: Callable[[PlanRecord], MayBegin]) -> None:
        old = record.steps[step.id]
        self._watch(step, adopted_age_s(old, self.clock.now(), self._timeout_s(step)))
        if (power := self._of_hosts()) is None:
            return
        # Written anew under our token, so that the store lets us go on with it and nobody else.
        written = self.journal.progress(record, step, old.progress_ratio, 0, None)
        taken = replace(record, steps={**record.steps, step.id: written})
        asked = ASKED in self.journal.noted(taken, step)
        power.adopt(step, asked, self._noting(taken, step, permit(taken)))

    def _noting(self, record: PlanRecord, step: Sleep | Wake, may_begin: MayBegin) -> MayBegin:
        """Return the permit that also writes down that the host is told: who takes the step over has to know."""

        def asked() -> bool:
            if not may_begin():
                return False
            try:
                self.journal.note(record, step, ASKED, "the host is told")
            except (FencedError, ConflictError, StoreUnavailableError):
                return False
            return True

        return asked

    def _watch(self, step: Sleep | Wake, age_s: float) -> None:
        self._since_s[step.id] = self.clock.monotonic_s() - age_s
        self._steps[step.id] = step

    def _timeout_s(self, step: Sleep | Wake) -> float:
        power = self._of_hosts()
        return self.timeout_s if power is None else power.timeout_s(step)

    def _of_hosts(self) -> PowerOfHosts | None:
        power: object = self.power
        return power if isinstance(power, PowerOfHosts) else None
