"""Lowers `anti_affinity`: at most one of the guests per cell."""

from __future__ import annotations

from cluster.problem import ApartInCells
from cluster.rules import AntiAffinity
from cluster.snapshot import Snapshot
from policies.rules import select


def lower(rule: AntiAffinity, snapshot: Snapshot) -> ApartInCells:
    """Return the rule as a form over the snapshot's guests and hosts."""
    return ApartInCells(
        rule=rule.title,
        enforcement=rule.enforcement,
        weight=rule.weight,
        guests=select.guests(snapshot, rule.guests),
        cell_of_host=select.cells(snapshot, rule.domain),
    )
