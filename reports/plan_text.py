"""A plan as text for a terminal: what is wrong, what would be done in which order and why, what it costs and brings."""

from __future__ import annotations

import textwrap

from cluster.plan import Plan
from reports import plan_words, units

WIDTH = 100
MOST_NOT_MOVED = 12


def plan_text(plan: Plan) -> str:
    """Return a plan as lines of at most 100 columns, from the plan alone: a saved one renders the same."""
    lines = [
        f"Plan {plan.id}: {plan_words.status(plan)}",
        *_wrap(units.plain(plan.why), "  "),
        f"  policy {plan.policy}, level {plan.level}, seed {plan.seed}; snapshot {units.fit(plan.snapshot, 40)}",
        f"  made {units.moment(plan.made_at)}, good until {units.moment(plan.expires_at)}",
    ]
    if plan.blamed:
        lines += _wrap("cannot hold: " + units.plain(", ".join(plan.blamed)), "  ")
    lines += ["", "Now", *(f"  {line}" for line in plan_words.wrong_now(plan))]
    if plan.steps:
        lines += ["", *_wrap(f"Steps: {plan_words.totals(plan)}", "", "  "), *_steps(plan)]
        lines += ["", *_figures(plan), *_wrap(plan_words.energy(plan), "  ")]
    if plan.goals:
        lines += ["", "Goals, in order"]
        width = max(len(goal.tier) for goal in plan.goals)
        for goal in plan.goals:
            lines += _wrap(f"{goal.tier:<{width}}  {plan_words.goal(goal)}", "  ", " " * (width + 4))
    shown, more = plan_words.not_moved(plan, MOST_NOT_MOVED)
    if shown:
        lines += ["", f"Not moved: {units.count(len(plan.not_moved), 'guest')}"]
        for code, text in shown:
            lines += _wrap(f"{code}: {text}", "  ", "    ")
        if more:
            lines.append(f"  and {more} more (all of them with --json)")
    lines += ["", f"Worked out in {units.duration(plan.solve_s) if plan.solve_s >= 0.05 else 'under 0.1 s'}."]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _steps(plan: Plan) -> list[str]:
    said = plan_words.common_note(plan)
    words = [plan_words.step(step, said) for step in plan.steps]
    ids = min(8, max(len(one.id) for one in words))
    what = min(30, max(len(one.what) for one in words))
    way = min(30, max(len(one.way) for one in words))
    lines = _wrap(f"all estimates: {said}", "  ") if said else []
    for one in words:
        name = f"{units.fit(one.what, what):<{what}}  {_fit_way(one.way, way):<{way}}"
        lines.append(units.fit(f"  {units.fit(one.id, ids):<{ids}}  {name}  {one.cost}".rstrip(), WIDTH))
        why = one.reason
        if one.gain:
            why += f"; {one.gain} of the gain"
        if one.after:
            why += f"; after {one.after}"
        lines += _wrap(why, " " * (ids + 4))
    return lines


def _fit_way(way: str, width: int) -> str:
    source, arrow, target = way.partition(" -> ")
    if not arrow or len(way) <= width:
        return units.fit(way, width)
    each = (width - len(arrow)) // 2
    return units.fit(source, each) + arrow + units.fit(target, each)


def _figures(plan: Plan) -> list[str]:
    rows = [("", "before", "after"), *plan_words.figures(plan)]
    return [f"  {name:<26}{before:>10}  {after:>10}" for name, before, after in rows]


def _wrap(text: str, first: str, rest: str | None = None) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=first if rest is None else rest)
