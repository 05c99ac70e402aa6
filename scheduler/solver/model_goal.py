"""The policy's goal as part of a CP-SAT model: squares of integer deviations, or milliwatts with on/off booleans."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from scheduler.solver.evaluate import GOAL
from scheduler.solver.goal import PPM, Curve, EvenUse, SleepArrays, Watts
from scheduler.solver.linear import Linear

if TYPE_CHECKING:
    from scheduler.solver.model import Model


def add_goal(model: Model) -> None:
    """Add the goal's tier: host costs, sleeping, price of moves and soft forms."""
    instance = model.instance
    goal, total = instance.goal, model.tiers[GOAL]
    unit = model.coarse * model.coarse
    use = instance.use(model.place)
    if goal.sleep is not None:
        _add_sleep(model, goal.sleep)
    hosts = np.arange(len(instance.host_ids), dtype=np.intp)
    costs = goal.cost.at(hosts, use)
    if isinstance(goal.cost, EvenUse):
        rest = np.setdiff1d(hosts, np.array(model.touched, dtype=np.intp))
        total.constant += int(costs[rest].sum()) // unit
        for host in model.touched:
            _add_squares(model, goal.cost, host, use[host].tolist())
    elif isinstance(goal.cost, Watts):
        for host in range(len(hosts)):
            power = goal.cost.curves[host]
            if power is None:
                continue
            if host in model.on or host in model.touched:
                _add_watts(model, power, goal.cost.column, host)
            else:
                total.constant += int(costs[host])
    away = model.fixed[model.place[model.fixed] != instance.home[model.fixed]]
    total.constant += int(goal.price[away].sum()) // unit
    for guest in model.of_guest:
        total.join(model.moved(guest), int(goal.price[guest]) // unit)
    for weight, broken in zip(goal.soft_weights, model.soft_broken, strict=False):
        total.join(broken, weight // unit)


def _add_squares(model: Model, cost: EvenUse, host: int, used: list[int]) -> None:
    """Add (u - U)^2 of a host with u rounded to the nearest `coarse` millionth of its room."""
    steps = PPM // model.coarse
    for i, resource in enumerate(cost.columns):
        if not cost.counted[host, i]:
            continue
        use, room = model.use[host][resource], int(cost.room[host, i])
        mean = (2 * int(cost.mean[i]) + model.coarse) // (2 * model.coarse)
        least, most = ((2 * steps * amount + room) // (2 * room) - mean for amount in (use.constant, use.most()))
        off = model.integer(least, most)
        # Nearest rounding: 2 room (off + mean) <= 2 steps use + room < 2 room (off + mean + 1).
        slack = 2 * steps * use.expression + room - 2 * room * (off + mean)
        model.cp.add_linear_constraint(slack, 0, 2 * room - 1)
        square = model.integer(0 if least <= 0 <= most else min(least**2, most**2), max(least**2, most**2))
        model.cp.add_multiplication_equality(square, [off, off])
        now = (2 * steps * used[resource] + room) // (2 * room) - mean
        model.hint(off, now)
        model.hint(square, now * now)
        model.tiers[GOAL].add(square)


def _add_sleep(model: Model, sleep: SleepArrays) -> None:
    """Add an on/off boolean for each host that may sleep, and the reserve over the hosts that stay on."""
    total = model.tiers[GOAL]
    total.constant += sleep.constant
    reserve = [Linear(int(sleep.offer[~sleep.may, i].sum())) for i in range(sleep.offer.shape[1])]
    enough = bool((sleep.offer.sum(axis=0) >= sleep.need).all())
    occupied = np.zeros(len(sleep.may), dtype=np.bool_)
    occupied[model.place[model.fixed]] = True
    for host in np.flatnonzero(sleep.may).tolist():
        on = model.boolean()
        model.on[host] = on
        total.constant += int(sleep.asleep_milliwatts[host])
        total.add(on, -int(sleep.asleep_milliwatts[host]))
        if occupied[host] or not enough:
            model.cp.add(on == 1)
        for i, offered in enumerate(reserve):
            offered.add(on, int(sleep.offer[host, i]))
    for row in model.of_guest.values():
        for host, variable in row.items():
            if host in model.on:
                model.cp.add_implication(variable, model.on[host])
    if enough:
        for i, offered in enumerate(reserve):
            if offered.variables:
                model.cp.add(offered.expression >= int(sleep.need[i]))


def _add_watts(model: Model, power: Curve, column: int, host: int) -> None:
    """Add the milliwatts of a host that is on, rounded up; 0 when it is asleep."""
    use = model.use[host][column]
    on: Any = model.on.get(host, 1)
    most = min(use.most(), max(int(model.instance.cap[host, column]), use.constant))
    parts = _parts(power, most)
    draw = model.integer(0, max(power.milliwatts))
    model.tiers[GOAL].add(draw)
    slopes = [(rise, run) for _, _, rise, run, _ in parts]
    convex = all(a * d <= c * b for (a, b), (c, d) in pairwise(slopes))
    chosen = []
    for start, milliwatts, rise, run, end in parts:
        line = rise * use.expression + (milliwatts * run - start * rise) * on
        if convex:
            model.cp.add(run * draw >= line)
            continue
        here = model.boolean()
        chosen.append(here)
        model.cp.add(run * draw >= line).only_enforce_if(here)
        model.cp.add(use.expression >= start).only_enforce_if(here)
        model.cp.add(use.expression <= end).only_enforce_if(here)
    if not convex:
        model.cp.add(sum(chosen) == on)


def _parts(power: Curve, most: int) -> list[tuple[int, int, int, int, int]]:
    """Pieces of a curve up to `most`: (start, milliwatts there, rise, run, end); flat after the last point."""
    points = list(zip(power.at, power.milliwatts, strict=True))
    parts = [
        (x, y, next_y - y, next_x - x, next_x) for (x, y), (next_x, next_y) in pairwise(points) if x < most or x == 0
    ]
    if most > points[-1][0] or not parts:
        parts.append((points[-1][0], points[-1][1], 0, 1, max(most, points[-1][0])))
    return parts
