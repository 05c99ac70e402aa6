"""Past plans and what sleeping was worth, as text: a plan in two or three lines, a day's energy in one."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from reports import units

WIDTH = 100
MOST_PLANS = 20
_HOWS = (
    "Saved is against the same load with every host on that Trimtab let sleep, waking and moving taken off; metered "
    "is the part of it that the hosts' own meters stand behind, the rest is by their configured or assumed curves."
)


def history_text(history: Mapping[str, Any]) -> str:
    """Return the history that `trimtab history` makes as lines of at most 100 columns."""
    plans: Sequence[Mapping[str, Any]] = history["plans"]
    lines = [f"Plans of the last {units.count(history['days'], 'day')}: {len(plans) or 'none'}"]
    for plan in plans[:MOST_PLANS]:
        lines += _plan(plan)
    if len(plans) > MOST_PLANS:
        lines.append(f"  and {len(plans) - MOST_PLANS} before these (all of them with --json)")
    if sum(plan["measured"]["moves_done"] > 0 for plan in plans) > 1:
        lines += ["", *_wrap(f"Together {_measured(history['measured'])}", "", "  ")]
    lines += ["", *_energy(history["energy"])]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _plan(plan: Mapping[str, Any]) -> list[str]:
    made = units.moment(datetime.fromisoformat(plan["made_at"]))
    counts: Mapping[str, int] = plan["steps"]
    steps = ", ".join(f"{number} {state}" for state, number in counts.items()) or "no steps"
    lines = ["", f"  {units.plain(plan['id'])}  {made}  {units.plain(plan['policy'])}, {plan['state']}: {steps}"]
    lines += _wrap(units.plain(plan["why"]), "    ", "    ") if plan["why"] else []
    if plan["ended"] and set(counts) - {"done"}:
        lines += _wrap(units.plain(plan["ended"]), "    ", "    ")
    parts = []
    if plan["measured"]["moves_done"]:
        parts.append(_measured(plan["measured"]))
    if plan["took_s"] is not None:
        parts.append(f"all of it {units.duration(plan['took_s'])} (predicted {units.duration(plan['planned_s'])})")
    if plan["slept"]:
        parts.append(f"put to sleep: {units.plain(', '.join(plan['slept']))}")
    if plan["woken"]:
        parts.append(f"woken: {units.plain(', '.join(plan['woken']))}")
    if plan["kept_ratio"] is not None:
        parts.append(f"kept {units.percent(max(0.0, plan['kept_ratio']))} of the gain it promised")
    return [*lines, *_wrap("; ".join(parts), "    ", "    ")]


def _measured(sums: Mapping[str, Any]) -> str:
    moves = units.count(sums["moves_done"], "move")
    parts = []
    if sums["mib"]:
        parts.append(f"{units.size(sums['mib'])} (predicted {units.size(sums['predicted_mib'])}{_off(sums, 'mib')})")
    if sums["seconds"]:
        took, said = units.duration(sums["seconds"]), units.duration(sums["predicted_s"])
        parts.append(f"{took} of moving (predicted {said}{_off(sums, 's')})")
    return f"{moves}: {' in '.join(parts)}" if parts else f"{moves}, unmeasured"


def _off(sums: Mapping[str, Any], unit: str) -> str:
    error = sums[f"typical_{unit}_error"]
    if error is None or sums["moves_done"] < 2:
        return ""
    return f", typically {units.percent(abs(error))} {'less' if error < 0 else 'more'}" if abs(error) >= 0.0005 else ""


def _energy(energy: Mapping[str, Any]) -> list[str]:
    days: Sequence[Mapping[str, Any]] = energy["days"]
    if not days:
        return ["Energy: nothing is known of these days; the daemon adds it up while it leads"]
    money = f"{units.plain(energy['currency'])} saved" if energy["currency"] else ""
    head = f"{'Energy':<12}{'seen':>8}{'used':>12}{'all on':>12}{'saved':>12}{'at night':>12}{'metered':>10}"
    lines = [f"{head}  {money:>14}" if money else head]
    rows = [(day["day"], day, day["night"]["saved_kwh"]) for day in days]
    if len(days) > 1:
        rows.append(("together", energy["total"], sum(day["night"]["saved_kwh"] for day in days)))
    for name, one, night in rows:
        line = (
            f"{name:<12}{one['seen_h']:>6.1f} h{units.kwh(one['used_kwh']):>12}{units.kwh(one['with_all_on_kwh']):>12}"
            f"{units.kwh(one['saved_kwh']):>12}{units.kwh(night):>12}{_metered(one):>10}"
        )
        lines.append(f"{line}  {one['money_saved']:>14.2f}" if money else line)
    return [*lines, *_wrap(_HOWS, "  ", "  ")]


def _metered(one: Mapping[str, Any]) -> str:
    return units.percent(one["metered_ratio"]) if one["saved_kwh"] else "-"


def _wrap(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest)
