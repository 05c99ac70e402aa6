"""Rules: what an operator wants kept. Their data; policies lower them, `scheduler/check.py` checks them."""

from cluster.rules.base import BaseRule, Enforcement
from cluster.rules.kinds import Affinity, AntiAffinity, Forbid, GroupMoveLimit, Ignore, Near, Pin, Rule, Spread
from cluster.rules.selector import Selector

__all__ = [
    "Affinity",
    "AntiAffinity",
    "BaseRule",
    "Enforcement",
    "Forbid",
    "GroupMoveLimit",
    "Ignore",
    "Near",
    "Pin",
    "Rule",
    "Selector",
    "Spread",
]
