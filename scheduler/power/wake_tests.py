"""Wake tests: an empty host is put to sleep, seen silent, woken, and heard again. Asked for, or due at night.

A test is kept in the flag `wake_test:HOST`, so that another leader goes on with it; its two steps are plans of their
own, through the same gate, journal and last look as any other. What it proves is written down by `wake_notes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from cluster import wake_proof
from cluster.clock import Clock
from cluster.config.power import WakeTest as WakeTestMode
from cluster.config.settings import Mode, Settings
from cluster.errors import TrimtabError, UnreachableError
from cluster.host import Host, PowerState
from cluster.plan import PlanState, Sleep, StepState, Wake
from cluster.snapshot import Snapshot
from cluster.store.protocol import Store
from executors.runner import PlanRunner
from reports.units import count
from scheduler.energy.night import night_of
from scheduler.gate import View, why_no_action, why_no_plan
from scheduler.power.plans import power_plan
from scheduler.power.wake_notes import WAKING, WakeNotes
from scheduler.power.wake_state import PREFIX, Phase, WakeTest, read_all, write

POLICY = "wake_test"
MARK = "a wake test"
"""Who drains a host that is to be tested, as its drain flag says."""
SCHEDULE = "the night's schedule"
EMPTY_WITHIN = timedelta(minutes=30)
KEPT = timedelta(hours=12)
"""For how long the outcome of a test is kept, and how long a night is when its tests are counted."""
AGES_AT_RATIO = 0.8
"""A proof that has spent this share of its days is renewed at night."""


class WakeTests:
    """Carries tests out, one at a time. `look` gives the gate's view, with every host's power as configured.

    Only the leader takes steps. `step` is short; it is called every few seconds.
    """

    def __init__(
        self,
        store: Store,
        runner: PlanRunner,
        clock: Clock,
        notes: WakeNotes,
        settings: Callable[[], Settings],
        look: Callable[[], View],
        say: Callable[[str], None],
    ) -> None:
        self._store = store
        self._runner = runner
        self._clock = clock
        self._notes = notes
        self._settings = settings
        self._look = look
        self._say = say

    def step(self) -> None:
        """Take the next step of the test under way, or of the first that is asked for. `UnreachableError`."""
        self._notes.look()
        flags, now = self._store.flags(), self._clock.now()
        tests = read_all(flags)
        for test in tests:
            if test.phase.is_over and now - datetime.fromisoformat(test.at) > KEPT:
                self._store.set_flag(PREFIX + test.host, None)
        open_tests = [test for test in tests if not test.phase.is_over]
        if open_tests:
            begun = [test for test in open_tests if test.phase is not Phase.ASKED]
            self._advance((begun or open_tests)[0], flags, now)

    def schedule(self) -> None:
        """Ask for a test by ourselves where one is due: at night, acting, nothing else under way."""
        tests, now = read_all(self._store.flags()), self._clock.now()
        if all(test.phase.is_over for test in tests) and (host := self._due(tests, now)) is not None:
            self._keep(WakeTest(host, SCHEDULE, now.isoformat(), drain=True))

    # -- one test --------------------------------------------------------------------------------------------------
    def _advance(self, test: WakeTest, flags: Mapping[str, str], now: datetime) -> None:
        match test.phase:
            case Phase.ASKED | Phase.EMPTYING:
                self._prepare(test, flags, now)
            case Phase.SLEEPING:
                self._watch_sleep(test)
            case Phase.ASLEEP:
                self._wake(test, flags, now)
            case _:
                self._watch_wake(test, flags, now)

    def _prepare(self, test: WakeTest, flags: Mapping[str, str], now: datetime) -> None:
        """See the host emptied, if that was asked for, and put it to sleep."""
        view = replace(self._look(), by_request=test.by != SCHEDULE)
        if (why := why_no_action(view) or _why_not_tested(view, test.host)) is not None:
            return self._refuse(test, why)
        guests = view.snapshot.guests_by_host[test.host]
        is_drained = flags.get(f"drain:{test.host}") == MARK
        if guests and not test.drain:
            first = f"{count(len(guests), 'guest')} ({guests[0].title}{', ...' if len(guests) > 1 else ''})"
            return self._refuse(test, f"host {test.host} holds {first}: trimtab wake-test {test.host} --drain")
        if test.phase is Phase.EMPTYING and not is_drained:
            return self._refuse(test, f"host {test.host} was undrained meanwhile")
        if guests and test.phase is Phase.EMPTYING:
            if test.by == SCHEDULE and night_of(view.settings, now) is None:
                self._refuse(test, "the night is over")
            elif now - datetime.fromisoformat(test.since) > EMPTY_WITHIN:
                self._refuse(test, f"host {test.host} still holds {count(len(guests), 'guest')}")
            return None
        if self._store.active_plan() is not None:
            return None
        if guests:
            self._store.set_flag(f"drain:{test.host}", MARK)
            return self._keep(replace(test, phase=Phase.EMPTYING))
        self._undrain(test.host)
        step = Sleep("s1", test.host, f"wake test asked for by {test.by}")
        return self._begin(test, step, Phase.SLEEPING, view)

    def _watch_sleep(self, test: WakeTest) -> None:
        ended = self._ended(test)
        if ended is None:
            return
        state, detail = ended
        if state is StepState.DONE:
            self._keep(replace(test, phase=Phase.ASLEEP))
        elif state is StepState.FAILED:
            self._over(test, Phase.FAILED, f"host {test.host} did not go to sleep: {detail}")
        else:
            self._refuse(test, detail)

    def _wake(self, test: WakeTest, flags: Mapping[str, str], now: datetime) -> None:
        """Wake the host once it was silent for long enough to be sure that it sleeps."""
        since = datetime.fromisoformat(test.since)
        proof = wake_proof.read(flags, test.host)
        if proof.failed_at is not None and proof.failed_at >= since:
            return self._over(test, Phase.FAILED, f"host {test.host}: {proof.reason}")
        if (now - since).total_seconds() <= self._notes.doubt_s or self._store.active_plan() is not None:
            return None
        view = self._look()
        if why_no_action(view) is not None:
            return None
        return self._begin(test, Wake("s1", test.host, f"wake test asked for by {test.by}"), Phase.WAKING, view)

    def _watch_wake(self, test: WakeTest, flags: Mapping[str, str], now: datetime) -> None:
        ended = self._ended(test)
        if ended is None or WAKING + test.host in flags:
            return
        state, detail = ended
        proof = wake_proof.read(flags, test.host)
        if proof.is_blocked:
            self._over(test, Phase.FAILED, f"host {test.host}: {proof.reason}")
        elif state is StepState.DONE and proof.took_s is not None:
            self._over(test, Phase.PASSED, f"host {test.host} went to sleep and was back in {proof.took_s:.0f} s")
        elif state is StepState.DONE:
            self._over(test, Phase.PASSED, f"host {test.host} went to sleep and came back")
        elif now - datetime.fromisoformat(test.at) > EMPTY_WITHIN + KEPT:
            self._over(test, Phase.FAILED, f"host {test.host} still sleeps: {detail}: trimtab wake {test.host}")
        else:
            self._keep(replace(test, phase=Phase.ASLEEP))

    def _ended(self, test: WakeTest) -> tuple[StepState, str] | None:
        """Return how the plan's one step ended, `None` while it is under way."""
        record = self._store.plan(test.plan)
        if record is None:
            return StepState.ABORTED, "its plan is gone"
        if record.state is not PlanState.ENDED:
            return None
        written = record.steps.get("s1")
        return record.step_state("s1"), record.why if written is None else written.detail

    def _begin(self, test: WakeTest, step: Sleep | Wake, phase: Phase, view: View) -> None:
        plan = power_plan(step, view.snapshot, view.settings, POLICY, f"wake test of host {test.host}")
        # Written first: a test that is killed in between finds no plan, and ends or tries again.
        self._keep(replace(test, phase=phase, plan=plan.id))
        try:
            self._runner.begin(plan)
        except UnreachableError:
            raise
        except TrimtabError as error:
            self._refuse(test, str(error)) if isinstance(step, Sleep) else self._keep(test)

    def _refuse(self, test: WakeTest, why: str) -> None:
        self._over(test, Phase.REFUSED, f"not tested: {why}")

    def _over(self, test: WakeTest, phase: Phase, text: str) -> None:
        self._undrain(test.host)
        self._keep(replace(test, phase=phase, text=text))
        self._say(f"wake test {phase}: {text}")

    def _undrain(self, host: str) -> None:
        if self._store.flags().get(f"drain:{host}") == MARK:
            self._store.set_flag(f"drain:{host}", None)

    def _keep(self, test: WakeTest) -> None:
        self._store.set_flag(PREFIX + test.host, write(replace(test, since=self._clock.now().isoformat())))

    # -- by the schedule -------------------------------------------------------------------------------------------
    def _due(self, tests: list[WakeTest], now: datetime) -> str | None:
        """Return the host to be tested now."""
        ours = [test for test in tests if test.by == SCHEDULE and now - datetime.fromisoformat(test.at) <= KEPT]
        chosen = self._settings()
        if len(ours) >= chosen.power.wake_tests_per_night or chosen.power.wake_test is WakeTestMode.OFF:
            return None
        if chosen.scheduler.mode is not Mode.ACT or night_of(chosen, now) is None:
            return None
        view = self._look()
        if self._store.active_plan() is not None:
            return None
        if (why_no_action(view) or why_no_plan(view)) is not None or view.store_problems:
            return None
        return next_to_test(view, {test.host for test in ours}, now)


