"""The ladder over a scripted migration that does not converge: which rungs, in which order, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from cluster.config.settings import MigrationSettings
from cluster.errors import StepError
from cluster.migration.backoff import flag_of
from cluster.plan import Migrate, PlanRecord, StepState
from executors.ladder import Climbing, Passes
from executors.protocol import MayBegin, Progress
from tests.executors.world import End, Job, Stage, World, migrate, plan, stage

SENT_MIB_S, DIRTY_MIB_S = 40.0, 80.0
PASS_S = 2.0


@dataclass
class Restless(World):
    """A world whose migrations run for ever, pass after pass, until a rung helps."""

    climbs: Climbing = field(default_factory=lambda: Climbing((50, 100, 200)))
    left_mib: float = 64.0
    second_helps: bool = False
    converges_at_ms: int | None = None
    throttle_ratio: float = 0.0
    in_postcopy: bool = False
    postcopy_arrives: bool = True
    postcopy_works: bool = True
    downtimes_ms: list[int] = field(default_factory=list)
    seconds: int = 0

    def climbing(self, step: Migrate) -> Climbing:
        """Say what the test says."""
        return self.climbs

    def passes(self, step: Migrate) -> Passes | None:
        """One more pass every two seconds, each with as much left."""
        job = self.jobs.get(step.guest)
        if job is None or self.in_postcopy:
            return None
        number = 1 + int((self.clock.elapsed_s - job.began_s) / PASS_S)
        return Passes(number, self.left_mib, SENT_MIB_S, DIRTY_MIB_S, self.throttle_ratio)

    def poll(self, step: Migrate) -> Progress:
        """Say, too, whether it runs in post-copy."""
        progress = super().poll(step)
        return Progress(progress.running, progress.ratio, progress.mib, error=progress.error, postcopy=self.in_postcopy)

    def allow_downtime(self, step: Migrate, downtime_ms: int) -> None:
        """End well once enough is allowed."""
        self.hook("allow_downtime")
        self.downtimes_ms.append(downtime_ms)
        if self.converges_at_ms is not None and downtime_ms >= self.converges_at_ms:
            self._arrive(step)

    def start_postcopy(self, step: Migrate) -> None:
        """Switch, where it was armed."""
        self.hook("start_postcopy")
        if not self.postcopy_works:
            raise StepError("post-copy was not armed")
        self.in_postcopy = True
        if self.postcopy_arrives:
            self._arrive(step)

    def abort(self, step: Migrate) -> None:
        """A migration in post-copy is not stopped."""
        if not self.in_postcopy:
            super().abort(step)

    def start_again(self, step: Migrate, limit_mib_s: int, may_begin: MayBegin) -> None:
        """Begin the second try; the first must be over."""
        assert step.guest not in self.jobs, "two migrations of one guest"
        assert self.where[step.guest] == {step.source}
        self.hook("start_again")
        if not may_begin():
            raise StepError("not begun")
        self.seconds += 1
        self.jobs[step.guest] = Job(step, self.clock.elapsed_s, End.ARRIVES if self.second_helps else End.HANGS)

    def _arrive(self, step: Migrate) -> None:
        del self.jobs[step.guest]
        self.where[step.guest] = {step.target}
        self.finished.add(step.id)


def begun(climbs: Climbing, timeout_s: float = 600.0, **world: object) -> tuple[Stage, Restless]:
    """A plan of one move that does not converge by itself."""
    made = stage({"g1": "h1"}, settings=MigrationSettings(timeout_s=timeout_s))
    restless = Restless(
        made.clock, made.world.settings, made.world.where, {"s1": End.HANGS}, climbs=climbs, **world  # type: ignore[arg-type]  # fields by name
    )  # fmt: skip
    made.world = restless
    made.new_runner().begin(plan(migrate("s1", "g1", "h1", "h2")))
    return made, restless


def rungs(made: Stage) -> list[str]:
    """The step's words in the journal."""
    return [entry.state for entry in made.inner.journal(100) if entry.step == "s1"]


def ended(record: PlanRecord) -> StepState:
    """How the step ended."""
    return record.step_state("s1")


def test_downtime_is_raised_until_it_is_enough() -> None:
    """In steps while little is left, each written before it is taken."""
    made, world = begun(Climbing((50, 100, 200)), left_mib=3.0, converges_at_ms=200)
    world.hook = lambda call: _written_first(made, "downtime", call == "allow_downtime")
    assert ended(made.run()) is StepState.DONE
    assert world.downtimes_ms == [100, 200]
    assert rungs(made) == ["running", "downtime", "downtime", "done"]


def _written_first(made: Stage, word: str, asked: bool) -> None:
    if asked:
        assert rungs(made)[-1] == word


def test_a_downtime_that_could_not_be_enough_is_not_waited_for() -> None:
    """With far more left than any downtime sends, the limit is allowed at once."""
    made, world = begun(Climbing((50, 100, 200)))
    made.run()
    assert world.downtimes_ms == [200]


