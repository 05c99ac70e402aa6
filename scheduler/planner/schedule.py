"""When each step of a plan starts: the order that the runner follows, chosen for the least makespan, and its bound.

Streaming, no batches: a step starts as soon as the steps it waits for are done and slots and links have room for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cluster.config.settings import Settings
from cluster.migration.cpu import spare_millicores
from cluster.migration.links import MIB_S_PER_MBIT_S, Links
from cluster.plan import Migrate, Step
from cluster.snapshot import Snapshot
from scheduler.planner.activities import Workload, workload
from scheduler.planner.listing import Timetable, list_schedule
from scheduler.planner.lower_bound import Loads, lower_bound_s

NEAR_RATIO = 0.005
"""A makespan so little over the bound is good enough: estimates are not that exact."""

URGENT_RATIO = 0.05
"""So much longer the whole plan may take for its urgent steps to be done sooner."""

SHARE_RATIOS = (0.0, 0.55, 0.75)
"""Least shares tried: as many on a link as fit, or not two that could each fill it, or one after the other. Sharing
keeps a link busy while one migration begins or ends; not sharing keeps slots free for other links."""

FAR_RATIO, LEAST_SAVED_S, MOST_INTERVALS = 1.03, 20.0, 120
"""CP-SAT is asked where the best makespan is so many times its bound, and so many seconds over it, in a plan of no more
steps than this."""

MOST_WORK = 4000
"""Steps put in order in all: ten orders are tried of a plan of 400 steps, one of a very large one."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """An order of activities, by position in the plan, the timetable that comes of it, and a time nothing can beat.

    `work` is what was scheduled, with the least shares that the timetable rests on.
    """

    work: Workload
    order: tuple[int, ...]
    timetable: Timetable
    bound_s: float


@dataclass(frozen=True, slots=True)
class Timed:
    """A plan's steps in the order in which they are to start, how long they take, and at least have to."""

    steps: tuple[Step, ...]
    makespan_s: float
    makespan_bound_s: float


def timed(
    steps: Sequence[Step], snapshot: Snapshot, settings: Settings, mending: frozenset[str] = frozenset()
) -> Timed:
    """Return the steps in the best order found, numbered anew, `after` edges as they were.

    `mending` are the guests moved for a broken rule or an overload: they go first where that costs little, after those
    of failing hosts. Budgets are those that count when the snapshot was taken. What a host takes to wake or to sleep is
    not counted.
    """
    moves = [step for step in steps if isinstance(step, Migrate)]
    links = Links.of(snapshot.hosts, settings)
    work = workload(
        moves,
        snapshot.guest_by_id,
        links,
        snapshot.taken_at,
        settings.migration,
        _urgent(moves, snapshot, mending),
        spare_millicores(snapshot, settings.limits),
    )
    found = schedule(work)
    in_order: list[Step] = [moves[index] for index in found.order]
    in_order += [step for step in steps if not isinstance(step, Migrate)]
    least_mbit_s = {
        moves[index].id: round(one.least_mib_s / MIB_S_PER_MBIT_S) for index, one in enumerate(found.work.activities)
    }
    makespan_s = round(found.timetable.makespan_s, 1)
    return Timed(_numbered(in_order, least_mbit_s), makespan_s, min(makespan_s, round(found.bound_s, 1)))


def schedule(work: Workload) -> Schedule:
    """Return the best schedule that list scheduling by a few priorities and CP-SAT find. Deterministic.

    Never longer than list scheduling in plan order, but for at most `URGENT_RATIO` that brings urgent steps forward.
    """
    loads = Loads(work)
    bound_s = lower_bound_s(loads)
    count = max(1, len(work.activities))
    urgent = sum(one.urgent for one in work.activities)
    mixed = 0 < urgent < count
    good_s = bound_s * (1 + NEAR_RATIO)
    tried: list[Schedule] = []

    def least_s() -> float:
        return min(one.timetable.makespan_s for one in tried)

    orders = _orders(loads)
    plain = next(orders)
    # Without a least share first: what comes out is never longer than plain list scheduling.
    for share_ratio in SHARE_RATIOS:
        shared = work.sharing(share_ratio)
        tried.append(Schedule(shared, plain, list_schedule(shared, plain), bound_s))
        if len(tried) * count >= MOST_WORK or least_s() <= good_s:
            break
    shared = min(tried, key=lambda one: one.timetable.makespan_s).work
    while len(tried) * count < MOST_WORK and (least_s() > good_s or mixed) and (order := next(orders, None)):
        tried.append(Schedule(shared, order, list_schedule(shared, order), bound_s))
    if count <= MOST_INTERVALS and least_s() > max(bound_s * FAR_RATIO, bound_s + LEAST_SAVED_S):
        # OR-Tools takes most of a second to load: only where it may save many.
        from scheduler.planner.intervals import order_by_intervals

        best = min(tried, key=lambda one: one.timetable.makespan_s)
        if (solved := order_by_intervals(work, best.timetable)) is not None:
            for share_ratio in SHARE_RATIOS:
                shared = work.sharing(share_ratio)
                tried.append(Schedule(shared, solved, list_schedule(shared, solved), bound_s))
    most_s = least_s() * (1 + URGENT_RATIO if mixed else 1)
    good = [one for one in tried if one.timetable.makespan_s <= most_s]
    return _by_start(min(good, key=lambda one: (_urgent_done_s(one), one.timetable.makespan_s)))


