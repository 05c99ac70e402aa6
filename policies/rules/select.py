"""What a rule's selectors pick from a snapshot, sorted."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.rules import Selector
from cluster.snapshot import Snapshot


def guests(snapshot: Snapshot, selector: Selector) -> tuple[str, ...]:
    """Ids of the selected guests, sorted; guests on unplannable hosts count too."""
    return tuple(sorted(snapshot.guest_directory.select(selector)))


def hosts(snapshot: Snapshot, selector: Selector) -> frozenset[str]:
    """Ids of the selected hosts."""
    return frozenset(snapshot.host_directory.select(selector))


def cells(snapshot: Snapshot, domain: str) -> Mapping[str, str]:
    """Cell of `domain` that each host is in; one mapping for all rules over the same domain."""
    return snapshot.cells(domain)
