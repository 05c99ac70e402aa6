"""The value of a placement added up guest by guest and host by host in plain Python, from the definitions alone.

It shares no arithmetic with the solver, whose every tier it must equal to the unit.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations, pairwise

from cluster.rules import Enforcement
from scheduler.solver.forms import Apart, ArrayForm, AtLeast, Bools, Index, Masked, Together
from scheduler.solver.instance import Instance
from scheduler.solver.terms import Curve, EvenUse, Flat, FreeSlots, HostTerm, SoftLimit, SpareRatio, Watts

MILLION = 1_000_000


def value_of(instance: Instance, place: Index, asleep: Bools | None) -> tuple[int, ...]:
    """Return the value in all seven tiers, with the hosts `asleep` as given."""
    hosts = [int(seat) // instance.modes for seat in place]
    homes = [int(seat) // instance.modes for seat in instance.home]
    moved = [g for g in range(instance.guests) if place[g] != instance.home[g] and homes[g] != instance.outside]
    use = [[0] * instance.cap.shape[1] for _ in range(instance.hosts)]
    for guest, seat in enumerate(place.tolist()):
        for resource, amount in enumerate(instance.demand[guest, seat % instance.modes].tolist()):
            use[hosts[guest]][resource] += amount
    hard = broken = soft = 0
    weights = list(instance.goal.soft_weights)
    for form in instance.forms:
        things = broken_of(form, hosts)
        if form.enforcement is Enforcement.SOFT:
            soft += weights.pop(0) * things
        else:
            broken += things
            hard += things if form.enforcement is Enforcement.HARD else 0
    left = sum(int(instance.goal.left_weight[g]) for g in range(instance.guests) if instance.goal.left[hosts[g]])
    mib = sum(int(instance.mib[g]) for g in moved)
    worth = soft + _hosts_cost(instance, use, asleep) + _moves_cost(instance, moved, hosts, homes)
    return hard, broken, _overload(instance, use), left, worth, mib, len(moved)


def broken_of(form: ArrayForm, hosts: list[int]) -> int:
    """Return what a form counts as broken, by the words of its rule."""
    cells = {int(guest): int(form.cell[hosts[guest]]) for guest in form.members}
    pairs = combinations(cells.values(), 2)
    if isinstance(form, Apart):
        return sum(one == other for one, other in pairs)
    if isinstance(form, Together):
        return sum(one != other for one, other in pairs)
    if isinstance(form, AtLeast):
        return max(0, form.at_least - len(set(cells.values()))) if cells else 0
    if isinstance(form, Masked):
        return sum(cell == 0 for cell in cells.values())
    # A dependant (0 or 2) wants a provider (1 or 2), other than itself, in its cell.
    kinds = dict(zip(form.members.tolist(), form.kinds.tolist(), strict=True))
    return sum(
        kinds[one] != 1 and not any(kinds[other] != 0 and cells[other] == cells[one] for other in cells if other != one)
        for one in cells
    )


def _overload(instance: Instance, use: list[list[int]]) -> int:
    total = 0
    for host in range(instance.hosts):
        for resource, amount in enumerate(use[host]):
            over = amount - int(instance.limit[host, resource])
            if over > 0 and instance.plannable[host]:
                room = max(1, int(instance.overload_room[host, resource]))
                total += _rounded_up(over * int(instance.overload_scale[resource]), room)
    return total


def _hosts_cost(instance: Instance, use: list[list[int]], asleep: Bools | None) -> int:
    sleep = instance.goal.sleep
    total = 0 if sleep is None else sleep.constant
    for host in range(instance.hosts):
        if sleep is not None and asleep is not None and asleep[host]:
            total += int(sleep.asleep_cost[host])
            # Whatever else an empty host costs beside what sleeping stands for.
            total += sum(cost_of(term, host, [0] * len(use[host])) for term in instance.goal.terms)
            total -= int(sleep.idle_cost[host])
        else:
            total += sum(cost_of(term, host, use[host]) for term in instance.goal.terms)
    return total


def cost_of(term: HostTerm, host: int, use: list[int]) -> int:
    """Return what a term charges a host for its use."""
    match term:
        case EvenUse():
            total = 0
            for i, column in enumerate(term.columns):
                if term.counted[host, i]:
                    room = int(term.room[host, i])
                    # The nearest millionth of the room, halves up.
                    total += ((MILLION * 2 * use[column] + room) // (2 * room) - int(term.mean[i])) ** 2
            return total
        case Watts():
            power = term.curves[host]
            return 0 if power is None else _milliwatts(power, use[term.column])
        case Flat():
            return int(term.cost[host])
        case SoftLimit():
            limits = zip(use, term.limit[host].tolist(), term.weight.tolist(), strict=True)
            return sum(weight * max(0, amount - limit) for amount, limit, weight in limits)
        case SpareRatio():
            first, second = (int(term.capacity[host, i]) - use[column] for i, column in enumerate(term.columns))
            return term.weight * max(0, term.target * first - second)
        case FreeSlots():
            return -term.worth * (max(0, int(term.capacity[host]) - use[term.column]) // term.size)
    raise TypeError(f"no such term is known: {term}")


def _milliwatts(power: Curve, load: int) -> int:
    """Straight between the points, rounded up; flat after the last."""
    points = list(zip(power.at, power.milliwatts, strict=True))
    for (x, y), (then_x, then_y) in pairwise(points):
        if load <= then_x:
            return y + _rounded_up((load - x) * (then_y - y), then_x - x)
    return points[-1][1]


def _moves_cost(instance: Instance, moved: list[int], hosts: list[int], homes: list[int]) -> int:
    goal = instance.goal
    total = sum(int(goal.price[guest]) for guest in moved)
    if goal.pair_price is not None:
        zone, price = goal.pair_price.zone, goal.pair_price.price
        total += sum(int(price[zone[homes[guest]], zone[hosts[guest]]]) for guest in moved)
    if goal.crowd is not None:
        crowds = Counter(int(goal.crowd.group[guest]) for guest in moved if goal.crowd.group[guest] >= 0)
        total += goal.crowd.weight * max(crowds.values(), default=0)
    return total


def _rounded_up(amount: int, by: int) -> int:
    return -(-amount // by)
