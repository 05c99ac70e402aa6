"""The cluster at one moment, as one immutable value that a whole cycle works from. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from cluster.guest import Guest
from cluster.host import Host, PowerState
from cluster.rules import Rule
from cluster.rules.directory import Directory

DEFAULT_STALE_S = 90.0


@dataclass(frozen=True)
class Snapshot:
    """Hosts, guests and rules at `taken_at` (UTC). `id` names the content; ids of hosts and of guests are unique.

    `extra` keeps the `x_` keys of the file it came from, by path; nothing reads them.
    Figures of a host measured more than `stale_s` before `taken_at` are stale: the host is unplannable.
    """

    id: str
    taken_at: datetime
    hosts: tuple[Host, ...]
    guests: tuple[Guest, ...]
    rules: tuple[Rule, ...] = ()
    stale_s: float = DEFAULT_STALE_S
    extra: Mapping[tuple[str, ...], object] = field(default_factory=dict)

    @cached_property
    def host_by_id(self) -> dict[str, Host]:
        """Hosts by id."""
        return {host.id: host for host in self.hosts}

    @cached_property
    def guest_by_id(self) -> dict[str, Guest]:
        """Guests by id."""
        return {guest.id: guest for guest in self.guests}

    @cached_property
    def guests_by_host(self) -> dict[str, tuple[Guest, ...]]:
        """Guests on each host, in snapshot order; every host has an entry."""
        on: dict[str, list[Guest]] = {host.id: [] for host in self.hosts}
        for guest in self.guests:
            on[guest.host].append(guest)
        return {host_id: tuple(guests) for host_id, guests in on.items()}

    @cached_property
    def guest_directory(self) -> Directory:
        """Guests as rules name them."""
        return Directory(self.guests)

    @cached_property
    def host_directory(self) -> Directory:
        """Hosts as rules name them."""
        return Directory(self.hosts)

    def cells(self, domain: str) -> Mapping[str, str]:
        """Return the cell of a domain that each host is in, worked out once."""
        if domain not in self._cells:
            self._cells[domain] = {host.id: host.domain(domain) for host in self.hosts}
        return self._cells[domain]

    @cached_property
    def _cells(self) -> dict[str, dict[str, str]]:
        return {}

    def is_stale(self, host: Host) -> bool:
        """Tell whether the host's figures are too old to plan with. Never measured (no time given) counts as fresh."""
        if host.measured_at is None:
            return False
        return self.taken_at - host.measured_at > timedelta(seconds=self.stale_s)

    def why_unplannable(self, host: Host) -> str | None:
        """Say why a host is neither source nor target of moves: unreachable, stale or not on. `None`: plannable."""
        if not host.reachable:
            return f"host {host.id} is unreachable"
        if host.power.state is not PowerState.ON:
            return f"host {host.id} is {host.power.state}"
        if self.is_stale(host):
            return f"host {host.id} is stale (no figures for over {self.stale_s:g} s)"
        return None

    def why_no_target(self, host: Host) -> str | None:
        """Say why a host takes no guest: unplannable, cordoned or failing. `None`: usable."""
        if (why := self.why_unplannable(host)) is not None:
            return why
        if host.cordoned:
            return f"host {host.id} is cordoned"
        if host.failing:
            return f"host {host.id} is failing"
        return None
