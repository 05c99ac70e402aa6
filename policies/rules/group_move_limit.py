"""Lowers `group_move_limit`: a limit on the moves of a group."""

from __future__ import annotations

from cluster.problem import MoveLimit
from cluster.rules import GroupMoveLimit
from cluster.snapshot import Snapshot
from policies.rules import select


def lower(rule: GroupMoveLimit, snapshot: Snapshot) -> MoveLimit:
    """Return the rule as a form over the snapshot's guests and hosts."""
    return MoveLimit(
        rule=rule.title,
        enforcement=rule.enforcement,
        weight=rule.weight,
        guests=select.guests(snapshot, rule.guests),
        at_most=rule.at_most,
    )