def _by_start(found: Schedule) -> Schedule:
    """Return the schedule with its order as things will happen, if that makes the same of it.

    Moments that differ by rounding alone may make it another schedule. A very large one is left as it is.
    """
    if len(found.order) > MOST_WORK:
        return found
    place = {index: at for at, index in enumerate(found.order)}
    order = tuple(sorted(place, key=lambda one: (found.timetable.starts_s[one], place[one])))
    again = list_schedule(found.work, order)
    if again.makespan_s > found.timetable.makespan_s * (1 + 1e-9):
        return found
    return replace(found, order=order, timetable=again)


def _orders(loads: Loads) -> Iterator[tuple[int, ...]]:
    """Give orders to try: the plan's own, then by what still has to come after, by how loaded what they use is."""
    work = loads.work
    everyone = range(len(work.activities))
    yield tuple(everyone)
    alone_s = [one.alone_s for one in work.activities]
    ends_s = [alone_s[one] + loads.tails_s[one] for one in everyone]
    yield tuple(sorted(everyone, key=lambda one: (-ends_s[one], one)))
    if any(one.urgent for one in work.activities):
        yield tuple(sorted(everyone, key=lambda one: (not work.activities[one].urgent, -ends_s[one], one)))
    pressing = loads.pressing(loads.load_s)
    yield tuple(sorted(everyone, key=lambda one: (-pressing[one], -alone_s[one], one)))
    # The same again with what is put in order already taken off: loads shrink together, not one after the other.
    left_s = dict(loads.load_s)
    again = [0.0] * len(alone_s)
    for index in sorted(everyone, key=lambda one: (-pressing[one], -alone_s[one], one)):
        again[index] = loads.pressing_of(index, left_s)
        for resource, seconds in loads.uses[index]:
            left_s[resource] -= seconds
    yield tuple(sorted(everyone, key=lambda one: (-again[one], -alone_s[one], one)))
    yield tuple(sorted(everyone, key=lambda one: (-alone_s[one], one)))


def _urgent_done_s(found: Schedule) -> float:
    ends_s = zip(found.work.activities, found.timetable.ends_s, strict=True)
    return sum(end_s for one, end_s in ends_s if one.urgent)


def _urgent(moves: Sequence[Migrate], snapshot: Snapshot, mending: frozenset[str]) -> frozenset[str]:
    """Return the steps that leave failing hosts, or where there are none those that mend, with those they wait for."""
    by_id = {step.id: step for step in moves}
    urgent: set[str] = set()
    failing = [step.id for step in moves if snapshot.host_by_id[step.source].failing]
    waiting = failing or [step.id for step in moves if step.guest in mending]
    while waiting:
        step = waiting.pop()
        if step in by_id and step not in urgent:
            urgent.add(step)
            waiting.extend(by_id[step].after)
    return frozenset(urgent)


def _numbered(steps: Sequence[Step], least_mbit_s: Mapping[str, int]) -> tuple[Step, ...]:
    """Return the steps named by their places, edges with them, and migrations with their least rates."""
    name = {step.id: f"s{place}" for place, step in enumerate(steps, start=1)}
    numbered: list[Step] = []
    for step in steps:
        after = tuple(sorted((name[one] for one in step.after), key=_number))
        if isinstance(step, Migrate):
            estimate = replace(step.estimate, least_mbit_s=least_mbit_s[step.id])
            numbered.append(replace(step, id=name[step.id], after=after, estimate=estimate))
        else:
            numbered.append(replace(step, id=name[step.id], after=after))
    return tuple(numbered)


def _number(step_id: str) -> int:
    return int(step_id[1:])
