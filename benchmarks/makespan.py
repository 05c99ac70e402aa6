"""How long plans take against the least time possible, in the simulator: `python -m benchmarks.makespan [--plans 200]`.

The real runner carries out random plans (`random_plans`) in a world with the links' real speeds; budgets are kept by
what the runner tells the running jobs. One line per plan: moves, lower bound, makespan promised, time taken, the same
plan in batches that each wait for their slowest, the fullest link or budget. Exit status 1 when the sum is over 1.1
times the bounds' or a budget was passed. Half an hour on one core; `--plans 20` gives an impression.

The bound is the plan's own `makespan_bound_s`. Batches are reckoned with the schedule's model, without the runner's
half-second ticks, which is in their favour.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

from benchmarks.random_plans import NOON, Case, random_case
from cluster.migration.cpu import spare_millicores
from cluster.migration.estimate import SETUP_S, SWITCH_S
from cluster.migration.links import Links
from cluster.plan import Migrate, PlanRecord, StepState
from cluster.snapshot import Snapshot
from cluster.store.memory import MemoryStore
from executors.runner import PlanRunner
from executors.terms import Terms
from scheduler.loop import TICK_S
from scheduler.planner.activities import Workload, workload
from scheduler.planner.listing import list_schedule
from simulator.clock import SimClock
from simulator.executor import SimMigrationExecutor
from simulator.guests import SimGuest, SteadyLoad, Writes
from simulator.migration import Phase, Physics
from simulator.network import SharedLink
from simulator.world import World

MOST_OVER = 1.1
"""Target: the sum of makespans against the sum of lower bounds."""

UNSEEN_S = 60.0
"""How long the runner may be left without a look while nothing happens but passes over memory."""


@dataclass(frozen=True, slots=True)
class Line:
    """What came of one plan; `fullest` is the largest share of a budget that was in use at any moment."""

    seed: int
    moves: int
    bound_s: float
    promised_s: float
    took_s: float
    batches_s: float
    fullest: float
    failed: str = ""


def measure(seed: int) -> Line:
    """Make a plan, carry it out, and reckon its batches."""
    case = random_case(seed)
    took_s, fullest, failed = carry_out(case)
    plan = case.plan
    return Line(
        seed,
        len(plan.migrations),
        plan.makespan_bound_s,
        plan.makespan_s,
        took_s,
        batches_s(case),
        fullest,
        failed,
    )


def carry_out(case: Case) -> tuple[float, float, str]:
    """Let the runner carry the plan out; return the seconds it took, the fullest budget, and what went wrong."""
    clock = SimClock(NOON)
    world = _world(case, clock)
    links = Links.of(case.snapshot.hosts, case.settings)
    store = MemoryStore(clock)
    lease = store.acquire_lease("benchmark", 1e9)
    guests = case.snapshot.guest_by_id
    runner = PlanRunner(
        store,
        SimMigrationExecutor(world),
        None,
        clock,
        case.settings.migration,
        lambda _plan, _step: None,
        lambda: None,
        lambda: lease,
        links=lambda: links,
        spare_millicores=lambda: spare_millicores(_now(case, store), case.settings.limits),
        terms=lambda _plan, step: Terms((), guests[step.guest].migration.max_downtime_ms / 1000),
    )
    capacity = links.capacity_mib_s(NOON)
    runner.begin(case.plan)
    runner.tick()
    fullest, took_s = 0.0, 0.0
    while (record := store.active_plan()) is not None:
        # The runner looks twice a second. Between two looks the world goes on by itself; looks that could see nothing
        # new are left out.
        under_way = {step.guest for step in record.plan.migrations if record.step_state(step.id) is StepState.RUNNING}
        phases, until_s = _phases(world), clock.monotonic_s() + UNSEEN_S
        while under_way == {guest for guest, _ in phases} and _phases(world) == phases:
            if clock.monotonic_s() > until_s or not under_way:
                break
            # A microsecond on: the clock counts in them, the world does not.
            clock.advance_to(max(clock.monotonic_s(), world.next_event_s()) + 1e-6)
            fullest = max(fullest, _fullest(world, links, capacity))
            took_s = clock.monotonic_s()
        clock.advance_to((math.floor(clock.monotonic_s() / TICK_S + 1e-6) + 1) * TICK_S)
        runner.tick()
        fullest = max(fullest, _fullest(world, links, capacity))
    (record,) = store.plans(1)
    bad = [
        f"{step.id} {state}"
        for step in record.plan.steps
        if (state := record.step_state(step.id)) is not StepState.DONE
    ]
    wrong = [str(one) for one in world.violations()]
    return took_s, fullest, "; ".join([*bad[:1], *wrong[:1]])


def _now(case: Case, store: MemoryStore) -> Snapshot:
    """Return the snapshot with guests where the plan's finished steps have brought them."""
    (record,) = store.plans(1)
    moved = {step.guest: step.target for step in record.plan.migrations if _is_done(record, step.id)}
    guests = tuple(replace(one, host=moved.get(one.id, one.host)) for one in case.snapshot.guests)
    return replace(case.snapshot, guests=guests)


