"""How each goal of a problem becomes integer arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from cluster.host import PowerState
from cluster.limits import Resource
from cluster.problem import BalanceGoal, ConsolidateGoal, DrainGoal, Problem, RepairGoal
from scheduler.solver.forms import ArrayForm, Bools, Index, Ints
from scheduler.solver.goal import GoalArrays, SleepArrays
from scheduler.solver.terms import PPM, Curve, EvenUse, Watts, curve

CPU, MEMORY = (tuple(Resource).index(one) for one in (Resource.CPU, Resource.MEMORY))
MILLI = 1000


def lower_goal(
    problem: Problem,
    host_index: Mapping[str, int],
    forms: Iterable[ArrayForm],
    home: Index,
    demand: Ints,
    room: Ints,
    limit: Ints,
    use: Ints,
    mib: Ints,
) -> GoalArrays:
    """Return a problem's goal over indices. Arrays as in `Instance`; `use` is that of the start."""
    soft = [form for form in forms if not form.binding]
    match problem.goal:
        case RepairGoal():
            # Without a goal of its own the price stands for the tier of memory moved.
            return GoalArrays(
                terms=(),
                price=np.zeros_like(mib),
                left=_mask(host_index, ()),
                left_weight=np.ones_like(mib),
                tier="moved_mib",
            )
        case BalanceGoal() as goal:
            return _balance("balance", goal, (), host_index, soft, home, demand, room, use, mib)
        case DrainGoal() as goal:
            return _balance("balance", goal.balance, goal.drained, host_index, soft, home, demand, room, use, mib)
        case ConsolidateGoal() as goal:
            return _consolidate(problem, goal, host_index, soft, home, room, limit, use, mib)


def _mask(host_index: Mapping[str, int], hosts: Iterable[str]) -> Bools:
    mask = np.zeros(len(host_index), dtype=np.bool_)
    mask[[host_index[host] for host in hosts]] = True
    return mask


