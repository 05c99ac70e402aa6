"""Plans by chance, ordered and checked as real ones are: what the loop does with a plan is tried, not what is good."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random

from cluster.plan import Figures, Plan, Status, Step, TierValue
from executors.runner import PlanRunner
from policies.registry import make_problem
from scheduler.check.plan import check_still_safe
from scheduler.cycle import Cycle
from scheduler.gate import View, frozen_guests
from scheduler.intent import Intent
from scheduler.leadership import Leadership
from scheduler.parts import Parts
from scheduler.planner.order import order_moves
from scheduler.planner.steps import build_steps

NOTHING = Figures(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)


class ChanceCycle(Cycle):
    """The real cycle with a planner that sends a few guests anywhere; `resting` makes it plan nothing more."""

    def __init__(
        self,
        parts: Parts,
        leadership: Leadership,
        runner: PlanRunner,
        view: Callable[..., View],
        random: Random,
        resting: Callable[[], bool],
    ) -> None:
        super().__init__(parts.store, leadership, runner, view)
        self._unresolved = parts.store.unresolved
        self._random = random
        self._resting = resting
        self._made = 0

    def _plan(self, view: View, intent: Intent, wake: tuple[tuple[str, str], ...] = ()) -> Plan:
        self._made += 1
        frozen = frozen_guests(view, self._unresolved())
        steps = () if self._resting() else self._steps(view, intent, frozen)
        snapshot = view.snapshot
        number = self._random.getrandbits(100)
        plan = Plan(
            id=f"P{number:026d}",
            snapshot=snapshot.id,
            policy=intent.policy,
            level=5,
            seed=1,
            made_at=snapshot.taken_at,
            expires_at=snapshot.taken_at + timedelta(seconds=view.settings.scheduler.plan_expires_s),
            status=Status.FEASIBLE if steps else Status.NOTHING_TO_DO,
            why="by chance",
            goals=(TierValue("repair", 1.0, 0.0, 0.0, 0.0),),
            gap=0.0,
            steps=steps,
            before=NOTHING,
            after=NOTHING,
        )
        if findings := check_still_safe(plan, snapshot, view.settings.limits):
            raise AssertionError(f"a plan by chance is unsafe: {findings[0]}")
        return plan

    def _steps(self, view: View, intent: Intent, frozen: dict[str, tuple[str, str]]) -> tuple[Step, ...]:
        random, snapshot = self._random, view.snapshot
        problem = make_problem(intent.policy, snapshot, drained=intent.drained, frozen=frozen)
        place = {guest.id: guest.host for guest in snapshot.guests}
        wanted = dict(place)
        drained = set(intent.drained)
        movable = [guest for guest in problem.movable if problem.allowed[guest]]
        chosen = [guest for guest in movable if place[guest] in drained]
        if not drained:
            chosen = random.sample(movable, min(len(movable), random.randint(1, 5)))
            if len(chosen) > 1 and random.random() < 0.4:
                # Two change places, which takes a chain and, on full hosts, parking.
                one, other = chosen[:2]
                wanted[one], wanted[other] = place[other], place[one]
                chosen = chosen[2:]
        for guest in chosen:
            wanted[guest] = random.choice(sorted(problem.allowed[guest]))
        wanted = {
            guest: host if host in problem.allowed.get(guest, ()) else place[guest] for guest, host in wanted.items()
        }
        moves = order_moves(problem, wanted, lambda _: True).moves
        left = {**place, **{move.guest: move.target for move in moves}}
        asleep = [
            host.id
            for host in problem.snapshot.hosts
            if host.power.controllable and host.id not in left.values() and snapshot.why_no_target(host) is None
        ][:1]
        if drained or random.random() < 0.6:
            asleep = []
        return build_steps(
            problem, moves, asleep, [0.0] * (len(moves) + 1), view.settings.migration, dict.fromkeys(asleep, 50.0)
        )
