"""Lowers `near`: within the cells of another group."""

from __future__ import annotations

from cluster.problem import WithinCellsOf
from cluster.rules import Near
from cluster.snapshot import Snapshot
from policies.rules import select


def lower(rule: Near, snapshot: Snapshot) -> WithinCellsOf:
    """Return the rule as a form over the snapshot's guests and hosts."""
    return WithinCellsOf(
        rule=rule.title,
        enforcement=rule.enforcement,
        weight=rule.weight,
        guests=select.guests(snapshot, rule.guests),
        to=select.guests(snapshot, rule.to),
        cell_of_host=select.cells(snapshot, rule.domain),
    )
