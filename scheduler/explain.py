"""Who can go where and why not: for one guest every other host, for one host every guest. Pure.

Reasons are looked for in the order in which planning meets them: the host takes nobody, it cannot run the guest, a rule
would be newly broken, there is no room.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from cluster.guest import Guest
from cluster.host import Host
from cluster.limits import Limits, Resource, demand, limit
from cluster.migration.compatibility import why_cannot_run
from cluster.rules import Enforcement, Rule
from cluster.snapshot import Snapshot
from scheduler.check.rules import broken, members, settled

_NAMES = {
    Resource.CPU: ("CPU", "millicores"),
    Resource.MEMORY: ("memory", "MiB"),
    Resource.VCPUS: ("virtual CPUs", ""),
    Resource.NET: ("network", "Mbit/s"),
    Resource.DISK: ("disk", "MiB/s"),
    Resource.HUGEPAGES: ("huge pages", "MiB"),
    Resource.LOCAL_DISK: ("local disk", "MiB"),
}


@dataclass(frozen=True, slots=True)
class Target:
    """A host that a guest may be moved to now, or why not. `for_good`: not for want of room, which comes and goes."""

    host: str
    why_not: str | None = None
    for_good: bool = False


class Reach:
    """Who can go where in one cluster at one moment, with the limits that plans keep to."""

    def __init__(self, snapshot: Snapshot, limits: Limits, frozen: Mapping[str, str] | None = None) -> None:
        """`frozen` are guests that nothing may touch now, each with the reason."""
        self._snapshot = snapshot
        self._limits = limits
        self._frozen = frozen or {}

    def rules_of(self, guest: Guest) -> tuple[Rule, ...]:
        """Return the rules that a guest's place or its moves are subject to."""
        return tuple(rule for rule, named in self._members if guest.id in named)

    def broken_now(self, rule: Rule) -> int:
        """Count what is broken of a rule."""
        return broken(rule, self._snapshot, settled(self._placement))

    def why_stays(self, guest: Guest) -> str | None:
        """Say why a guest cannot be moved anywhere. `None`: it can, where there is a host for it."""
        for rule in self.rules_of(guest):
            if rule.kind == "ignore":
                return f"rule {rule.title}: it is never touched"
        if not guest.movable:
            return guest.why_not or "marked as not movable"
        if (why := self._snapshot.why_unplannable(self._snapshot.host_by_id[guest.host])) is not None:
            return why
        if guest.usage.cpu_millicores is None:
            return "its CPU use is unknown"
        return self._frozen.get(guest.id)

    def targets(self, guest: Guest) -> tuple[Target, ...]:
        """Return every other host, sorted by id."""
        hosts = sorted(self._snapshot.hosts, key=lambda host: host.id)
        return tuple(self._target(guest, host) for host in hosts if host.id != guest.host)

    def _target(self, guest: Guest, host: Host) -> Target:
        lasting = self._snapshot.why_no_target(host) or why_cannot_run(guest, host) or self._why_rules(guest, host)
        if lasting is not None:
            return Target(host.id, lasting, for_good=True)
        return Target(host.id, self._why_no_room(guest, host))

    def _why_rules(self, guest: Guest, host: Host) -> str | None:
        there = settled({**self._placement, guest.id: host.id})
        for rule in self.rules_of(guest):
            if rule.enforcement is not Enforcement.SOFT and broken(rule, self._snapshot, there) > self.broken_now(rule):
                return f"rule {rule.title} would be broken"
        return None

    def _why_no_room(self, guest: Guest, host: Host) -> str | None:
        for resource in Resource:
            most = limit(host, resource, self._limits)
            wanted = demand(guest, resource)
            if most is None or not wanted:
                continue
            free = most - sum(demand(one, resource) for one in self._snapshot.guests_by_host[host.id])
            if wanted > free:
                name, unit = _NAMES[resource]
                return (
                    f"no room on host {host.id} now: {name}, {max(0, free)} {unit}".rstrip() + f" free, {wanted} needed"
                )
        return None

    @cached_property
    def _placement(self) -> dict[str, str]:
        return {guest.id: guest.host for guest in self._snapshot.guests}

    @cached_property
    def _members(self) -> list[tuple[Rule, frozenset[str]]]:
        return [(rule, members(rule, self._snapshot)) for rule in self._snapshot.rules]
