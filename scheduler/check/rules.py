"""The checker's own count of what is broken, rule by rule, straight from the rules' definitions."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from cluster.rules import Affinity, AntiAffinity, Enforcement, Forbid, GroupMoveLimit, Ignore, Near, Pin, Rule, Spread
from cluster.snapshot import Snapshot

Whereabouts = Mapping[str, frozenset[str]]
"""Hosts each guest counts on: one, or two while it is under way."""


def members(rule: Rule, snapshot: Snapshot) -> frozenset[str]:
    """Return the guests whose places decide whether the rule holds."""
    chosen = set(snapshot.guest_directory.select(rule.guests))
    if isinstance(rule, Near):
        chosen |= set(snapshot.guest_directory.select(rule.to))
    return frozenset(chosen)


def broken(rule: Rule, snapshot: Snapshot, where: Whereabouts) -> int:
    """Count what is broken of one rule: pairs for affinities, missing cells for spread, guests for the others."""
    guests = snapshot.guest_directory.select(rule.guests)
    match rule:
        case AntiAffinity():
            return sum(bool(a & b) for a, b in combinations(_cells(rule.domain, guests, snapshot, where), 2))
        case Affinity():
            return sum(not a & b for a, b in combinations(_cells(rule.domain, guests, snapshot, where), 2))
        case Spread():
            cells: set[str] = set()
            for there in _cells(rule.domain, guests, snapshot, where):
                cells |= there
            return max(0, rule.at_least - len(cells)) if guests else 0
        case Pin():
            good = set(snapshot.host_directory.select(rule.hosts))
            return sum(not where[guest] <= good for guest in guests)
        case Forbid():
            bad = set(snapshot.host_directory.select(rule.hosts))
            return sum(bool(where[guest] & bad) for guest in guests)
        case Near():
            to = snapshot.guest_directory.select(rule.to)
            cells_of = dict(zip(to, _cells(rule.domain, to, snapshot, where), strict=True))
            mine = zip(guests, _cells(rule.domain, guests, snapshot, where), strict=True)
            return sum(not any(cells & cells_of[other] for other in to if other != guest) for guest, cells in mine)
        case GroupMoveLimit() | Ignore():
            return 0


def count_broken(snapshot: Snapshot, where: Whereabouts) -> int:
    """Count what is broken of all rules that are not soft."""
    return sum(broken(rule, snapshot, where) for rule in snapshot.rules if rule.enforcement is not Enforcement.SOFT)


def settled(placement: Mapping[str, str]) -> Whereabouts:
    """Return whereabouts with nobody under way."""
    return {guest: frozenset((host,)) for guest, host in placement.items()}


def _cells(domain: str, guests: list[str], snapshot: Snapshot, where: Whereabouts) -> list[frozenset[str]]:
    hosts = snapshot.host_by_id
    return [frozenset(hosts[host].domain(domain) for host in where[guest]) for guest in guests]
