"""Executors that touch nothing: every step seems to take its estimated time and to go well."""

from __future__ import annotations

from cluster.clock import Clock
from cluster.plan import Migrate, Sleep, Wake
from executors.protocol import MayBegin, Presence, Progress, Sighting, always


class DryRunMigrationExecutor:
    """Pretends migrations on the given clock. What it pretends is forgotten with the process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_s: dict[Migrate, float] = {}

    def look(self, step: Migrate) -> Sighting:
        """See the guest on its source before, on both ends during, and on its target after the pretended migration."""
        if step not in self._began_s:
            return Sighting(Presence.RUNNING, Presence.ABSENT)
        if self.poll(step).running:
            return Sighting(Presence.LEAVING, Presence.ARRIVING)
        return Sighting(Presence.ABSENT, Presence.RUNNING)

    def start(self, step: Migrate, limit_mib_s: int, may_begin: MayBegin = always) -> None:
        """Begin to pretend."""
        self._began_s[step] = self._clock.monotonic_s()

    def set_limit(self, step: Migrate, limit_mib_s: int) -> None:
        """Do nothing: the pretended migration takes its estimated time."""

    def poll(self, step: Migrate) -> Progress:
        """Give the share of the estimated time that has passed."""
        began_s = self._began_s.get(step)
        if began_s is None:
            return Progress(running=False)
        passed_s, estimate = self._clock.monotonic_s() - began_s, step.estimate
        if passed_s >= estimate.seconds:
            return Progress(False, 1.0, estimate.mib, estimate.downtime_ms)
        ratio = passed_s / estimate.seconds
        return Progress(True, ratio, int(estimate.mib * ratio))

    def abort(self, step: Migrate) -> None:
        """Forget the pretended migration if it runs."""
        if self.poll(step).running:
            del self._began_s[step]


class DryRunPowerExecutor:
    """Pretends that hosts sleep and wake at once."""

    def start(self, step: Sleep | Wake, may_begin: MayBegin = always) -> None:
        """Do nothing."""

    def poll(self, step: Sleep | Wake) -> Progress:
        """Say that the host is in the state asked for."""
        return Progress(running=False, ratio=1.0)
