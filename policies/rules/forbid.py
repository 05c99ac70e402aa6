"""Lowers `forbid`: a mask of all other hosts."""

from __future__ import annotations

from cluster.problem import HostMask
from cluster.rules import Forbid
from cluster.snapshot import Snapshot
from policies.rules import select


def lower(rule: Forbid, snapshot: Snapshot) -> HostMask:
    """Return the rule as a form over the snapshot's guests and hosts."""
    return HostMask(
        rule=rule.title,
        enforcement=rule.enforcement,
        weight=rule.weight,
        guests=select.guests(snapshot, rule.guests),
        hosts=frozenset(snapshot.host_by_id) - select.hosts(snapshot, rule.hosts),
    )
