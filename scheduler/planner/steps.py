"""From ordered moves to the steps of a plan: ids, edges, estimates, reasons, shares of the gain, sleeping hosts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cluster.config.settings import MigrationSettings, Settings
from cluster.migration.learned import Learned
from cluster.plan import Migrate, Sleep, Step, Wake
from cluster.problem import Problem
from scheduler.planner.edges import order_edges
from scheduler.planner.foresight import Foresight
from scheduler.planner.reasons import Reasons
from scheduler.planner.state import Move


def build_steps(
    problem: Problem,
    moves: Sequence[Move],
    asleep: Sequence[str],
    values: Sequence[float],
    settings: MigrationSettings,
    saves_watts: Mapping[str, float],
    foresight: Foresight | None = None,
) -> tuple[Step, ...]:
    """Return the steps in an order that their `after` edges allow.

    `values` are what the plan lowers: at the start and after each of the moves. Without a `foresight` estimates know
    no budgets and nothing learned.
    """
    snapshot = problem.snapshot
    foresight = foresight or Foresight(snapshot, Settings(migration=settings), Learned())
    start = {guest.id: guest.host for guest in snapshot.guests}
    reasons = Reasons(problem, {**start, **{move.guest: move.target for move in moves}})
    whole = values[0] - values[-1]
    edges = order_edges(problem, moves)
    steps: list[Step] = []
    for index, move in enumerate(moves):
        guest = snapshot.guest_by_id[move.guest]
        steps.append(
            Migrate(
                id=f"s{index + 1}",
                guest=guest.id,
                source=move.source,
                target=move.target,
                reason=reasons.of(move),
                estimate=foresight.estimate(guest, move.source, move.target),
                guest_name=guest.name,
                after=tuple(f"s{earlier + 1}" for earlier in edges[index]),
                parking=move.parking,
                guest_memory_mib=guest.memory_mib,
                guest_vcpus=guest.vcpus,
                local_disks=guest.local_disks,
                gain_share=round((values[index] - values[index + 1]) / whole, 4) if whole > 0 else 0.0,
            )
        )
    for host in sorted(asleep):
        leaving = tuple(step.id for step in steps if isinstance(step, Migrate) and host in (step.source, step.target))
        steps.append(
            Sleep(
                id=f"s{len(steps) + 1}",
                host=host,
                reason="empty: its guests fit on fewer hosts" if leaving else "empty already",
                saves_watts=round(saves_watts[host], 1),
                after=leaving,
            )
        )
    return tuple(steps)


def with_wakes(steps: tuple[Step, ...], wake: Sequence[tuple[str, str]]) -> tuple[Step, ...]:
    """Return the steps with those added that wake hosts, each for its sentence, beside them; none to no steps."""
    if not steps:
        return steps
    first = len(steps) + 1
    return (*steps, *(Wake(f"s{first + i}", host, reason) for i, (host, reason) in enumerate(wake)))
