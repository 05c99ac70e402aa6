"""The solver's result as a `Proposal`: statuses, values with bounds and gaps, and the sentence for people."""

from __future__ import annotations

import math

from cluster.plan import Status, TierValue
from cluster.problem import Proposal
from scheduler.solver.evaluate import BROKEN, HARD, OVERLOAD, Value, tier_floats
from scheduler.solver.goal import PPM
from scheduler.solver.search import Search

UNITS = {"repair": 1 / PPM}
"""One unit of a tier in its plan's float, where it is not 1; the goal's own is its scale."""


def answer(search: Search, solve_s: float, blamed: tuple[str, ...] = ()) -> Proposal:
    """Return the proposal of a finished search.

    Hard rules that do not hold in the best placement make it infeasible: nothing is then proposed.
    """
    instance = search.instance
    if search.value.hard:
        search.give_up()
        why = f"{instance.problem.policy}: {_impossible(search, blamed)}"
        return _proposal(search, Status.INFEASIBLE, why, solve_s, blamed)
    if not search.changed:
        return _proposal(search, Status.NOTHING_TO_DO, _why_nothing(search), solve_s)
    status = Status.OPTIMAL if search.proven else Status.FEASIBLE
    return _proposal(search, status, _why_moves(search), solve_s)


def _proposal(search: Search, status: Status, why: str, solve_s: float, blamed: tuple[str, ...] = ()) -> Proposal:
    instance = search.instance
    sleeping = (
        ()
        if search.asleep is None
        else tuple(host for host, asleep in zip(instance.host_ids, search.asleep.tolist(), strict=True) if asleep)
    )
    return Proposal(
        status=status,
        why=why,
        placement=instance.placement_of(search.place),
        values=tier_values(search),
        asleep=sleeping,
        blamed=blamed,
        solve_s=solve_s,
    )


def tier_values(search: Search) -> tuple[TierValue, ...]:
    """Return value before and after, bound and gap of each tier of the problem."""
    instance = search.instance
    bounds = list(search.bounds)
    # Overload is bounded given the broken rules reached: with fewer of those it could be anything.
    if bounds[BROKEN] < search.value.broken:
        bounds[OVERLOAD] = 0
    before, after = tier_floats(instance, search.start), tier_floats(instance, search.value)
    bound = tier_floats(instance, Value(*bounds))
    units = UNITS | {instance.goal.tier: instance.goal.scale}
    values = []
    for tier in before:
        gap = _gap(before[tier], after[tier], bound[tier], units.get(tier, 1.0))
        values.append(TierValue(tier, before[tier], after[tier], min(bound[tier], after[tier]), gap))
    return tuple(values)


def _gap(before: float, after: float, bound: float, unit: float) -> float:
    return 0.0 if after <= bound else (after - bound) / max(before - bound, unit)


def _why_moves(search: Search) -> str:
    instance, start, value = search.instance, search.start, search.value
    parts: list[str] = []
    if start.broken or start.overload:
        parts.append(_repaired(start, value))
    if instance.goal.drained.any():
        parts.append(f"guests left on drained hosts {start.left} to {value.left}")
    if instance.goal.tier == "balance":
        before, after = search.imbalance(instance.home), search.imbalance(search.place)
        parts.append(f"imbalance (RMS) {_short(instance.goal.rms(before))} to {_short(instance.goal.rms(after))}")
    if instance.goal.tier == "consolidate":
        asleep = 0 if search.asleep is None else int(search.asleep.sum())
        scale = instance.goal.scale
        parts.append(f"{start.goal * scale:.0f} to {value.goal * scale:.0f} W, {_count(asleep, 'host')} to sleep")
    work = f"{_count(value.moves, 'move')}, {_gib(value.mib)} GiB" if value.moves else "no move"
    return f"{instance.problem.policy}: {'; '.join(parts) or 'improved'} with {work}; {_proof(search)}"


def _repaired(start: Value, value: Value) -> str:
    parts = []
    if start.broken:
        parts.append(f"broken rules {start.broken} to {value.broken}")
    if start.overload:
        parts.append(f"overload {_short(start.overload / PPM)} to {_short(value.overload / PPM)}")
    return ", ".join(parts)


def _broken(value: Value) -> str:
    parts = [f"broken rules {value.broken}"] if value.broken else []
    return ", ".join([*parts, *([f"overload {_short(value.overload / PPM)}"] if value.overload else [])])


def _proof(search: Search) -> str:
    if search.proven:
        return "proven optimal"
    values = [value for value in tier_values(search) if value.tier not in ("moved_mib", "moves")]
    gap = next((value.gap for value in values if value.gap > 0), 0.0)
    if not gap:
        return "proven optimal but for the memory moved"
    # Repair may cost more of the goal than there was to gain: a percentage of that says nothing.
    return f"proven within {max(1, math.ceil(gap * 100))} %" if gap < 1 else "not proven best"


def _why_nothing(search: Search) -> str:
    instance, value = search.instance, search.value
    policy = instance.problem.policy
    parts: list[str] = []
    if value.broken or value.overload:
        never = all(search.bounds[tier] >= search.value[tier] for tier in (HARD, BROKEN, OVERLOAD))
        parts.append(
            f"{_broken(value)}, {'which no allowed move mends' if never else 'and no move found that mends it'}"
        )
    if value.left:
        parts.append(f"{_count(value.left, 'guest')} cannot leave the drained hosts")
    if instance.goal.tier == "balance" and not len(instance.goal.hosts):
        parts.append("no host can take guests now")
    elif instance.goal.tier == "balance":
        rms, threshold = instance.goal.rms(search.imbalance(instance.home)), instance.goal.rms_threshold
        if search.resting:
            under = f"is under the threshold {threshold:g} of level {instance.problem.level}"
            parts.append(f"imbalance (RMS) {_short(rms)} {under}")
        else:
            parts.append(f"imbalance (RMS) {_short(rms)}; {_no_better(search)}")
    elif instance.goal.tier == "consolidate":
        parts.append(f"{value.goal * instance.goal.scale:.0f} W; {_no_better(search)}")
    if not parts:
        parts.append("nothing is broken and no host is over its limits")
    return f"{policy}: {'; '.join(parts)}"


def _no_better(search: Search) -> str:
    return "no allowed moves are worth their price" if search.proven else "no moves found that are worth their price"


def _impossible(search: Search, blamed: tuple[str, ...]) -> str:
    names = ", ".join(blamed)
    if names:
        return f"hard rules cannot hold; in the way: {names}"
    return "hard rules do not hold, and no placement was found in which they do"


def _short(figure: float) -> str:
    return f"{figure:.2g}" if figure < 0.1 else f"{figure:.2f}"


def _gib(mib: int) -> str:
    return f"{mib / 1024:.0f}" if mib >= 10 * 1024 else f"{mib / 1024:.1f}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