def _is_done(record: PlanRecord, step: str) -> bool:
    return record.step_state(step) is StepState.DONE


def _world(case: Case, clock: SimClock) -> World:
    guests = []
    for guest in case.snapshot.guests:
        hot_mib, rate = guest.dirty.hot_mib or 0.0, guest.dirty.mib_s or 0.0
        writes = Writes(hot_mib=hot_mib, hot_mib_s=3 * hot_mib, cold_mib_s=max(0.0, rate - hot_mib))
        guests.append(SimGuest(guest, SteadyLoad(50.0), writes))
    shared = [SharedLink(link.name, link.mbit_s, frozenset(link.hosts)) for link in case.settings.links]
    # What a cluster takes to set up a migration is learned; here it is what predictions assume.
    physics = Physics(setup_s=SETUP_S - SWITCH_S, switch_s=SWITCH_S)
    return World(case.snapshot.hosts, guests, clock, shared_links=shared, physics=physics, sample_s=1e9)


def _phases(world: World) -> frozenset[tuple[str, bool]]:
    with world.present():
        return frozenset((guest, one.phase is Phase.SETUP) for guest, one in world.migrations.items())


def _fullest(world: World, links: Links, capacity: Mapping[str, float]) -> float:
    """Return the largest share of a link's speed or budget that is in use now."""
    used: dict[str, float] = {}
    with world.present():
        for one in world.migrations.values():
            for link in links.path(one.source, one.target):
                used[link] = used.get(link, 0.0) + (one.rate_mib_s if one.flow is not None else 0.0)
    return max((mib_s / capacity[link] for link, mib_s in used.items()), default=0.0)


def batches_s(case: Case) -> float:
    """Return how long the plan takes in batches: as many of the next steps as may run together, then wait for all."""
    moves = case.plan.migrations
    links = Links.of(case.snapshot.hosts, case.settings)
    whole = workload(moves, case.snapshot.guest_by_id, links, NOON, case.settings.migration)
    done: set[str] = set()
    waiting = list(range(len(moves)))
    seconds = 0.0
    while waiting:
        batch = _batch(moves, waiting, done, whole)
        alone = tuple(replace(whole.activities[index], after=()) for index in batch)
        seconds += list_schedule(replace(whole, activities=alone), range(len(alone))).makespan_s
        done |= {moves[index].id for index in batch}
        waiting = [index for index in waiting if index not in batch]
    return seconds


def _batch(moves: tuple[Migrate, ...], waiting: Iterable[int], done: set[str], whole: Workload) -> list[int]:
    slots, leaving, coming = whole.slots, dict[str, int](), dict[str, int]()
    batch: list[int] = []
    for index in waiting:
        step = moves[index]
        if len(batch) == slots.per_cluster or not done.issuperset(step.after):
            continue
        if leaving.get(step.source, 0) == slots.out_per_host or coming.get(step.target, 0) == slots.in_per_host:
            continue
        leaving[step.source] = leaving.get(step.source, 0) + 1
        coming[step.target] = coming.get(step.target, 0) + 1
        batch.append(index)
    return batch


def main() -> int:
    """Measure plans and print a table; 1 when a line is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plans", type=int, default=200)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    began_s = time.perf_counter()
    print(f"{'seed':>5} {'moves':>5} {'bound s':>9} {'promised':>9} {'took s':>9} {'batches s':>9} {'fullest':>8}")
    lines: list[Line] = []
    with ProcessPoolExecutor(options.workers) as pool:
        for line in pool.map(measure, range(options.first, options.first + options.plans)):
            lines.append(line)
            print(
                f"{line.seed:>5} {line.moves:>5} {line.bound_s:>9.1f} {line.promised_s:>9.1f} {line.took_s:>9.1f} "
                f"{line.batches_s:>9.1f} {line.fullest:>8.1%} {line.failed}",
                flush=True,
            )
    bound_s, took_s = sum(line.bound_s for line in lines), sum(line.took_s for line in lines)
    fullest = max(line.fullest for line in lines)
    print(
        f"{len(lines)} plans, {sum(line.moves for line in lines)} moves: bound {bound_s:.0f} s, took {took_s:.0f} s "
        f"({took_s / bound_s:.3f} of it), batches {sum(line.batches_s for line in lines) / bound_s:.3f} of it, "
        f"fullest budget {fullest:.1%}, {sum(line.took_s < line.bound_s for line in lines)} under their bound; "
        f"{time.perf_counter() - began_s:.0f} s"
    )
    missed = took_s > MOST_OVER * bound_s or fullest > 1 + 1e-6 or any(line.failed for line in lines)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
