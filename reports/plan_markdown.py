"""A plan as Markdown, for a ticket or a change request."""

from __future__ import annotations

from cluster.plan import Plan
from reports import plan_words, units


def plan_markdown(plan: Plan) -> str:
    """Return a plan as a Markdown document, from the plan alone."""
    lines = [
        f"# Plan {_safe(plan.id)}",
        "",
        f"**{plan_words.status(plan)}.** {_safe(plan.why)}",
        "",
        f"Policy {_safe(plan.policy)}, level {plan.level}, seed {plan.seed}, snapshot {_safe(plan.snapshot)}. "
        f"Made {units.moment(plan.made_at)}, good until {units.moment(plan.expires_at)}.",
        "",
    ]
    if plan.blamed:
        lines += ["Cannot hold: " + ", ".join(_safe(one) for one in plan.blamed), ""]
    lines += ["## Now", "", *(f"- {line}" for line in plan_words.wrong_now(plan)), ""]
    if plan.steps:
        lines += [f"## Steps: {plan_words.totals(plan)}", ""]
        if said := plan_words.common_note(plan):
            lines += [f"All estimates: {_safe(said)}.", ""]
        lines += ["| step | what | where | cost | share of gain | after | why |", "| --- " * 7 + "|"]
        for words in (plan_words.step(step, said) for step in plan.steps):
            cells = (words.id, words.what, words.way, words.cost, words.gain, words.after, words.reason)
            lines.append("| " + " | ".join(_safe(cell) for cell in cells) + " |")
        lines += ["", "## Before and after", "", "| | before | after |", "| --- | ---: | ---: |"]
        lines += [f"| {name} | {before} | {after} |" for name, before, after in plan_words.figures(plan)]
        lines.append("")
        if energy := plan_words.energy(plan):
            lines += [f"Power: {_safe(energy)}.", ""]
    lines += ["## Goals, in order", "", *(f"- {_safe(goal.tier)}: {plan_words.goal(goal)}" for goal in plan.goals), ""]
    if plan.not_moved:
        lines += ["## Not moved", ""]
        lines += [f"- `{code}`: {_safe(text)}" for code, text in plan_words.not_moved(plan, len(plan.not_moved))[0]]
        lines.append("")
    return "\n".join(lines)


def _safe(text: str) -> str:
    """Text that stays in its table cell and is no markup."""
    escaped = units.plain(text)
    for char in "\\`*_|<>[]":
        escaped = escaped.replace(char, "\\" + char)
    return escaped