def test_post_copy_where_it_is_armed() -> None:
    """After the downtime limit; the guest arrives."""
    made, _ = begun(Climbing((50, 200), postcopy=True, second_try="xbzrle"))
    assert ended(made.run()) is StepState.DONE
    assert rungs(made) == ["running", "downtime", "postcopy", "done"]


def test_a_switch_that_is_refused_is_followed_by_the_next_rung() -> None:
    """A source that was not armed after all says no: the second try comes in its time."""
    made, world = begun(Climbing((200,), postcopy=True, second_try="xbzrle"), postcopy_works=False, second_helps=True)
    assert ended(made.run()) is StepState.DONE
    assert rungs(made) == ["running", "postcopy", "retry", "done"]
    assert world.seconds == 1


@pytest.mark.parametrize("how", ["operator", "time"])
def test_post_copy_is_never_stopped(how: str) -> None:
    """Neither by an operator nor by its time-out: half of the guest's memory is on each host."""
    made, world = begun(Climbing((200,), postcopy=True), timeout_s=30.0, postcopy_arrives=False)
    while not world.in_postcopy:
        made.tick()
    if how == "operator":
        made.runner.abort("asked for")
    for _ in range(100):
        made.tick()
    assert made.states() == {"s1": StepState.RUNNING}
    world._arrive(migrate("s1", "g1", "h1", "h2"))
    world.in_postcopy = False
    assert ended(made.run()) is StepState.DONE


def test_the_second_try_begins_when_the_first_is_over() -> None:
    """Once, with the guest on its source alone."""
    made, world = begun(Climbing((200,), second_try="xbzrle"), second_helps=True)
    assert ended(made.run()) is StepState.DONE
    assert (rungs(made), world.seconds) == (["running", "retry", "done"], 1)


def test_one_that_nothing_helps_is_given_up_and_rests() -> None:
    """Failed, the guest on its source, and out of plans for a while; longer the next time."""
    for times in (1, 2):
        made, _ = begun(Climbing((100, 200), second_try="xbzrle"))
        if times == 2:
            made.inner.set_flag(flag_of("g1"), f"1 {made.clock.now().isoformat()}")
        record = made.run()
        assert ended(record) is StepState.FAILED
        assert "it does not converge: after" in record.steps["s1"].detail
        assert rungs(made) == ["running", "downtime", "retry", "downtime", "give_up", "failed"]
        assert made.world.where["g1"] == {"h1"}
        assert made.inner.flags()[flag_of("g1")].startswith(f"{times} ")


def test_one_that_moves_rests_no_more() -> None:
    """What was known of it is forgotten."""
    made, _ = begun(Climbing((100, 200)), left_mib=3.0, converges_at_ms=200)
    made.inner.set_flag(flag_of("g1"), f"3 {made.clock.now().isoformat()}")
    assert ended(made.run()) is StepState.DONE
    assert flag_of("g1") not in made.inner.flags()


def test_a_guest_that_is_being_throttled_is_waited_for() -> None:
    """QEMU slows it down by itself, further and further; only at its most is anything else tried."""
    made, world = begun(Climbing((200,), throttles=True, second_try=""), throttle_ratio=0.5)
    for _ in range(100):
        made.tick()
    assert rungs(made) == ["running"]
    world.throttle_ratio = 0.99
    assert ended(made.run()) is StepState.FAILED


def test_an_abort_between_two_tries_is_one() -> None:
    """The second try is not begun."""
    made, world = begun(Climbing((200,), second_try="xbzrle"))
    while "retry" not in rungs(made):
        made.tick()
    made.runner.abort("asked for")
    assert ended(made.run()) is StepState.ABORTED
    assert world.seconds == 0
    assert flag_of("g1") not in made.inner.flags()


def test_who_takes_over_climbs_on_and_tries_no_third_time() -> None:
    """A runner without memory knows from the journal that the second try was begun."""
    made, world = begun(Climbing((200,), second_try="xbzrle"))
    while not world.seconds:
        made.tick()
    made.new_runner()
    assert ended(made.run()) is StepState.FAILED
    assert world.seconds == 1
    assert rungs(made) == ["running", "retry", "give_up", "failed"]


def test_a_crash_between_two_tries_leaves_the_guest_where_it_was() -> None:
    """The next runner finds no migration and the guest on its source."""
    made, world = begun(Climbing((200,), second_try="xbzrle"))
    while "retry" not in rungs(made):
        made.tick()
    world.jobs.clear()
    made.new_runner()
    assert ended(made.run()) is StepState.FAILED
    assert made.world.where["g1"] == {"h1"} and world.seconds == 0


def test_one_that_gets_on_is_let_alone() -> None:
    """As long as each pass leaves clearly less than the one before, nothing is done."""
    made, world = begun(Climbing((50, 200), postcopy=True, second_try="xbzrle"), left_mib=1000.0)
    for _ in range(30):
        made.tick(PASS_S)
        world.left_mib *= 0.8
    assert rungs(made) == ["running"]
