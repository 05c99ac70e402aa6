"""The one exact definition of what a placement is worth: integers, compared as tuples, smallest first.

Tiers in order, with units: broken hard rules (count), broken rules (count; hard and repair), overload (millionths of
a host's room), guests left on drained hosts (count), the goal (1e-12 or milliwatts, see `goal.py`), MiB moved, moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from cluster.problem import Problem
from cluster.rules import Enforcement
from scheduler.solver.forms import Bools, Index
from scheduler.solver.goal import PPM
from scheduler.solver.instance import Instance, build


class Value(NamedTuple):
    """Value of a placement in every tier, as integers."""

    hard: int
    broken: int
    overload: int
    left: int
    goal: int
    mib: int
    moves: int


TIERS = len(Value._fields)
HARD, BROKEN, OVERLOAD, LEFT, GOAL, MIB, MOVES = range(TIERS)


def evaluate(instance: Instance, place: Index, asleep: Bools | None = None) -> Value:
    """Return the value of a placement; `asleep` bool[hosts] are the hosts put to sleep, derived when not given."""
    goal = instance.goal
    hosts = np.arange(len(instance.host_ids))
    use = instance.use(place)
    moved = place != instance.home
    hard = broken = 0
    for form in instance.binding:
        count = form.broken(place)
        broken += count
        hard += count if form.enforcement is Enforcement.HARD else 0
    worth = int(goal.cost.at(hosts, use).sum()) + int(goal.price[moved].sum())
    for form, weight in zip(instance.soft, goal.soft_weights, strict=False):
        worth += weight * form.broken(place)
    if goal.sleep is not None:
        sleeping = goal.sleep.derive(place) if asleep is None else asleep
        worth += int((goal.sleep.asleep_milliwatts - goal.sleep.idle_milliwatts)[sleeping].sum()) + goal.sleep.constant
    return Value(
        hard=hard,
        broken=broken,
        overload=int(instance.overload(hosts, use).sum()),
        left=int(goal.drained[place].sum()),
        goal=worth,
        mib=int(instance.mib[moved].sum()),
        moves=int(moved.sum()),
    )


def why_not_valid(instance: Instance, place: Index, asleep: Bools | None = None) -> str | None:
    """Say which constraint a placement breaks (targets, capacity, head-room, rules made worse, caps), or `None`."""
    moved = np.flatnonzero(place != instance.home)
    position = {int(guest): i for i, guest in enumerate(instance.movable)}
    for guest in moved.tolist():
        if guest not in position or not instance.allowed[place[guest], position[guest]]:
            return f"{instance.guest_ids[guest]} may not go to {instance.host_ids[place[guest]]}"
    use = instance.use(place)
    received = np.zeros(len(instance.host_ids), dtype=np.bool_)
    received[place[moved]] = True
    most = np.where(received[:, None], instance.headroom, instance.cap)
    over = np.argwhere(use > most)
    if len(over):
        return f"over capacity: host {instance.host_ids[over[0][0]]}"
    for form in instance.binding:
        if form.broken(place) > form.broken(instance.home):
            return f"worse: {form.rule}"
    if len(moved) > instance.max_moves:
        return f"{len(moved)} moves; at most {instance.max_moves}"
    for cap in instance.move_caps:
        if np.isin(moved, cap.members).sum() > cap.at_most:
            return f"too many moves: {cap.rule}"
    sleep = instance.goal.sleep
    if sleep is None or asleep is None:
        return None
    if asleep[place].any() or (asleep & ~sleep.may).any() or not sleep.reserve_holds(asleep):
        return "a host may not sleep"
    return None


def tier_floats(instance: Instance, value: Value) -> dict[str, float]:
    """Return the tiers of a plan as floats: repair, [drain], the goal's own, moved_mib, moves."""
    tiers = {"repair": value.broken + value.overload / PPM}
    if instance.goal.drained.any() or instance.problem.policy == "drain":
        tiers["drain"] = float(value.left)
    if instance.goal.tier != "moved_mib":
        tiers[instance.goal.tier] = value.goal * instance.goal.scale
    return tiers | {"moved_mib": float(value.mib), "moves": float(value.moves)}


class Objective:
    """Values of many placements of one problem: builds the arrays once, so that each call is cheap."""

    def __init__(self, problem: Problem) -> None:
        self._instance = build(problem)

    def __call__(self, placement: Mapping[str, str]) -> Value:
        """Return the value of a placement by ids; guests not named stay where they are."""
        return evaluate(self._instance, self._instance.place_of(placement))

    def is_valid(self, placement: Mapping[str, str]) -> bool:
        """Tell whether a placement by ids breaks no constraint."""
        return why_not_valid(self._instance, self._instance.place_of(placement)) is None

    def asleep(self, placement: Mapping[str, str]) -> tuple[str, ...]:
        """Return the hosts that sleep in a placement by ids, as its value counts them."""
        sleep = self._instance.goal.sleep
        if sleep is None:
            return ()
        asleep = sleep.derive(self._instance.place_of(placement))
        return tuple(host for host, sleeps in zip(self._instance.host_ids, asleep.tolist(), strict=True) if sleeps)

    def floats(self, placement: Mapping[str, str]) -> dict[str, float]:
        """Return the tiers of a plan by name, as `tier_floats` has them."""
        return tier_floats(self._instance, self(placement))


def objective(problem: Problem, placement: Mapping[str, str]) -> Value:
    """Return the value of one placement; for many of the same problem keep an `Objective`."""
    return Objective(problem)(placement)
