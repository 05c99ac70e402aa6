"""A bound of every tier for a whole instance, put together from those of its parts."""

from __future__ import annotations

import numpy as np

from cluster.rules import Enforcement
from scheduler.solver.bounds.even_use import even_use_bound
from scheduler.solver.bounds.few_moves import can_bound, few_moves_bound
from scheduler.solver.bounds.host_terms import total_bound
from scheduler.solver.bounds.packing import most_saved
from scheduler.solver.bounds.reach import Reach
from scheduler.solver.bounds.slots import most_slots
from scheduler.solver.evaluate import Value
from scheduler.solver.forms import Masked
from scheduler.solver.instance import Instance
from scheduler.solver.terms import EvenUse, FreeSlots


def analytic(instance: Instance, none_left: bool = False) -> Value:
    """Return a bound of each tier for every valid placement; with `none_left` for those that leave no guest."""
    reach = Reach(instance, none_left)
    stuck = reach.stuck
    broken = hard = 0
    for form in instance.binding:
        if isinstance(form, Masked):
            cells = form.cell[instance.host_of(instance.home[form.members])]
            certain = int((stuck[form.members] & (cells == 0)).sum())
            broken += certain
            hard += certain if form.enforcement is Enforcement.HARD else 0
    overload = int(instance.overload(np.arange(instance.hosts), reach.fixed).sum())
    held = stuck & instance.goal.left[instance.host_of(instance.home)]
    left = int(instance.goal.left_weight[held].sum())
    return Value(hard, broken, overload, left, _goal(reach), 0, 0)


def _goal(reach: Reach) -> int:
    """Bound of the goal: that of each term, or of few moves from the start for those terms where that is more.

    Soft forms, crowds and prices between hosts add nothing less than 0; what moves cost is counted once, with the
    first term that knows what they can gain.
    """
    goal = reach.instance.goal
    together = [term for term in goal.terms if can_bound(term)]
    slots = [term for term in goal.terms if isinstance(term, FreeSlots)]
    singly = sum(total_bound(reach, term) for term in together)
    bound = max(singly, few_moves_bound(reach, together, True)) if together else 0
    priced = not together
    for term in goal.terms:
        if isinstance(term, EvenUse):
            bound += even_use_bound(reach, term, priced)
            priced = False
        elif not can_bound(term) and not isinstance(term, FreeSlots):
            bound += total_bound(reach, term)
    for kind in sorted({(term.size, term.worth) for term in slots}):
        bound -= kind[1] * most_slots(reach, [term for term in slots if (term.size, term.worth) == kind])
    if goal.sleep is not None:
        bound += goal.sleep.constant - most_saved(reach, goal.sleep)
    return bound + _below_nothing(reach)


def _below_nothing(reach: Reach) -> int:
    """What prices under 0 can give back at most."""
    instance = reach.instance
    goal = instance.goal
    price = goal.price[instance.movable]
    if goal.pair_price is not None:
        price = price + min(0, int(goal.pair_price.price.min(initial=0)))
    return int(np.minimum(0, price).sum())