def next_to_test(view: View, tried: set[str], now: datetime) -> str | None:
    """Return the emptiest host without a proof, else the one with the oldest of those that age; `None`: none is due.

    A blocked host is not tried again by itself. One whose guests cannot all move is left alone, as is one without
    which the others would be too few.
    """
    due = []
    ages_after = timedelta(days=AGES_AT_RATIO * view.settings.power.wake_test_days)
    for host in view.snapshot.hosts:
        proof = wake_proof.read(view.flags, host.id)
        is_fresh = proof.proven_at is not None and now - proof.proven_at < ages_after
        guests = view.snapshot.guests_by_host[host.id]
        if host.id in tried or proof.is_blocked or is_fresh or not all(guest.movable for guest in guests):
            continue
        if _why_not_tested(view, host.id) is None:
            age = proof.proven_at.isoformat() if proof.proven_at is not None else ""
            due.append((age, sum(guest.memory_mib for guest in guests), host.id))
    awake = [host for host in view.snapshot.hosts if view.snapshot.why_no_target(host) is None]
    enough = len(awake) > view.settings.consolidate.reserve_hosts + 1
    return min(due)[2] if due and enough else None


def _why_not_tested(view: View, host: str) -> str | None:
    """Say why a host cannot be tested, but for its guests."""
    seen = view.snapshot.host_by_id.get(host)
    if seen is None:
        return f"host {host} has not reported"
    if f"drain:{host}" in view.flags and view.flags[f"drain:{host}"] != MARK:
        return f"host {host} is drained: trimtab undrain {host} first"
    return _why_power_is_let_alone(seen, view.snapshot, is_drained=f"drain:{host}" in view.flags)


def _why_power_is_let_alone(host: Host, snapshot: Snapshot, *, is_drained: bool) -> str | None:
    if not host.power.controllable:
        return f"the power of host {host.id} is not controlled: its [[hosts]] entry needs power.controllable and a bmc"
    if host.power.state is not PowerState.ON:
        return f"host {host.id} is {host.power.state}"
    if host.failing:
        return f"host {host.id} is failing"
    if host.cordoned and not is_drained:
        return snapshot.why_no_target(host)
    return snapshot.why_unplannable(host)
