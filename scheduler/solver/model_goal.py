"""The goal as part of a CP-SAT model: each host term at the hosts touched, sleeping, prices of moves, soft forms."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from scheduler.solver.evaluate import GOAL
from scheduler.solver.goal import Crowd, PairPrice, SleepArrays
from scheduler.solver.linear import Linear
from scheduler.solver.terms import PPM, Curve, EvenUse, Flat, FreeSlots, SoftLimit, SpareRatio, Watts

if TYPE_CHECKING:
    from scheduler.solver.model import Model


def add_goal(model: Model) -> None:
    """Add the goal's tier, up to a constant."""
    goal, total = model.instance.goal, model.tiers[GOAL]
    if goal.sleep is not None:
        _add_sleep(model, goal.sleep)
    for term in goal.terms:
        add = _TERMS[type(term)]
        for host in model.touched:
            add(model, term, host)
    for item in model.of_item:
        total.join(model.moved(item), int(goal.price[item]))
    if goal.pair_price is not None:
        _add_pair_price(model, goal.pair_price)
    if goal.crowd is not None:
        _add_crowd(model, goal.crowd)
    soft = [number for number, form in enumerate(model.instance.forms) if not form.binding]
    for number, weight in zip(soft, goal.soft_weights, strict=False):
        if number in model.soft_broken:
            total.join(model.soft_broken[number], weight)


