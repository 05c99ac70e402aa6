"""Lowers `spread`: at least so many cells."""

from __future__ import annotations

from cluster.problem import AtLeastCells
from cluster.rules import Spread
from cluster.snapshot import Snapshot
from policies.rules import select


def lower(rule: Spread, snapshot: Snapshot) -> AtLeastCells:
    """Return the rule as a form over the snapshot's guests and hosts."""
    return AtLeastCells(
        rule=rule.title,
        enforcement=rule.enforcement,
        weight=rule.weight,
        guests=select.guests(snapshot, rule.guests),
        cell_of_host=select.cells(snapshot, rule.domain),
        at_least=rule.at_least,
    )
