"""The solver's result as a `Proposal`: statuses, values with bounds and gaps, and the sentence for people."""

from __future__ import annotations

import math

from cluster.plan import Status, TierValue
from cluster.problem import Proposal
from scheduler.solver.evaluate import BROKEN, HARD, OVERLOAD, Value
from scheduler.solver.lower import Case
from scheduler.solver.search import Search
from scheduler.solver.terms import PPM
from scheduler.solver.worth import tier_floats

UNITS = {"repair": 1 / PPM}
"""One unit of a tier in its plan's float, where it is not 1; the goal's own is its scale."""


def answer(case: Case, search: Search, solve_s: float, blamed: tuple[str, ...] = ()) -> Proposal:
    """Return the proposal of a finished search.

    Hard rules that do not hold in the best placement make it infeasible: nothing is then proposed.
    """
    if search.value.hard:
        search.give_up()
        why = f"{case.problem.policy}: {_impossible(blamed)}"
        return _proposal(case, search, Status.INFEASIBLE, why, solve_s, blamed)
    if not search.changed:
        return _proposal(case, search, Status.NOTHING_TO_DO, _why_nothing(case, search), solve_s)
    status = Status.OPTIMAL if search.proven else Status.FEASIBLE
    return _proposal(case, search, status, _why_moves(case, search), solve_s)


def _proposal(
    case: Case, search: Search, status: Status, why: str, solve_s: float, blamed: tuple[str, ...] = ()
) -> Proposal:
    sleeping = (
        ()
        if search.asleep is None
        else tuple(host for host, asleep in zip(case.host_ids, search.asleep.tolist(), strict=True) if asleep)
    )
    return Proposal(
        status=status,
        why=why,
        placement=case.placement_of(search.place),
        values=tier_values(case, search),
        asleep=sleeping,
        blamed=blamed,
        solve_s=solve_s,
    )


def tier_values(case: Case, search: Search) -> tuple[TierValue, ...]:
    """Return value before and after, bound and gap of each tier of the problem."""
    bounds = list(search.bounds)
    # Overload is bounded given the broken rules reached: with fewer of those it could be anything.
    if bounds[BROKEN] < search.value.broken:
        bounds[OVERLOAD] = 0
    before, after = tier_floats(case, search.start), tier_floats(case, search.value)
    bound = tier_floats(case, Value(*bounds))
    goal = search.instance.goal
    units = UNITS | {goal.tier: goal.scale}
    values = []
    for tier in before:
        gap = _gap(before[tier], after[tier], bound[tier], units.get(tier, 1.0))
        values.append(TierValue(tier, before[tier], after[tier], min(bound[tier], after[tier]), gap))
    return tuple(values)


def _gap(before: float, after: float, bound: float, unit: float) -> float:
    return 0.0 if after <= bound else (after - bound) / max(before - bound, unit)


def _why_moves(case: Case, search: Search) -> str:
    goal, start, value = search.instance.goal, search.start, search.value
    parts: list[str] = []
    if start.broken or start.overload:
        parts.append(_repaired(start, value))
    if goal.left.any():
        parts.append(f"guests left on drained hosts {start.left} to {value.left}")
    if goal.tier == "balance":
        before, after = search.imbalance(search.instance.home), search.imbalance(search.place)
        parts.append(f"imbalance (RMS) {_short(goal.rms(before))} to {_short(goal.rms(after))}")
    if goal.tier == "consolidate":
        asleep = 0 if search.asleep is None else int(search.asleep.sum())
        scale = goal.scale
        parts.append(f"{start.goal * scale:.0f} to {value.goal * scale:.0f} W, {_count(asleep, 'host')} to sleep")
    work = f"{_count(value.moves, 'move')}, {_gib(value.mib)} GiB" if value.moves else "no move"
    return f"{case.problem.policy}: {'; '.join(parts) or 'improved'} with {work}; {_proof(case, search)}"


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


def _proof(case: Case, search: Search) -> str:
    if search.proven:
        return "proven optimal"
    values = [value for value in tier_values(case, search) if value.tier not in ("moved_mib", "moves")]
    gap = next((value.gap for value in values if value.gap > 0), 0.0)
    if not gap:
        return "proven optimal but for the memory moved"
    # Repair may cost more of the goal than there was to gain: a percentage of that says nothing.
    return f"proven within {max(1, math.ceil(gap * 100))} %" if gap < 1 else "not proven best"


def _why_nothing(case: Case, search: Search) -> str:
    goal, value = search.instance.goal, search.value
    parts: list[str] = []
    if value.broken or value.overload:
        never = all(search.bounds[tier] >= search.value[tier] for tier in (HARD, BROKEN, OVERLOAD))
        parts.append(
            f"{_broken(value)}, {'which no allowed move mends' if never else 'and no move found that mends it'}"
        )
    if value.left:
        parts.append(f"{_count(value.left, 'guest')} cannot leave the drained hosts")
    if goal.tier == "balance" and not len(goal.hosts):
        parts.append("no host can take guests now")
    elif goal.tier == "balance":
        rms, threshold = goal.rms(search.imbalance(search.instance.home)), goal.rms_threshold
        if search.resting:
            under = f"is under the threshold {threshold:g} of level {case.problem.level}"
            parts.append(f"imbalance (RMS) {_short(rms)} {under}")
        else:
            parts.append(f"imbalance (RMS) {_short(rms)}; {_no_better(search)}")
    elif goal.tier == "consolidate":
        parts.append(f"{value.goal * goal.scale:.0f} W; {_no_better(search)}")
    if not parts:
        parts.append("nothing is broken and no host is over its limits")
    return f"{case.problem.policy}: {'; '.join(parts)}"


def _no_better(search: Search) -> str:
    return "no allowed moves are worth their price" if search.proven else "no moves found that are worth their price"


def _impossible(blamed: tuple[str, ...]) -> str:
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