def _add_even_use(model: Model, cost: EvenUse, host: int) -> None:
    """Add (u - U)^2 of a host with u rounded to the nearest `coarse` millionth of its room."""
    steps, program = PPM // model.coarse, model.program
    for i, resource in enumerate(cost.columns):
        use, room = model.use[host][resource], int(cost.room[host, i])
        if not cost.counted[host, i] or not use.terms:
            continue
        mean = (2 * int(cost.mean[i]) + model.coarse) // (2 * model.coarse)
        ends = (program.least(use), program.most(use), program.at_start(use))
        least, most, now = ((2 * steps * amount + room) // (2 * room) - mean for amount in ends)
        if least == most:
            continue
        off = program.integer(least, most, now)
        # Nearest rounding: 2 room (off + mean) <= 2 steps use + room < 2 room (off + mean + 1).
        slack = use.scaled(2 * steps, room - 2 * room * mean)
        slack.add(off, -2 * room)
        program.keep(slack, 0, 2 * room - 1)
        model.tiers[GOAL].add(program.square(off), model.coarse * model.coarse)


def _add_flat(model: Model, cost: Flat, host: int) -> None:
    """Add nothing: what a host costs whatever its use is part of the constant."""


def _add_soft_limit(model: Model, cost: SoftLimit, host: int) -> None:
    for resource, use in enumerate(model.use[host]):
        weight = int(cost.weight[resource])
        if weight and use.terms:
            _add_positive(model, use.scaled(1, -int(cost.limit[host, resource])), weight)


def _add_spare_ratio(model: Model, cost: SpareRatio, host: int) -> None:
    first, second = cost.columns
    short = Linear(cost.target * int(cost.capacity[host, 0]) - int(cost.capacity[host, 1]))
    short.join(model.use[host][first], -cost.target).join(model.use[host][second])
    if cost.weight and short.terms:
        _add_positive(model, short, cost.weight)


def _add_positive(model: Model, expression: Linear, weight: int) -> None:
    """Add weight x max(0, expression), for weights that are not negative."""
    program, total = model.program, model.tiers[GOAL]
    most = program.most(expression)
    if most <= 0:
        return
    if program.least(expression) >= 0:
        total.join(expression, weight)
        return
    over = program.integer(0, most, max(0, program.at_start(expression)))
    program.keep(expression.scaled(-1).join(Linear(0, {over: 1})), least=0)
    total.add(over, weight)


def _add_free_slots(model: Model, cost: FreeSlots, host: int) -> None:
    program = model.program
    use = model.use[host][cost.column]
    free = use.scaled(-1, int(cost.capacity[host]))
    most = program.most(free) // cost.size
    if most <= 0 or not use.terms or max(0, program.least(free)) // cost.size == most:
        return
    slots = program.integer(0, most, max(0, program.at_start(free)) // cost.size)
    some: int | None = None
    if program.least(free) < 0:
        # A host over this capacity has no slots, not a negative number of them.
        some = program.boolean(program.start[slots] > 0)
        program.keep(Linear(0, {slots: 1, some: -most}), most=0)
    program.keep(free.join(Linear(0, {slots: -cost.size})), least=0, only_if=some)
    model.tiers[GOAL].add(slots, -cost.worth)


def _add_watts(model: Model, cost: Watts, host: int) -> None:
    """Add the milliwatts of a host, rounded up; asleep it draws what it does idle, which `_add_sleep` then replaces."""
    power, use = cost.curves[host], model.use[host][cost.column]
    if power is None or len(power.at) == 1 or not use.terms:
        return
    program, total = model.program, model.tiers[GOAL]
    on = model.on.get(host)
    idle = power.milliwatts[0]
    now = program.at_start(use)
    is_on = on is None or bool(program.start[on])
    whole = int(power.draw(np.array([now]))[0])
    draw = program.integer(min(0, *power.milliwatts), max(power.milliwatts), whole if is_on else 0)
    total.add(draw)
    if on is not None:
        total.join(Linear(idle, {on: -idle}))
    parts = _parts(power, program.most(use))
    convex = all(
        rise * run <= next_rise * next_run for (_, _, rise, next_run), (_, _, next_rise, run) in pairwise(parts)
    )
    chosen = Linear()
    for number, (start, milliwatts, rise, run) in enumerate(parts):
        # run x draw >= rise x (use - start) + run x milliwatts, the constants only while the host is on
        line = use.scaled(-rise).join(Linear(0, {draw: run}))
        least = run * milliwatts - rise * start
        if on is not None:
            line.add(on, -least)
            least = 0
        if convex:
            program.keep(line, least=least)
            continue
        end = parts[number + 1][0] if number + 1 < len(parts) else None
        here = program.boolean(is_on and start <= now and (end is None or now < end))
        chosen.add(here)
        program.keep(line, least=least, only_if=here)
        program.keep(use, least=start, most=end, only_if=here)
    if not convex:
        if on is not None:
            chosen.add(on, -1)
        program.keep(chosen, *((0, 0) if on is not None else (1, 1)))


def _parts(power: Curve, most: int) -> list[tuple[int, int, int, int]]:
    """Pieces of a curve up to `most`: (start, milliwatts there, rise, run); flat after the last point."""
    points = list(zip(power.at, power.milliwatts, strict=True))
    parts = [(x, y, next_y - y, next_x - x) for (x, y), (next_x, next_y) in pairwise(points) if x < most or x == 0]
    if most > points[-1][0]:
        parts.append((*points[-1], 0, 1))
    return parts


_TERMS: dict[type, Callable[[Model, Any, int], None]] = {
    EvenUse: _add_even_use,
    Watts: _add_watts,
    Flat: _add_flat,
    SoftLimit: _add_soft_limit,
    SpareRatio: _add_spare_ratio,
    FreeSlots: _add_free_slots,
}


def _add_sleep(model: Model, sleep: SleepArrays) -> None:
    """Add an on/off boolean for each host in reach that may sleep, and the reserve over the hosts that stay on."""
    program, total = model.program, model.tiers[GOAL]
    assert model.asleep is not None
    modes = model.instance.modes
    occupied = np.zeros(len(sleep.may), dtype=np.bool_)
    occupied[model.place[~model.free] // modes] = True
    kept_on = ~model.asleep
    enough = bool((sleep.offer.sum(axis=0) >= sleep.need).all())
    for host in model.hosts[sleep.may[model.hosts]].tolist():
        if occupied[host] or not enough:
            continue
        model.on[host] = on = program.boolean(not model.asleep[host])
        kept_on[host] = False
        change = int(sleep.asleep_cost[host] - sleep.idle_cost[host])
        total.join(Linear(change, {on: -change}))
        for _, variable in model.at_host.get(host, ()):
            program.needs(variable, on)
    for i in range(sleep.offer.shape[1] if model.on else 0):
        offered = Linear(int(sleep.offer[kept_on, i].sum()))
        for host, on in model.on.items():
            offered.add(on, int(sleep.offer[host, i]))
        if program.least(offered) < sleep.need[i]:
            program.keep(offered, least=int(sleep.need[i]))


def _add_pair_price(model: Model, pairs: PairPrice) -> None:
    instance, total = model.instance, model.tiers[GOAL]
    for item, row in model.of_item.items():
        source = int(instance.home[item]) // instance.modes
        if source == instance.outside:
            continue
        seats = [seat for seat in row if seat != instance.home[item]]
        hosts = np.array(seats, dtype=np.intp) // instance.modes
        for seat, price in zip(seats, pairs.of(np.full(len(seats), source), hosts).tolist(), strict=True):
            total.add(row[seat], price)


def _add_crowd(model: Model, crowd: Crowd) -> None:
    program = model.program
    moved = crowd.group[model.moved_at_start & ~model.free]
    fixed = np.bincount(moved[moved >= 0], minlength=1)
    groups: dict[int, Linear] = {}
    for guest in model.of_item:
        group = int(crowd.group[guest])
        if group >= 0:
            already = int(fixed[group]) if group < len(fixed) else 0
            groups.setdefault(group, Linear(already)).join(model.moved(guest))
    if not crowd.weight or not groups:
        return
    least = int(fixed.max())
    now = max(least, *(program.at_start(one) for one in groups.values()))
    most = program.integer(least, max(least, *(program.most(one) for one in groups.values())), now)
    for one in groups.values():
        if program.most(one) > least:
            program.keep(one.scaled(-1).join(Linear(0, {most: 1})), least=0)
    model.tiers[GOAL].add(most, crowd.weight)
