"""Random plans on clusters with uneven links: what `benchmarks.makespan` carries out.

Ten to 500 guests go from a few crowded hosts to anywhere with room, in the planner's own safe order. Racks have
uplinks, half of the clusters have bandwidth budgets below what the wires carry, and slots differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

from cluster.config.settings import BudgetScope, BudgetSettings, LinkSettings, MigrationSettings, Settings
from cluster.guest import Dirty, Guest, MigrationPolicy, Usage
from cluster.host import Host
from cluster.migration.learned import Learned
from cluster.plan import Figures, Plan, Status
from cluster.snapshot import Snapshot
from policies.registry import make_problem
from scheduler.planner import order_moves
from scheduler.planner.foresight import Foresight
from scheduler.planner.schedule import timed
from scheduler.planner.steps import build_steps

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
GIB = 1024
_NO_FIGURES = Figures(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)


@dataclass(frozen=True, slots=True)
class Case:
    """A cluster, its configuration, and a plan for it."""

    snapshot: Snapshot
    settings: Settings
    plan: Plan


def random_case(seed: int) -> Case:
    """Return a plan from a seed: the same one every time."""
    random = Random(seed)
    moving = round(10 * 50 ** random.random())
    hosts = _hosts(random, max(4, round(moving / random.uniform(2, 10))))
    settings = _settings(random, hosts)
    guests, wanted = _guests(random, hosts, moving)
    snapshot = Snapshot(f"random-{seed}", NOON, hosts, guests)
    problem = make_problem("balance", snapshot, limits=settings.limits)
    foresight = Foresight(snapshot, settings, Learned())
    _, allowed = foresight.hopeless(problem)
    problem = replace(problem, allowed={guest: allowed.get(guest, frozenset()) for guest in problem.movable})
    placement = {guest.id: guest.host for guest in guests}
    placement |= {guest: host for guest, host in wanted.items() if host in problem.allowed.get(guest, ())}
    ordering = order_moves(problem, placement, lambda _: True)
    nothing = [0.0] * (len(ordering.moves) + 1)
    steps = build_steps(problem, ordering.moves, (), nothing, settings.migration, {}, foresight)
    found = timed(steps, snapshot, settings)
    plan = Plan(
        id=f"random-{seed}",
        snapshot=snapshot.id,
        policy="balance",
        level=3,
        seed=seed,
        made_at=NOON,
        expires_at=NOON + timedelta(days=30),
        status=Status.FEASIBLE,
        why="a benchmark",
        goals=(),
        gap=0.0,
        steps=found.steps,
        before=_NO_FIGURES,
        after=_NO_FIGURES,
        makespan_s=found.makespan_s,
        makespan_bound_s=found.makespan_bound_s,
    )
    return Case(snapshot, settings, plan)


def _hosts(random: Random, count: int) -> tuple[Host, ...]:
    racks = max(1, count // random.randint(3, 12))
    return tuple(
        Host(
            f"h{number}",
            cpu_millicores=128_000,
            memory_mib=512 * GIB,
            migration_mbit_s=random.choice((1000, 10_000, 10_000, 10_000, 25_000)),
            domains={"rack": f"r{number % racks}"},
        )
        for number in range(count)
    )


def _settings(random: Random, hosts: tuple[Host, ...]) -> Settings:
    racks = sorted({host.domains["rack"] for host in hosts})
    links = tuple(
        LinkSettings(
            rack, random.choice((10_000, 20_000, 40_000)), tuple(h.id for h in hosts if h.domains["rack"] == rack)
        )
        for rack in racks
        if len(racks) > 1
    )
    budgets = []
    if random.random() < 0.5:
        budgets += [
            BudgetSettings(BudgetScope.LINK, link.mbit_s * random.uniform(0.3, 0.8), link.name) for link in links
        ]
        budgets.append(BudgetSettings(BudgetScope.HOST_OUT, random.choice((2000, 5000, 8000))))
    migration = MigrationSettings(
        out_per_host=random.choice((1, 1, 2, 3)),
        in_per_host=random.choice((1, 1, 2, 3)),
        per_cluster=random.choice((4, 4, 8, 16, 32)),
        # Schedules are measured here, not verdicts: guests on the edge of not converging stay where they are.
        least_converges=0.95,
    )
    return Settings(migration=migration, links=links, budgets=tuple(budgets))


def _guests(random: Random, hosts: tuple[Host, ...], moving: int) -> tuple[tuple[Guest, ...], Mapping[str, str]]:
    """Return guests where they start, and where those that are to move go: everything fits at both times."""
    room = {when: {host.id: 500 * GIB for host in hosts} for when in ("before", "after")}
    crowded = [host.id for host in hosts][: max(1, len(hosts) // 4)]
    skew = random.random()
    guests: list[Guest] = []
    wanted: dict[str, str] = {}
    for number in range(2 * moving):
        moves = number < moving
        memory_mib = GIB * min(64, max(1, round(random.lognormvariate(1.5, 1.0))))
        demand_mib = memory_mib + 256
        source = _with_room(random, room["before"], demand_mib, crowded if random.random() < skew else [])
        if source is None:
            continue
        if not moves and room["after"][source] < demand_mib:
            continue
        target = _with_room(random, room["after"], demand_mib, [], source) if moves else source
        if target is None:
            continue
        room["before"][source] -= demand_mib
        room["after"][target] -= demand_mib
        guest = _guest(random, number, memory_mib, source)
        guests.append(guest)
        if moves:
            wanted[guest.id] = target
    return tuple(guests), wanted


def _with_room(
    random: Random, room: Mapping[str, int], demand_mib: int, among: list[str], other_than: str = ""
) -> str | None:
    fits = [host for host in among or sorted(room) if room[host] >= demand_mib and host != other_than]
    return random.choice(fits) if fits else None


def _guest(random: Random, number: int, memory_mib: int, host: str) -> Guest:
    hot_mib = random.choice((0.0, 2.0, 8.0, 30.0))
    return Guest(
        f"g{number:04}",
        host,
        vcpus=1,
        memory_mib=memory_mib,
        overhead_mib=256,
        usage=Usage(cpu_millicores=50, memory_mib=round(memory_mib * random.uniform(0.4, 0.95))),
        dirty=Dirty(mib_s=hot_mib + random.choice((0.0, 1.0, 5.0, 15.0)), over_s=1.0, hot_mib=hot_mib),
        migration=replace(MigrationPolicy(), max_downtime_ms=random.choice((100, 300, 500))),
    )
