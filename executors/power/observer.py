"""What the leader looks at now and then: the power of hosts that sleep or are silent, written down for all to see.

It never acts. It also clears up what no step looks after any more: a host that was to sleep, and is on and reports for
as long as going down may take, counts as on again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from cluster.clock import Clock
from cluster.config.power import PowerSettings
from cluster.host import PowerState
from cluster.plan import Sleep, StepState, Wake
from cluster.power_sight import ASKED, FACTS, SEEN, THEIRS, Observed, observed, observed_text
from cluster.store.protocol import Store
from executors.power.rooms import Room
from executors.power.worker import HostWorker

BELIEVED_LOOKS = 3
"""How many looks in a row have to miss before what was seen last counts as not known any more."""
WRITTEN_EVERY_S = 300.0
MOST_AT_ONCE = 32
"""How many drivers are asked at once; of more hosts each is looked at less often."""


class PowerObserver:
    """Looks at hosts through their workers and writes `power_seen:HOST`. `stale_s` is that of reports."""

    def __init__(
        self,
        workers: Mapping[str, HostWorker],
        store: Store,
        clock: Clock,
        settings: PowerSettings,
        room: Room,
        stale_s: float,
    ) -> None:
        self._workers = workers
        self._store = store
        self._clock = clock
        self._settings = settings
        self._room = room
        self._stale_s = stale_s
        self._on_since: dict[str, datetime] = {}

    def look(self) -> tuple[str, ...]:
        """Look once, without waiting for anybody; return what is worth telling. `StoreUnavailableError`."""
        flags, now = self._store.flags(), self._clock.now()
        reports = {one.host: one.observation.taken_at for one in self._store.reports()}
        active = self._store.active_plan()
        changing = {
            step.host
            for step in (active.plan.steps if active is not None else ())
            if isinstance(step, Sleep | Wake) and active is not None and active.step_state(step.id) is StepState.RUNNING
        }
        told: list[str] = []
        watched = []
        for host, worker in sorted(self._workers.items()):
            asleep, taken_at = ASKED + host in flags, reports.get(host)
            reporting = taken_at is not None and (now - taken_at).total_seconds() <= self._stale_s
            if not asleep and reporting:
                self._forget(host, flags)
            else:
                watched.append((host, worker, asleep))
        self._look_at([worker for _, worker, _ in watched])
        for host, worker, asleep in watched:
            self._write(host, worker, asleep, flags, now)
            if asleep and host not in changing and self._is_on(host, reports.get(host), now):
                told.append(f"host {host} was to sleep, but is on and reports: it counts as on again")
                self._room.leave(host)
                self._store.set_flag(ASKED + host, None)
        return tuple(told)

    def _look_at(self, workers: Sequence[HostWorker]) -> None:
        """Begin a look at those not looked at for longest, so many at once: each may be a program of its own."""
        oldest = sorted(workers, key=lambda one: (-1.0 if one.last is None else one.last.at_s, one.host))
        for worker in oldest[:MOST_AT_ONCE]:
            worker.look()

    def _is_on(self, host: str, taken_at: datetime | None, now: datetime) -> bool:
        """Tell whether a host has gone on to report for as long as going down may take, whatever its power says."""
        if taken_at is None or (now - taken_at).total_seconds() > self._stale_s:
            self._on_since.pop(host, None)
            return False
        since = self._on_since.setdefault(host, now)
        return (taken_at - since).total_seconds() >= self._settings.sleep_timeout_s

    def _write(self, host: str, worker: HostWorker, asleep: bool, flags: Mapping[str, str], now: datetime) -> None:
        last, before = worker.last, observed(flags, host)
        if last is None:
            return
        state = last.state
        if last.why and last.missed < BELIEVED_LOOKS:
            return
        if state is PowerState.UNKNOWN and not last.why and not worker.driver.sees_power and asleep:
            state = PowerState.ASLEEP  # it is silent, as it was told to be; nothing tells more
        if (
            before is None
            or (before.state, before.why) != (state, last.why)
            or (now - before.at).total_seconds() > WRITTEN_EVERY_S
        ):
            self._store.set_flag(SEEN + host, observed_text(Observed(state, now, last.why)))

    def _forget(self, host: str, flags: Mapping[str, str]) -> None:
        self._on_since.pop(host, None)
        for flag in (SEEN + host, FACTS + host, THEIRS + host):
            if flag in flags:
                self._store.set_flag(flag, None)
