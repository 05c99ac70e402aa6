"""The N+1 trial: at a moment, each host that is on is lost in turn, and its guests are packed onto the others.

Those that stay are where they were: nobody is moved out of the way, as nobody would be when a host dies. A guest under
way takes memory at both ends. Going down or waking counts as no room. Packed is by best fit, the largest first, and
where that fails by CP-SAT; what CP-SAT leaves open counts as no room, and is counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.integers import IntArray
from benchmarks.thirty_days.course import GOING_DOWN, ON, Course, most
from cluster.limits import Limits

EXACT_S = 20.0
"""CPU that CP-SAT may take for one host's loss."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A host whose loss at a moment leaves no room; `open` where it was not shown that there is none."""

    at_s: float
    host: str
    guests: int
    open: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial found: losses tried, how many of them needed CP-SAT, and those that failed."""

    losses: int
    exact: int
    failures: tuple[Failure, ...]


def try_losses(course: Course, moments_s: list[float], limits: Limits) -> Trial:
    """Lose every host that holds guests, at each of the moments. Guests on a host that does not run are a failure."""
    cpu_most, memory_most = most(course.weeks, limits)
    memory = np.array([guest.memory_demand_mib for guest in course.weeks.guests], dtype=np.int64)
    losses = exact = 0
    failures: list[Failure] = []
    for at_s in sorted(moments_s):
        now = course.at(at_s)
        need = np.stack([now.wanted, memory], axis=1)
        used = np.zeros((len(cpu_most), 2), dtype=np.int64)
        np.add.at(used, now.placement, need)
        for move in course.under_way(at_s):
            used[move.target, 1] += memory[move.guest]
        free = np.stack([cpu_most, memory_most], axis=1) - used
        for host in range(len(cpu_most)):
            on_it = np.flatnonzero(now.placement == host)
            if not len(on_it):
                continue
            losses += 1
            if now.states[host] not in (ON, GOING_DOWN):
                failures.append(Failure(at_s, course.weeks.hosts[host].id, len(on_it), open=False))
                continue
            others = (now.states == ON) & (np.arange(len(cpu_most)) != host)
            room = free[others & (free >= 0).all(axis=1)]
            fits: bool | None = best_fit(need[on_it], room)
            if not fits:
                exact += 1
                fits = packs(need[on_it], room)
            if not fits:
                failures.append(Failure(at_s, course.weeks.hosts[host].id, len(on_it), fits is None))
    return Trial(losses, exact, tuple(failures))


def best_fit(need: IntArray, free: IntArray) -> bool:
    """Tell whether best fit, the largest first, packs guests [guest, resource] into room [host, resource]."""
    if (need.sum(axis=0) > free.sum(axis=0)).any():
        return False
    left = free.copy()
    scale = 1.0 / np.maximum(1, free.sum(axis=0))
    for one in np.argsort(-(need * scale).max(axis=1), kind="stable").tolist():
        takes = (left >= need[one]).all(axis=1)
        if not takes.any():
            return False
        rest = ((left - need[one]) * scale).sum(axis=1)
        left[int(np.where(takes, rest, np.inf).argmin())] -= need[one]
    return True


def packs(need: IntArray, free: IntArray) -> bool | None:
    """Tell exactly whether the guests can be packed; `None` when it is still open after `EXACT_S`."""
    if (need.sum(axis=0) > free.sum(axis=0)).any():
        return False
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    takes = (need[:, None, :] <= free[None, :, :]).all(axis=2)
    here = {(g, h): model.new_bool_var("") for g, h in np.argwhere(takes).tolist()}
    for guest in range(len(need)):
        model.add_exactly_one([var for (g, _), var in here.items() if g == guest])
    for host in range(len(free)):
        on = [(guest, var) for (guest, h), var in here.items() if h == host]
        for resource in range(need.shape[1]):
            model.add(sum(int(need[guest, resource]) * var for guest, var in on) <= int(free[host, resource]))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.max_time_in_seconds = EXACT_S
    status = solver.solve(model)
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return True
    return False if status == cp_model.INFEASIBLE else None
