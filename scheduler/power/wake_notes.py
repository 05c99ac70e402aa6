"""What power steps prove: a wake that worked is written down as a proof, one that failed blocks its host and alarms.

A wake has worked once the host itself has reported again, not when its BMC says that it is on. A host that goes on
reporting after it was put to sleep has a BMC that lies, or that is another machine's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from cluster import power_log, wake_proof
from cluster.clock import Clock
from cluster.config.settings import Settings
from cluster.host import PowerState
from cluster.plan import Sleep, StepState, Wake
from cluster.store.protocol import Store
from executors.events import Event, EventKind

WAKING = "waking:"
"""Flag of a host that is being woken: JSON of `Waking`."""


@dataclass(frozen=True, slots=True)
class Waking:
    """A wake under way, times as text. `since` is the order to wake; `done` when its power was seen on, or empty.

    `slept`: the host had not reported for a while when the order was given; `None`: it was woken too soon to tell.
    `timed`: the order was given by this scheduler, not found in the journal, so `since` is when.
    """

    since: str
    slept: bool | None
    timed: bool = True
    done: str = ""


class WakeNotes:
    """Keeps the flags `wake:HOST`, from the runner's events and from the hosts' own reports. Only the leader does."""

    def __init__(
        self, store: Store, clock: Clock, settings: Callable[[], Settings], say: Callable[[str], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._say = say

    def note(self, event: Event) -> None:
        """Take in what became of a power step. `StoreUnavailableError`."""
        step = event.step
        if not isinstance(step, Sleep | Wake):
            return
        ended = event.kind is EventKind.ENDED
        if isinstance(step, Sleep):
            if ended and event.state == StepState.FAILED:
                self._fail(step.host, f"it did not go to sleep: {event.text}", slept=False)
            return
        if event.kind in (EventKind.STARTED, EventKind.ADOPTED):
            self._begin(step.host, event)
        elif ended:
            self._end(step.host, event)

    def look(self) -> None:
        """Settle what the hosts' reports tell by now. `StoreUnavailableError`."""
        flags = self._store.flags()
        waking = _hosts(flags, WAKING)
        asleep = [host for host in _hosts(flags, "power:") if host not in waking]
        if not waking and not asleep:
            return
        heard = self._heard()
        for host in waking:
            self._settle(host, read_waking(flags, host), heard.get(host))
        for host in asleep:
            self._doubt(host, flags, heard.get(host))

    # -- waking ----------------------------------------------------------------------------------------------------
    def _begin(self, host: str, event: Event) -> None:
        timed = event.kind is EventKind.STARTED
        if not timed and WAKING + host in self._store.flags():
            return
        self._set_waking(host, Waking(event.at.isoformat(), self._has_slept(host, event.at), timed))

    def _has_slept(self, host: str, now: datetime) -> bool | None:
        heard, quiet = self._heard().get(host), timedelta(seconds=self._quiet_s)
        if heard is None or now - heard > quiet:
            return True
        change = power_log.last_change(self._store.flags(), host)
        return False if change is not None and heard > change.at + quiet else None

    def _end(self, host: str, event: Event) -> None:
        waking = read_waking(self._store.flags(), host)
        if event.state == StepState.DONE:
            began = waking or Waking(event.at.isoformat(), slept=None, timed=False)
            self._set_waking(host, replace(began, done=event.at.isoformat()))
            return
        self._set_waking(host, None)
        if event.state == StepState.FAILED:
            self._fail(host, f"it did not wake: {event.text}")

    def _settle(self, host: str, waking: Waking | None, heard: datetime | None) -> None:
        if waking is None or not waking.done:
            return
        since, now = datetime.fromisoformat(waking.since), self._clock.now()
        limit_s = self._settings().power.wake_timeout_s
        if heard is not None and heard > since:
            self._set_waking(host, None)
            if waking.slept:
                self._pass(host, (min(heard, now) - since).total_seconds() if waking.timed else None)
            elif waking.slept is False:
                self._fail(host, "it reported all the time that it was said to sleep", slept=False)
        elif (now - since).total_seconds() > limit_s:
            self._set_waking(host, None)
            self._fail(host, f"its power came on, but it has not reported for {limit_s:g} s")

    def _set_waking(self, host: str, waking: Waking | None) -> None:
        self._store.set_flag(WAKING + host, None if waking is None else json.dumps(asdict(waking)))

    # -- sleeping --------------------------------------------------------------------------------------------------
    def _doubt(self, host: str, flags: Mapping[str, str], heard: datetime | None) -> None:
        """Find out that a host never went to sleep. One that was silent first was woken by somebody else."""
        change = power_log.last_change(flags, host)
        if heard is None or change is None or change.state is not PowerState.ASLEEP:
            return
        proof = wake_proof.read(flags, host)
        if proof.failed_at is not None and proof.failed_at >= change.at:
            return
        first = change.at + timedelta(seconds=self._quiet_s)
        last = change.at + timedelta(seconds=self.doubt_s)
        if first < heard <= last:
            self._fail(host, "it was put to sleep, its BMC says that it is, and it still reports", slept=False)

    # -- writing ---------------------------------------------------------------------------------------------------
    @property
    def doubt_s(self) -> float:
        """For how long after it went to sleep a host is listened to, to be sure that it did."""
        return 2 * self._quiet_s

    @property
    def _quiet_s(self) -> float:
        """Without a report for so long a host counts as silent."""
        return 2 * self._settings().collect.interval_s + 1

    def _heard(self) -> dict[str, datetime]:
        """Return when each host last said something itself, or was reached: a BMC's word of its sleep is neither."""
        seen = (report.observation for report in self._store.reports())
        return {one.host.id: one.taken_at for one in seen if one.host.power.state is PowerState.ON}

    def _pass(self, host: str, took_s: float | None) -> None:
        proof = wake_proof.read(self._store.flags(), host)
        # Who did not see the order cannot say how long it took.
        known_s = proof.took_s if took_s is None else took_s
        passed = proof.passed(self._clock.now(), known_s)
        self._store.set_flag(wake_proof.flag_of(host), wake_proof.write(passed))
        self._say(f"host {host} woke" + ("" if took_s is None else f" in {took_s:.0f} s") + ": proven")

    def _fail(self, host: str, reason: str, *, slept: bool = True) -> None:
        proof = wake_proof.read(self._store.flags(), host).failed(self._clock.now(), reason, slept=slept)
        self._store.set_flag(wake_proof.flag_of(host), wake_proof.write(proof))
        self._say(f"ALARM {blocked_line(host, reason)}")


def blocked_line(host: str, reason: str) -> str:
    """Return the sentence of a blocked host, for the log and the alarms."""
    return f"host {host}: {reason}; it is not put to sleep any more until this passes: trimtab wake-test {host}"


def read_waking(flags: Mapping[str, str], host: str) -> Waking | None:
    """Return the wake under way of a host, `None` without one."""
    text = flags.get(WAKING + host)
    return None if text is None else Waking(**json.loads(text))


def _hosts(flags: Mapping[str, str], prefix: str) -> list[str]:
    return sorted(flag.removeprefix(prefix) for flag in flags if flag.startswith(prefix))
