"""Plans of random tight clusters, checked at every moment by code apart from the planner, and the same plans broken.

    python -m benchmarks.safe_moments                  1000 clusters, two plans each, on every core
    python -m benchmarks.safe_moments --clusters 60    fewer
    python -m benchmarks.safe_moments --seed 17        one cluster, its plans and findings in full

Each cluster gives two plans: what its policy wants (repair, balance, drain, consolidate), and one in which guests of
like size change places on full hosts, which takes parking and long chains. `benchmarks/worst_moments.py` finds the
worst moment of each host and resource exactly. Then every plan is broken by one change at a time (a step no longer
waits for another, waits for nothing, or waits the other way round; a step goes to another host; a host sleeps too
early): of the broken ones that the oracle calls unsafe, `scheduler.check` has to find every one, and no other. Exit
status 1: a plan is unsafe at some moment, or the two do not agree.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from random import Random

from benchmarks.tight_clusters import KINDS, Case, tight_cluster
from benchmarks.worst_moments import TooManyError, count_broken, unsafe
from cluster.config.settings import Settings
from cluster.limits import Limits
from cluster.plan import Figures, Migrate, Plan, Sleep, Status, Step
from cluster.rules import Affinity, Near
from cluster.snapshot import Snapshot
from policies.registry import make_problem
from scheduler.check.plan import check_still_safe
from scheduler.check.safety import unsafe_room, unsafe_rules
from scheduler.planner.order import order_moves
from scheduler.planner.steps import build_steps
from scheduler.planning import PlanRequest, make_plan

WORK = 0.05
"""Work limit of a plan: what is looked at is the order, not how good the placement is."""
MUTANTS = 12
"""Broken copies of each plan."""
LONG = 5
"""Moves of a plan from which on it counts as long."""


@dataclass
class Count:
    """What was looked at and found over some clusters."""

    plans: Counter[str] = field(default_factory=Counter)
    moves: int = 0
    edges: int = 0
    parkings: int = 0
    sleeps: int = 0
    long_plans: int = 0
    chained_plans: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    mutants: Counter[str] = field(default_factory=Counter)
    caught: Counter[str] = field(default_factory=Counter)
    unsure: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Count) -> None:
        """Take another's figures in."""
        for name in ("plans", "changed", "mutants", "caught"):
            getattr(self, name).update(getattr(other, name))
        for name in ("moves", "edges", "parkings", "sleeps", "long_plans", "chained_plans", "unsure"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.wrong += other.wrong


def look_at(seed: int) -> Count:
    """Plan for the cluster of a seed, look at every moment, break the plans and look again."""
    case, count, random = tight_cluster(seed), Count(), Random(f"mutants {seed}")
    for name, snapshot, steps in plans_of(case):
        note(count, case.kind, steps)
        about = f"seed {seed}, {name}"
        try:
            count.wrong += [f"{about}: {text}" for text in unsafe(snapshot, Limits(), steps)]
            count.wrong += [f"{about}: false alarm: {text}" for text in of_moments(snapshot, steps)]
            for how, mutant in mutants_of(snapshot, steps, random):
                weigh(count, about, snapshot, how, mutant)
        except TooManyError:
            count.unsure += 1
    return count


def plans_of(case: Case) -> Iterator[tuple[str, Snapshot, Sequence[Step]]]:
    """Yield the steps of the policy's plan and of the change of places, each with the cluster it is for."""
    settings = Settings()
    request = PlanRequest(case.policy, 5, case.drained, work_limit=WORK)
    if steps := make_plan(case.snapshot, request, settings).steps:
        yield case.policy, case.snapshot, steps
    problem = make_problem("repair", case.snapshot)
    wanted = {
        guest.id: wish if (wish := case.wanted[guest.id]) in problem.allowed.get(guest.id, ()) else guest.host
        for guest in case.snapshot.guests
    }
    snapshot = _without_what_is_torn_apart(case.snapshot, wanted)
    problem = make_problem("repair", snapshot)
    moves = order_moves(problem, wanted, lambda _: True).moves
    if moves:
        yield "exchange", snapshot, build_steps(problem, moves, (), [0.0] * (len(moves) + 1), settings.migration, {})


def _without_what_is_torn_apart(snapshot: Snapshot, wanted: Mapping[str, str]) -> Snapshot:
    """Leave out the affinities that the wanted placement breaks: no planner would want it."""
    start, end = (
        {one.id: frozenset((places[one.id],)) for one in snapshot.guests}
        for places in ({one.id: one.host for one in snapshot.guests}, wanted)
    )
    kept = (
        rule
        for rule in snapshot.rules
        if not isinstance(rule, Affinity | Near)
        or count_broken(rule, snapshot, end) <= count_broken(rule, snapshot, start)
    )
    return replace(snapshot, rules=tuple(kept))


def note(count: Count, kind: str, steps: Sequence[Step]) -> None:
    """Count what kind of plan this is, so that a run over nothing but easy ones shows."""
    moves = [step for step in steps if isinstance(step, Migrate)]
    edges = sum(len(move.after) for move in moves)
    count.plans[kind] += 1
    count.moves += len(moves)
    count.edges += edges
    count.parkings += sum(move.parking for move in moves)
    count.sleeps += sum(isinstance(step, Sleep) for step in steps)
    count.long_plans += len(moves) >= LONG
    count.chained_plans += edges > 0


def of_moments(snapshot: Snapshot, steps: Sequence[Step]) -> list[str]:
    """Return what the product's own checker finds at any moment of the steps."""
    return [*unsafe_room(snapshot, Limits(), steps), *unsafe_rules(snapshot, steps)]


def of_the_whole(snapshot: Snapshot, steps: Sequence[Step]) -> list[str]:
    """Return what it finds in a plan as a whole: its moments, its end, its power steps."""
    figures = Figures(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
    about = ("mutant", snapshot.id, "balance", 5, 1, snapshot.taken_at, snapshot.taken_at, Status.FEASIBLE, "", (), 0.0)
    return check_still_safe(Plan(*about, tuple(steps), figures, figures), snapshot, Limits())


def weigh(count: Count, about: str, snapshot: Snapshot, how: str, mutant: Sequence[Step]) -> None:
    """Let oracle and checker judge a broken plan. What the checker alone finds may concern more than moments."""
    truth, found = unsafe(snapshot, Limits(), mutant), of_moments(snapshot, mutant)
    count.changed[how] += 1
    if truth:
        caught = bool(found or of_the_whole(snapshot, mutant))
        count.mutants[how] += 1
        count.caught[how] += caught
        if not caught:
            count.wrong.append(f"{about}, {how}: found by the oracle only: {truth[0]}")
    elif found:
        count.wrong.append(f"{about}, {how}: found by the checker only: {found[0]}")


def mutants_of(snapshot: Snapshot, steps: Sequence[Step], random: Random) -> Iterator[tuple[str, Sequence[Step]]]:
    """Yield copies of a plan, each with one change that the order of steps still allows."""
    waiting = [
        (number, earlier)
        for number, step in enumerate(steps)
        for earlier in step.after
        if _is_loose(steps, number, earlier)
    ]
    for number, earlier in random.sample(waiting, min(len(waiting), MUTANTS)):
        fewer = tuple(one for one in steps[number].after if one != earlier)
        yield "edge dropped", _with(steps, number, replace(steps[number], after=fewer))
        if (turned := _turned(steps, number, earlier)) is not None:
            yield "edge turned round", turned
    early = [
        (number, earlier) for number, step in enumerate(steps) if isinstance(step, Sleep) for earlier in step.after
    ]
    for number, earlier in random.sample(early, min(len(early), MUTANTS // 3)):
        fewer = tuple(one for one in steps[number].after if one != earlier)
        yield "sleeps too early", _with(steps, number, replace(steps[number], after=fewer))
    chained = sorted({number for number, _ in waiting})
    for number in random.sample(chained, min(len(chained), MUTANTS // 2)):
        own = tuple(one for one in steps[number].after if not _is_loose(steps, number, one))
        yield "waits for nothing", _with(steps, number, replace(steps[number], after=own))
    hosts = [host.id for host in snapshot.hosts]
    last = {step.guest: number for number, step in enumerate(steps) if isinstance(step, Migrate)}
    for number in random.sample(sorted(last.values()), min(len(last), MUTANTS // 2)):
        step = steps[number]
        target = random.choice(hosts)
        if isinstance(step, Migrate) and target not in (step.source, step.target):
            yield "other target", _with(steps, number, replace(step, target=target))


def _is_loose(steps: Sequence[Step], number: int, earlier: str) -> bool:
    """Whether the edge is one of room or rules: not from a guest's parking to its final move, nor a host's sleep."""
    step = steps[number]
    before = next(one for one in steps if one.id == earlier)
    return isinstance(step, Migrate) and isinstance(before, Migrate) and before.guest != step.guest


def _turned(steps: Sequence[Step], number: int, earlier: str) -> Sequence[Step] | None:
    """Return the steps with one edge the other way round; `None` where that makes a ring."""
    later = steps[number]
    first = next(index for index, step in enumerate(steps) if step.id == earlier)
    changed = list(steps)
    changed[number] = replace(later, after=tuple(one for one in later.after if one != earlier))
    changed[first] = replace(changed[first], after=(*changed[first].after, later.id))
    return _sorted(changed)


def _sorted(steps: Sequence[Step]) -> Sequence[Step] | None:
    done: list[Step] = []
    ids: set[str] = set()
    todo = list(steps)
    while todo:
        step = next((step for step in todo if ids.issuperset(step.after)), None)
        if step is None:
            return None
        todo.remove(step)
        done.append(step)
        ids.add(step.id)
    return done


def _with(steps: Sequence[Step], number: int, step: Step) -> Sequence[Step]:
    return [*steps[:number], step, *steps[number + 1 :]]


def run(seeds: Sequence[int], processes: int) -> Count:
    """Look at the clusters of all seeds."""
    whole = Count()
    if processes == 1:
        for seed in seeds:
            whole.add(look_at(seed))
        return whole
    with ProcessPoolExecutor(processes) as pool:
        for count in pool.map(look_at, seeds, chunksize=8):
            whole.add(count)
    return whole


def report(count: Count) -> list[str]:
    """Return what came of it, for people."""
    plans = ", ".join(f"{kind} {count.plans[kind]}" for kind in KINDS)
    lines = [
        f"{count.plans.total()} plans ({plans})",
        f"{count.moves} moves, {count.parkings} of them parking, {count.edges} edges, {count.sleeps} hosts asleep",
        f"{count.long_plans} plans of {LONG} moves or more, {count.chained_plans} with moves that wait",
        f"{count.unsure} plans left aside: a rule with more steps than can be enumerated",
    ]
    lines += [
        f"{how}: {number} plans changed, {count.mutants[how]} unsafe, {count.caught[how]} of them found"
        for how, number in sorted(count.changed.items())
    ]
    total = count.mutants.total()
    lines.append(f"mutation score {count.caught.total() / total:.4f}" if total else "no broken plan was unsafe")
    return [*lines, *(count.wrong[:20] or ["every plan safe at every moment, oracle and checker agree"])]


def main() -> int:
    """Run and print; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clusters", type=int, default=1000, help="how many clusters (1000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--seed", type=int, help="one cluster only")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many processes")
    chosen = parser.parse_args()
    seeds = [chosen.seed] if chosen.seed is not None else range(chosen.first, chosen.first + chosen.clusters)
    began = time.perf_counter()
    count = run(seeds, 1 if chosen.seed is not None else chosen.processes)
    print("\n".join(report(count)))
    print(f"{len(seeds)} clusters, seeds {seeds[0]} to {seeds[-1]}, {time.perf_counter() - began:.0f} s")
    return 1 if count.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
