"""Lowers `pin`: a mask of the selected hosts."""

from __future__ import annotations

from cluster.problem import HostMask
from cluster.rules import Pin
from cluster.snapshot import Snapshot
from policies.rules import select


def lower(rule: Pin, snapshot: Snapshot) -> HostMask:
    """Return the rule as a form over the snapshot's guests and hosts."""
    return HostMask(
        rule=rule.title,
        enforcement=rule.enforcement,
        weight=rule.weight,
        guests=select.guests(snapshot, rule.guests),
        hosts=select.hosts(snapshot, rule.hosts),
    )
