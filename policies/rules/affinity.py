"""Lowers `affinity`: all guests in one cell."""

from __future__ import annotations

from cluster.problem import TogetherInCell
from cluster.rules import Affinity
from cluster.snapshot import Snapshot
from policies.rules import select


def lower(rule: Affinity, snapshot: Snapshot) -> TogetherInCell:
    """Return the rule as a form over the snapshot's guests and hosts."""
    return TogetherInCell(
        rule=rule.title,
        enforcement=rule.enforcement,
        weight=rule.weight,
        guests=select.guests(snapshot, rule.guests),
        cell_of_host=select.cells(snapshot, rule.domain),
    )
