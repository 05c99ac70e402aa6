"""What holds for every plan, however its migrations end and wherever the process dies."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.config.settings import MigrationSettings
from cluster.errors import StoreUnavailableError
from cluster.plan import Migrate, Plan, StepState
from cluster.store.protocol import Lease
from executors.runner import PlanRunner
from tests.executors.world import CONFIRM_S, LEASE_S, SETTLE_S, Crash, End, Stage, migrate, outage, plan, stage

HOSTS = ("h1", "h2", "h3", "h4")
ENDINGS = (*[End.ARRIVES] * 6, *End)


@st.composite
def plans(draw: st.DrawFn) -> tuple[Plan, dict[str, str], dict[str, End]]:
    """A plan over a few hosts with any edges to earlier steps, where its guests are, and how each migration goes."""
    steps: list[Migrate] = []
    where: dict[str, str] = {}
    for number in range(draw(st.integers(1, 7))):
        source, target = draw(st.permutations(HOSTS))[:2]
        earlier = [step.id for step in steps]
        after = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=2)) if earlier else []
        steps.append(migrate(f"s{number}", f"g{number}", source, target, tuple(after)))
        where[f"g{number}"] = source
        if draw(st.integers(0, 4)) == 0:
            (third,) = draw(st.permutations([host for host in HOSTS if host not in (source, target)]))[:1]
            steps.append(migrate(f"s{number}b", f"g{number}", target, third, (f"s{number}",)))
    ends = {step.id: draw(st.sampled_from(ENDINGS)) for step in steps}
    return plan(*steps), where, ends


LIMITS = st.builds(
    MigrationSettings,
    out_per_host=st.integers(1, 3),
    in_per_host=st.integers(1, 3),
    per_cluster=st.integers(1, 4),
    timeout_s=st.just(40.0),
)


class CallCounter:
    """Counts every call to store and executor, and lets the process die, or the store be away, at chosen ones."""

    def __init__(self, deaths: frozenset[int] = frozenset(), away: range = range(0)) -> None:
        self.deaths, self.away = deaths, away
        self.calls = 0

    def attach(self, on: Stage) -> None:
        """Hook into all calls of a stage."""
        on.store.hook = self._of_store
        on.world.hook = self._of_world

    def _of_store(self, call: str) -> None:
        self.calls += 1
        if self.calls in self.deaths:
            raise Crash(call)
        if self.calls in self.away:
            raise outage()

    def _of_world(self, call: str) -> None:
        self.calls += 1
        if self.calls in self.deaths:
            raise Crash(call)


def run_through(on: Stage, new: Callable[[], object]) -> None:
    """Tick to the end; after each death, `new` brings the next runner."""
    for _ in range(2000):
        if on.inner.active_plan() is None:
            return
        try:
            on.tick()
        except Crash:
            on.world.advance(3.0)
            new()
    raise AssertionError("the plan does not end")


def restart(on: Stage) -> Callable[[], object]:
    """The same scheduler comes back and still holds its lease."""
    return on.new_runner


def take_over(on: Stage) -> Callable[[], object]:
    """Another scheduler becomes leader, with a greater token."""
    holders = iter(f"scheduler-{number}" for number in range(10_000))

    def new() -> None:
        on.world.advance(LEASE_S + 1)
        before = on.lease
        on.lease = on.inner.acquire_lease(next(holders), LEASE_S)
        assert on.lease is not None and before is not None and on.lease.token > before.token
        on.new_runner()

    return new


def check(on: Stage) -> None:
    """The laws of a plan that has ended. The world itself has checked order, limits and double starts at each start."""
    for step in on.record().plan.migrations:
        state, held = on.record().step_state(step.id), on.world.where[step.guest]
        assert len(held) <= 1, f"{step.guest} runs twice"
        assert state is not StepState.RUNNING
        if state is StepState.DONE:
            assert step.id in on.world.finished and step.id in on.world.started
        elif state in (StepState.FAILED, StepState.ABORTED):
            assert step.id not in on.world.finished or on.world.ends.get(step.id) is End.DIES
            assert step.guest not in on.world.jobs, f"{step.id} is {state} while its migration runs on"
        elif state in (StepState.WAITING, StepState.REFUSED):
            assert step.id not in on.world.started
    on.world.jobs.clear()


@settings(max_examples=150, deadline=None)
@given(plans(), LIMITS)
def test_every_plan_ends_with_what_is_true(
    drawn: tuple[Plan, dict[str, str], dict[str, End]], limits: MigrationSettings
) -> None:
    """Whatever the migrations do, order and limits hold, and the journal says of each step what is so."""
    made, where, ends = drawn
    on = stage(where, ends=ends, settings=limits)
    on.runner.begin(made)
    run_through(on, restart(on))
    check(on)
    if all(end in (End.ARRIVES, End.START_UNKNOWN) for end in ends.values()):
        assert set(on.states().values()) == {StepState.DONE}


@settings(max_examples=300, deadline=None)
@given(
    plans(),
    LIMITS,
    st.frozensets(st.integers(1, 250), min_size=1, max_size=6),
    st.sampled_from([restart, take_over]),
)
def test_death_at_any_calls_doubles_nothing(
    drawn: tuple[Plan, dict[str, str], dict[str, End]],
    limits: MigrationSettings,
    deaths: frozenset[int],
    again: Callable[[Stage], Callable[[], object]],
) -> None:
    """The process dies at up to six calls, is restarted or replaced, and the laws hold all the same."""
    made, where, ends = drawn
    on = stage(where, ends=ends, settings=limits)
    on.runner.begin(made)
    CallCounter(deaths).attach(on)
    run_through(on, again(on))
    check(on)


@settings(max_examples=150, deadline=None)
@given(plans(), LIMITS, st.integers(1, 150), st.integers(1, 100))
def test_a_store_away_at_any_calls_doubles_nothing(
    drawn: tuple[Plan, dict[str, str], dict[str, End]], limits: MigrationSettings, first: int, calls: int
) -> None:
    """The store is away for any stretch of calls, also right after it took a write; the laws hold all the same."""
    made, where, ends = drawn
    on = stage(where, ends=ends, settings=limits)
    on.runner.begin(made)
    CallCounter(away=range(first, first + calls)).attach(on)
    run_through(on, restart(on))
    check(on)


SMALL = plan(
    migrate("s1", "g1", "h1", "h2"),
    migrate("s2", "g2", "h3", "h1", after=("s1",)),
    migrate("s3", "g1", "h2", "h4", after=("s1", "s2")),
)
SMALL_WHERE: Mapping[str, str] = {"g1": "h1", "g2": "h3"}


def _calls_of_an_undisturbed_run() -> int:
    on = stage(SMALL_WHERE)
    on.runner.begin(SMALL)
    counter = CallCounter()
    counter.attach(on)
    on.run()
    return counter.calls


@pytest.mark.parametrize("again", [restart, take_over])
def test_death_at_every_single_call_is_survived(again: Callable[[Stage], Callable[[], object]]) -> None:
    """The process dies once, at each call of a plan in turn; the plan ends, finished or to be planned anew."""
    calls = _calls_of_an_undisturbed_run()
    assert calls > 60
    finished = 0
    for death in range(1, calls + 1):
        on = stage(SMALL_WHERE)
        on.runner.begin(SMALL)
        CallCounter(frozenset({death})).attach(on)
        run_through(on, again(on))
        check(on)
        states = set(on.states().values())
        finished += states == {StepState.DONE}
        assert states <= {StepState.DONE, StepState.WAITING, StepState.FAILED}
        for step in SMALL.steps:
            if on.states()[step.id] is StepState.FAILED:
                assert step.id not in on.world.started, "a migration that was begun is adopted, not given up"
    assert finished > calls * 0.8


def test_death_while_a_plan_is_made_active_leaves_it_whole_or_not_at_all() -> None:
    """A plan whose opening was cut off is either not there or runs to its end after adoption."""
    for death in range(1, 5):
        on = stage(SMALL_WHERE)
        CallCounter(frozenset({death})).attach(on)
        try:
            on.runner.begin(SMALL)
        except (Crash, StoreUnavailableError):
            on.new_runner()
        if on.inner.active_plan() is not None:
            run_through(on, restart(on))
            assert set(on.states().values()) == {StepState.DONE}


@settings(max_examples=200, deadline=None)
@given(plans(), LIMITS, st.frozensets(st.integers(1, 200), min_size=1, max_size=8), st.booleans())
def test_two_leaders_double_nothing(
    drawn: tuple[Plan, dict[str, str], dict[str, End]],
    limits: MigrationSettings,
    stalls: frozenset[int],
    aware: bool,
) -> None:
    """A leader stalls in the middle of any call but a start; another takes over and acts; the first wakes up.

    `aware`: it looks at its own clock and knows that its lease is over. Otherwise the store has to stop it, and one
    window remains: from its journal line to the start. What begins there is not in the journal's end of the step, but
    still only begins from the source, once.
    """
    made, where, ends = drawn
    on = stage(where, ends=ends, settings=limits)
    counter, busy = [0], set[str]()
    runners: dict[str, Callable[[], None]] = {}

    def leader(name: str) -> None:
        held: list[tuple[Lease, float]] = []

        def lease() -> Lease | None:
            if not held or (aware and on.clock.elapsed_s >= held[0][1]):
                return None
            return held[0][0]

        runner = PlanRunner(
            on.store,
            on.world,
            None,
            on.clock,
            limits,
            lambda _plan, _step: None,
            lambda: None,
            lease,
            settle_s=SETTLE_S,
            confirm_s=CONFIRM_S,
        )

        def act() -> None:
            if name in busy:
                return
            now = on.inner.acquire_lease(name, LEASE_S)
            if now is not None:
                held[:] = [(now, on.clock.elapsed_s + LEASE_S)]
            busy.add(name)
            runner.tick()
            busy.remove(name)

        runners[name] = act

    leader("a")
    leader("b")
    present, window = ["a"], [False]

    def stall(call: str) -> None:
        counter[0] += 1
        if call in ("start", "started") or counter[0] not in stalls:
            return
        window[0] = window[0] or (not aware and call == "after write_step")
        here = present[0]
        present[0] = "b" if here == "a" else "a"
        on.world.advance(LEASE_S + 1)
        for _ in range(6):
            if on.inner.active_plan() is not None:
                runners[present[0]]()
                on.world.advance(1.0)

    assert on.lease is not None
    on.runner.begin(made)
    on.store.hook = on.world.hook = stall
    for _ in range(1000):
        if on.inner.active_plan() is None:
            break
        runners[present[0]]()
        on.world.advance(1.0)
    assert on.inner.active_plan() is None
    if not window[0]:
        check(on)
