"""An instance with its hosts, guests and rules in another order: the same problem under other numbers."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np

from scheduler.solver.forms import ArrayForm, Index
from scheduler.solver.goal import GoalArrays
from scheduler.solver.instance import Instance
from scheduler.solver.terms import EvenUse, Flat, FreeSlots, HostTerm, SoftLimit, SpareRatio, Watts


def shuffled(instance: Instance, dice: Random) -> Instance:
    """Return an instance in which everything has another place, drawn by `dice`, and means the same."""
    hosts = _order(instance.hosts, dice)
    guests = _order(instance.guests, dice)
    host_now, guest_now = np.argsort(hosts), np.argsort(guests)
    movable = _order(len(instance.movable), dice)
    # The movable guests have to be in rising order.
    movable = movable[np.argsort(guest_now[instance.movable[movable]])]
    home = host_now[instance.home[guests] // instance.modes] * instance.modes + instance.home[guests] % instance.modes
    forms = [_form(form, hosts, guest_now) for form in instance.forms]
    order = _order(len(forms), dice)
    soft = iter(instance.goal.soft_weights)
    weights = [0 if form.binding else next(soft) for form in forms]
    by_host = ("capacity", "limit", "cap", "headroom", "overload_room", "plannable", "target")
    return replace(
        instance,
        **{name: getattr(instance, name)[hosts] for name in by_host},
        demand=instance.demand[guests],
        usable=instance.usable[guests],
        home=home,
        mib=instance.mib[guests],
        movable=guest_now[instance.movable[movable]],
        mask_of=instance.mask_of[movable],
        masks=instance.masks[:, hosts],
        forms=tuple(forms[i] for i in order),
        move_caps=tuple(replace(cap, members=np.sort(guest_now[cap.members])) for cap in instance.move_caps[::-1]),
        outside=-1 if instance.outside < 0 else int(host_now[instance.outside]),
        goal=_goal(instance.goal, hosts, guests, host_now, tuple(weights[i] for i in order if not forms[i].binding)),
    )


def _order(many: int, dice: Random) -> Index:
    return np.array(dice.sample(range(many), many), dtype=np.intp)


def _form(form: ArrayForm, hosts: Index, guest_now: Index) -> ArrayForm:
    members = guest_now[form.members]
    order = np.argsort(members)
    return replace(form, members=members[order], kinds=form.kinds[order], cell=form.cell[hosts])


def _goal(goal: GoalArrays, hosts: Index, guests: Index, host_now: Index, soft_weights: tuple[int, ...]) -> GoalArrays:
    pair, crowd, sleep = goal.pair_price, goal.crowd, goal.sleep
    return replace(
        goal,
        terms=tuple(_term(term, hosts) for term in goal.terms[::-1]),
        price=goal.price[guests],
        left=goal.left[hosts],
        left_weight=goal.left_weight[guests],
        soft_weights=soft_weights,
        pair_price=None if pair is None else replace(pair, zone=pair.zone[hosts]),
        crowd=None if crowd is None else replace(crowd, group=crowd.group[guests]),
        sleep=None
        if sleep is None
        else replace(
            sleep,
            may=sleep.may[hosts],
            asleep_cost=sleep.asleep_cost[hosts],
            idle_cost=sleep.idle_cost[hosts],
            offer=sleep.offer[hosts],
        ),
        hosts=np.sort(host_now[goal.hosts]),
    )


def _term(term: HostTerm, hosts: Index) -> HostTerm:
    match term:
        case EvenUse():
            return replace(term, room=term.room[hosts], counted=term.counted[hosts])
        case Watts():
            return Watts(term.column, tuple(term.curves[host] for host in hosts))
        case Flat():
            return Flat(term.cost[hosts])
        case SoftLimit():
            return replace(term, limit=term.limit[hosts])
        case SpareRatio() | FreeSlots():
            return replace(term, capacity=term.capacity[hosts])
    raise TypeError(f"no such term is known: {term}")
