"""Full hosts that no move relieves although the sums say that there is room: one host more is woken. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from cluster.plan import Plan

if TYPE_CHECKING:
    from scheduler.energy.advice import Advice

LITTLE = 1e-6


def is_short_of_room(plan: Plan, max_moves: int) -> bool:
    """Tell whether a consolidation leaves hosts too full, and not because it may not move more."""
    if not plan.goals or len(plan.migrations) >= max_moves:
        return False
    return plan.goals[0].after - plan.after.broken_rules > LITTLE


def with_one_more(advise: Callable[[], Advice | None]) -> Advice | None:
    """Return the advice with the first of the spare hosts to be woken, where none is woken anyway."""
    advice = advise()
    if advice is None or advice.wake or not advice.spare or not advice.is_night:
        return advice
    woken = ((advice.spare[0], "the hosts that are awake have no room for what their fullest are to give away"),)
    return replace(advice, wake=woken, sleepers=0)
