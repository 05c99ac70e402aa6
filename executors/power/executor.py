"""Power of real hosts: `Sleep` and `Wake` steps carried out by each host's driver, after a last look at the host.

Nothing here blocks: what a driver is asked runs on a thread (`worker.py`), and `poll` says what is known. A host is
told anything only after `may_begin`, which asks the store for the fencing token and writes down that the host is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from cluster.clock import Clock
from cluster.config.power import PowerSettings
from cluster.errors import (
    ConflictError,
    FencedError,
    HostUnreachableError,
    InputError,
    RefusedError,
    StoreUnavailableError,
    TrimtabError,
)
from cluster.host import PowerState
from cluster.plan import Sleep, Wake
from cluster.power_sight import ASKED, DOWN, FACTS, facts_text, why_not_wake
from cluster.store.protocol import Store
from executors.power.protocol import PowerDriver
from executors.power.rooms import Room
from executors.power.worker import HostWorker, Task
from executors.protocol import MayBegin, Progress, always

LOOK_EVERY_S = 2.0
"""Least seconds between two looks at a host that is on its way."""
RETRY_AFTER_S = 1.0


@dataclass(slots=True)
class _Action:
    """One step under way: its task, from when on reports and looks count, since when the host shows itself down."""

    began: datetime
    began_s: float
    task: Task | None = None
    down_since: datetime | None = None
    told: bool = False


class HostPowerExecutor:
    """An `executors.protocol.PowerExecutor` and `PowerOfHosts` over drivers.

    `room` is where a host is made sure to be empty; `kept_on` are hosts that must never sleep ("is ..."), such as this
    scheduler's own; `why_kept_on` asks that anew, on a thread, before a host is told. A host that shows itself down is
    believed only when it has not reported for `quiet_s`.
    """

    def __init__(
        self,
        workers: Mapping[str, HostWorker],
        store: Store,
        clock: Clock,
        settings: PowerSettings,
        room: Room,
        *,
        kept_on: Mapping[str, str] = MappingProxyType({}),
        why_kept_on: Callable[[str], str | None] = lambda _host: None,
        quiet_s: float = 15.0,
    ) -> None:
        self.workers = workers
        self._store = store
        self._clock = clock
        self._settings = settings
        self._room = room
        self._kept_on = dict(kept_on)
        self._why_kept_on = why_kept_on
        self._quiet_s = quiet_s
        self._actions: dict[str, _Action] = {}

    def why_not_sleep(self, host: str) -> str | None:
        """Say why a host can never be put to sleep here: it has no driver, or is this scheduler's own."""
        if host not in self.workers:
            return f"host {host} has no bmc in its [[hosts]]: nothing reaches its power"
        if (why := self._kept_on.get(host)) is not None:
            return f"host {host} {why}"
        return None

    # -- one step ----------------------------------------------------------------------------------------------------
    def start(self, step: Sleep | Wake, may_begin: MayBegin = always) -> None:
        """Begin a step; what comes of it is for `poll` to say. Raises `RefusedError`, nothing being begun then."""
        worker = self._worker(step)
        if isinstance(step, Sleep):
            if (why := self.why_not_sleep(step.host)) is not None:
                raise RefusedError(why)
            self._mark_asleep(step.host)
            try:
                self._begin(step, worker, lambda driver, action: self._sleep(step, driver, action, may_begin))
            except RefusedError:
                self._unmark(step.host)
                raise
            return
        if (why := why_not_wake(step.host, self._store.flags())) is not None:
            raise RefusedError(why)
        self._room.leave(step.host)
        self._begin(step, worker, lambda driver, action: self._tell(step.host, driver.wake, action, may_begin))

    def adopt(self, step: Sleep | Wake, asked: bool, may_begin: MayBegin) -> None:
        """Take over a step of another process: one that was told to sleep is watched, one to be woken is told again."""
        if isinstance(step, Sleep):
            if not asked:
                self._unmark(step.host)
                raise RefusedError(f"host {step.host} was not told to sleep yet when another scheduler took over")
            self._actions[step.id] = self._action()
            return
        worker = self._worker(step)
        # Waking a host that is told already, or on, changes nothing.
        self._begin(step, worker, lambda driver, action: self._tell(step.host, driver.wake, action, may_begin))

    def poll(self, step: Sleep | Wake) -> Progress:
        """Say how far a step is, without waiting for anything. `RefusedError`: it was not begun after all."""
        action = self._actions.setdefault(step.id, self._action())
        worker = self._worker(step)
        if action.task is not None and not action.task.over:
            return Progress(running=True, error=self._why_long(worker))
        error = None if action.task is None else action.task.error
        if error is not None and not action.told:
            if isinstance(step, Sleep):
                self._unmark(step.host)
            raise RefusedError(str(error))
        if error is not None and not isinstance(error, HostUnreachableError):
            # The host's power answered, and would not. Whether the host goes down all the same is watched elsewhere.
            return Progress(running=False, error=str(error))
        return self._observe(step, action, worker, "" if error is None else str(error))

    def timeout_s(self, step: Sleep | Wake) -> float:
        """Return how long a step may take, its last look and what a driver is asked included."""
        if isinstance(step, Wake):
            return self._settings.wake_timeout_s
        return self._settings.sleep_timeout_s + self._settings.agent_timeout_s

    def forget(self, step: Sleep | Wake) -> None:
        """Let go of a step that is over."""
        self._actions.pop(step.id, None)

    def close(self) -> None:
        """Let go of all drivers."""
        for worker in self.workers.values():
            worker.close()

    # -- what is done on a host's thread -------------------------------------------------------------------------------
    def _begin(self, step: Sleep | Wake, worker: HostWorker, function: Callable[[PowerDriver, _Action], None]) -> None:
        what = "put to sleep" if isinstance(step, Sleep) else "wake"
        action = self._actions[step.id] = self._action()
        action.task = worker.begin(what, lambda driver: function(driver, action))
        if action.task is None:
            del self._actions[step.id]
            raise RefusedError(f"host {step.host}: what was asked of its power before hangs: {self._why_long(worker)}")

    def _sleep(self, step: Sleep, driver: PowerDriver, action: _Action, may_begin: MayBegin) -> None:
        if (why := self._why_kept_on(step.host)) is not None:
            self._kept_on[step.host] = why
            raise RefusedError(f"host {step.host} {why}")
        try:
            # Before each try: what was seen before the last one may not be so any more.
            self._tell(step.host, driver.sleep, action, may_begin, lambda: self._clear(step, action))
        except TrimtabError as error:
            # One that did not answer may have been told all the same: nothing is taken back.
            if not (action.told and isinstance(error, HostUnreachableError)):
                self._room.leave(step.host)
            raise

    def _clear(self, step: Sleep, action: _Action) -> None:
        try:
            window = self._room.clear(step.host, step.id)
        except HostUnreachableError as error:
            if action.told:
                raise  # it may be going down
            raise RefusedError(f"{error}; so it is not put to sleep") from None
        if window and not action.told:
            self._note(step, window)

    def _tell(
        self,
        host: str,
        tell: Callable[[], None],
        action: _Action,
        may_begin: MayBegin,
        first: Callable[[], None] = lambda: None,
    ) -> None:
        """Tell a host, again where nobody answers. Each time leadership is asked for anew, after what comes `first`."""
        for left in range(self._settings.retries, -1, -1):
            first()
            if not may_begin():
                raise RefusedError(f"host {host} was left as it is: it was given up, or another scheduler leads now")
            try:
                action.told = True
                tell()
                return
            except InputError:
                action.told = False  # what is wrong is ours: nobody was asked
                raise
            except HostUnreachableError:
                if not left:
                    raise
            self._clock.sleep(RETRY_AFTER_S)

    def _action(self) -> _Action:
        return _Action(self._clock.now(), self._clock.monotonic_s())

    # -- seeing --------------------------------------------------------------------------------------------------------
    def _observe(self, step: Sleep | Wake, action: _Action, worker: HostWorker, error: str) -> Progress:
        last = worker.last
        if last is None or self._clock.monotonic_s() - last.at_s >= LOOK_EVERY_S or last.at_s < action.began_s:
            worker.look()
            last = worker.last
        if last is None or last.at_s < action.began_s:
            return Progress(running=True, error=error or self._why_long(worker))
        state = last.state
        if isinstance(step, Wake):
            return self._observe_wake(step, action, state, error or last.why)
        if state is PowerState.UNKNOWN and not worker.driver.sees_power and not last.why:
            state = PowerState.ASLEEP  # nothing tells more of a host without a BMC that was told to suspend
        if state not in DOWN:
            action.down_since = None
            return Progress(running=True, error=last.why or error or f"its power says {last.state}")
        now = self._clock.now()
        if action.down_since is None:
            action.down_since = now
        reported = self._reported(step.host)
        if reported is not None and reported > action.down_since:
            return Progress(running=True, error=f"its power says {last.state}, but the host reports")
        if (now - action.down_since).total_seconds() < self._quiet_s:
            return Progress(running=True, ratio=0.9)
        return Progress(running=False, ratio=1.0)

    def _observe_wake(self, step: Wake, action: _Action, state: PowerState, why: str) -> Progress:
        if state is not PowerState.ON:
            return Progress(running=True, error=why or f"its power says {state}")
        reported = self._reported(step.host)
        if reported is None or reported <= action.began:
            return Progress(running=True, ratio=0.5, error="its power says on, but the host does not report")
        return Progress(running=False, ratio=1.0)

    def _reported(self, host: str) -> datetime | None:
        """Return when the host's latest report was taken."""
        return next((one.observation.taken_at for one in self._store.reports() if one.host == host), None)

    def _why_long(self, worker: HostWorker) -> str:
        task = worker.busy_with
        if task is None:
            return ""
        return f"to {task.what} it takes {self._clock.monotonic_s() - task.since_s:.0f} s by now"

    def _note(self, step: Sleep, text: str) -> None:
        """Write a line into the plan's journal, if it is under way. It is worth no trouble."""
        with suppress(StoreUnavailableError, FencedError, ConflictError):
            active = self._store.active_plan()
            if active is not None and step.id in active.steps:
                token = active.steps[step.id].token
                self._store.note_step(active.plan.id, step.id, "window", token, self._clock.now(), text)

    # -- marks ---------------------------------------------------------------------------------------------------------
    def _worker(self, step: Sleep | Wake) -> HostWorker:
        if (worker := self.workers.get(step.host)) is None:
            raise RefusedError(f"host {step.host} has no bmc in its [[hosts]]: nothing reaches its power")
        return worker

    def _mark_asleep(self, host: str) -> None:
        """Write down that the host goes down by our doing, and what it was like, before it is told."""
        report = next((one for one in self._store.reports() if one.host == host), None)
        if report is not None:
            self._store.set_flag(FACTS + host, facts_text(report))
        self._store.set_flag(ASKED + host, PowerState.ASLEEP.value)

    def _unmark(self, host: str) -> None:
        """Take that back: nothing was done. What the store does not take now, the observer clears up."""
        with suppress(StoreUnavailableError):
            self._room.leave(host)
            self._store.set_flag(ASKED + host, None)
            self._store.set_flag(FACTS + host, None)
