"""The rule kinds and how each is lowered: one line a kind."""

from __future__ import annotations

from cluster.problem import Form
from cluster.rules import Affinity, AntiAffinity, Forbid, GroupMoveLimit, Ignore, Near, Pin, Rule, Spread
from cluster.snapshot import Snapshot
from policies.rules import affinity, anti_affinity, forbid, group_move_limit, near, pin, spread


def lower(rule: Rule, snapshot: Snapshot) -> Form | None:
    """Return the rule as a form, or `None` for `ignore`, which only says who may not move."""
    match rule:
        case AntiAffinity():
            return anti_affinity.lower(rule, snapshot)
        case Affinity():
            return affinity.lower(rule, snapshot)
        case Spread():
            return spread.lower(rule, snapshot)
        case Pin():
            return pin.lower(rule, snapshot)
        case Forbid():
            return forbid.lower(rule, snapshot)
        case Near():
            return near.lower(rule, snapshot)
        case GroupMoveLimit():
            return group_move_limit.lower(rule, snapshot)
        case Ignore():
            return None
