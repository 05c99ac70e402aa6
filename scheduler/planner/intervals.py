"""An order of starts by CP-SAT: every migration an interval of its time alone, over cumulative slots and links.

What list scheduling cannot do: look at all steps at once. Rates are fixed here, so what comes of the order is judged by
`listing` like any other. Deterministic: one worker, a work limit instead of a clock.
"""

from __future__ import annotations

import math
from typing import Any

from ortools.sat.python import cp_model

from scheduler.planner.activities import Workload
from scheduler.planner.listing import Timetable

TENTHS = 10
"""Moments in the model are whole tenths of a second."""

WORK_LIMIT = 0.3
"""CP-SAT's deterministic time: about as many seconds."""


def order_by_intervals(work: Workload, known: Timetable) -> tuple[int, ...] | None:
    """Return the activities by start in the best schedule found, `known` being where it begins; `None`: none found."""
    model: Any = cp_model.CpModel()
    lengths = [max(1, math.ceil(one.alone_s * TENTHS)) for one in work.activities]
    # One after the other always fits. What shares a link in `known` may take longer here, each having it alone.
    horizon = max(math.ceil(known.makespan_s * TENTHS), sum(lengths))
    starts, intervals, ends = [], [], []
    for index, length in enumerate(lengths):
        start = model.new_int_var(0, horizon, "")
        model.add_hint(start, math.ceil(known.starts_s[index] * TENTHS))
        starts.append(start)
        ends.append(start + length)
        intervals.append(model.new_interval_var(start, length, start + length, ""))
    for index, one in enumerate(work.activities):
        for earlier in one.after:
            model.add(starts[index] >= ends[earlier])
    for indices, demands, capacity in _cumulatives(work):
        model.add_cumulative([intervals[index] for index in indices], demands, capacity)
    makespan = model.new_int_var(0, 2 * horizon, "")
    model.add_max_equality(makespan, ends)
    model.minimize(makespan)
    solver: Any = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_deterministic_time = WORK_LIMIT
    if solver.solve(model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None
    at = [solver.value(start) for start in starts]
    return tuple(sorted(range(len(at)), key=lambda index: (at[index], index)))


def _cumulatives(work: Workload) -> list[tuple[list[int], list[int], int]]:
    """Return, for each slot and link, who uses it, how much of it each takes, and how much there is."""
    slots, found = work.slots, dict[str, tuple[list[int], list[int], int]]()
    for index, one in enumerate(work.activities):
        uses = [
            (f"out slots:{one.source}", 1, slots.out_per_host),
            (f"in slots:{one.target}", 1, slots.in_per_host),
            ("slots", 1, slots.per_cluster),
        ]
        for link in one.path:
            capacity = math.floor(work.usable_mib_s(link, 1, one.downtime_s))
            uses.append((link, min(capacity, math.floor(one.rate_mib_s)), capacity))
        for name, demand, capacity in uses:
            indices, demands, most = found.setdefault(name, ([], [], capacity))
            indices.append(index)
            demands.append(demand)
            found[name] = (indices, demands, max(most, capacity))
    return list(found.values())