def _balance(
    tier: str,
    goal: BalanceGoal,
    drained: tuple[str, ...],
    host_index: Mapping[str, int],
    soft: list[ArrayForm],
    home: Index,
    demand: Ints,
    room: Ints,
    use: Ints,
    mib: Ints,
) -> GoalArrays:
    columns = (CPU, MEMORY)
    counted_hosts, emptied = _mask(host_index, goal.hosts), _mask(host_index, goal.emptied)
    total = demand[counted_hosts[home] | emptied[home]][:, columns].sum(axis=0)
    whole = room[counted_hosts][:, columns].sum(axis=0)
    mean = np.where(whole > 0, (2 * PPM * total + whole) // np.maximum(1, 2 * whole), 0)
    cost = EvenUse(
        columns=columns,
        room=np.maximum(1, room[:, columns]),
        counted=counted_hosts[:, None] & (room[:, columns] > 0),
        mean=mean,
    )
    hosts = np.flatnonzero(counted_hosts)
    start = int(cost.at(hosts, use[hosts]).sum())
    price = _shares(round(goal.price * MILLI) * start, mib, MILLI * int(mib.sum()))
    return GoalArrays(
        tier=tier,
        scale=1 / (PPM * PPM),
        terms=(cost,),
        price=price,
        left=_mask(host_index, drained),
        left_weight=np.ones_like(mib),
        soft_weights=_soft_weights(soft, start),
        rms_threshold=goal.rms_threshold,
        hosts=hosts,
    )


def _consolidate(
    problem: Problem,
    goal: ConsolidateGoal,
    host_index: Mapping[str, int],
    soft: list[ArrayForm],
    home: Index,
    room: Ints,
    limit: Ints,
    use: Ints,
    mib: Ints,
) -> GoalArrays:
    curves: list[Curve | None] = [None] * len(host_index)
    asleep = np.zeros(len(host_index), dtype=np.int64)
    idle = np.zeros(len(host_index), dtype=np.int64)
    may = _mask(host_index, goal.may_sleep)
    # What never moves keeps its host on; guests on hosts that may not be planned are never movable.
    fixed = {problem.snapshot.guest_by_id[guest].host for guest in problem.why_fixed}
    may[[host_index[host] for host in fixed if host in host_index]] = False
    for host_id in goal.hosts:
        host, i = problem.snapshot.host_by_id[host_id], host_index[host_id]
        curves[i] = power = curve(host, int(room[i, CPU]))
        idle[i] = power.milliwatts[0]
        over = (host.power.sleep_s + host.power.wake_s) / goal.horizon_s
        asleep[i] = round(host.power.sleep_watts * MILLI) + round(power.milliwatts[0] * over)
    counted = _mask(host_index, goal.hosts)
    takes = _mask(host_index, problem.targets)
    offer, need = _kept_awake(problem, goal, takes, limit, use)
    asleep_now = sum(
        round(host.power.sleep_watts * MILLI)
        for host in problem.snapshot.hosts
        if host.power.state is PowerState.ASLEEP and host.reachable
    )
    cost = Watts(CPU, tuple(curves))
    hosts = np.flatnonzero(counted)
    before = int(cost.at(hosts, use[hosts]).sum()) + asleep_now
    joules_per_gib = round(goal.move_joules_per_gib * MILLI)
    return GoalArrays(
        tier="consolidate",
        scale=1 / MILLI,
        terms=(cost,),
        price=_shares(joules_per_gib, mib, max(1, round(1024 * goal.horizon_s))),
        left=_mask(host_index, ()),
        left_weight=np.ones_like(mib),
        soft_weights=_soft_weights(soft, before),
        sleep=SleepArrays(
            may=may,
            asleep_cost=asleep,
            idle_cost=idle,
            offer=offer,
            need=need,
            constant=asleep_now,
        ),
        hosts=hosts,
    )


def cpu_column(limit: Ints) -> int:
    """Return the column that head-room of CPU is kept in: that of planned use, which comes last, or use."""
    return len(Resource) if limit.shape[1] > len(Resource) else CPU


def _kept_awake(problem: Problem, goal: ConsolidateGoal, takes: Bools, limit: Ints, use: Ints) -> tuple[Ints, Ints]:
    """Return what each host offers, int64[hosts, k], and what those that stay on must offer together, int64[k].

    CPU and memory with head-room, for all guests and the reserve; then their whole limits, for all guests and for what
    may be lost; then the host itself, for the number that stays on.
    """
    held = use[takes][:, [cpu_column(limit), MEMORY]].sum(axis=0)
    # The column of planned use is limited by what calls for relief; hosts offer what CPU's own limit leaves.
    whole = limit[:, [CPU, MEMORY]]
    spare = whole * round((1 - goal.headroom_ratio) * PPM) // PPM
    reserve = np.sort(spare[takes], axis=0)[::-1][: max(0, goal.reserve_hosts)].sum(axis=0)
    together = held if goal.total_millicores is None else np.minimum(held, [goal.total_millicores, held[1]])
    offers, needs = [spare], [np.maximum(held, together + reserve)]
    lost = _most_lost(problem, goal, takes, whole)
    if lost.any():
        offers, needs = [*offers, whole], [*needs, np.maximum(held, together + lost)]
    if goal.awake_at_least:
        offers = [*offers, np.ones((len(takes), 1), dtype=np.int64)]
        needs = [*needs, np.array([goal.awake_at_least], dtype=np.int64)]
    return np.where(takes[:, None], np.concatenate(offers, axis=1), 0), np.concatenate(needs)


def _most_lost(problem: Problem, goal: ConsolidateGoal, takes: Bools, whole: Ints) -> Ints:
    """Return the most of each column that goes with the hosts that may be lost together, int64[columns]."""
    if not goal.lost_domain:
        return np.asarray(np.sort(whole[takes], axis=0)[::-1][: goal.host_losses].sum(axis=0), dtype=np.int64)
    cells = problem.snapshot.cells(goal.lost_domain)
    names = [cells[host] for host in sorted(cells)]
    sums = [whole[takes & np.array([one == name for one in names])].sum(axis=0) for name in sorted(set(names))]
    return np.asarray(np.max(sums, axis=0, initial=0), dtype=np.int64)


def _shares(whole: int, mib: Ints, per: int) -> Ints:
    """`whole` x mib / per for each guest, rounded to the nearest integer, in exact integers."""
    per = max(1, per)
    return np.array([(2 * whole * int(one) + per) // (2 * per) for one in mib], dtype=np.int64)


def _soft_weights(soft: list[ArrayForm], before: int) -> tuple[int, ...]:
    """Integer weight of one broken thing of each soft form: weight x value before / selected guests, at least 1."""
    unit = max(1, before)
    return tuple(max(1, round(form.weight * unit / max(1, form.selected))) if form.weight > 0 else 0 for form in soft)
