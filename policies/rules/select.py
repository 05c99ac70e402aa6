"""What a rule's selectors pick from a snapshot, sorted."""

from __future__ import annotations

from cluster.rules import Selector
from cluster.snapshot import Snapshot


def guests(snapshot: Snapshot, selector: Selector) -> tuple[str, ...]:
    """Ids of the selected guests, sorted; guests on unplannable hosts count too."""
    return tuple(sorted(guest.id for guest in snapshot.guests if selector.matches(guest)))


def hosts(snapshot: Snapshot, selector: Selector) -> frozenset[str]:
    """Ids of the selected hosts."""
    return frozenset(host.id for host in snapshot.hosts if selector.matches(host))


def cells(snapshot: Snapshot, domain: str) -> dict[str, str]:
    """Cell of `domain` that each host is in."""
    return {host.id: host.domain(domain) for host in snapshot.hosts}
