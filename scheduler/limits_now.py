"""What limits migrations now, as the runner asks for it: the links with their budgets, and a migration's terms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from cluster.clock import Clock
from cluster.config.settings import Settings
from cluster.host import Host
from cluster.migration.cpu import spare_millicores
from cluster.migration.links import Links
from cluster.plan import Migrate, Plan
from cluster.rates import permits_of
from cluster.snapshot import Snapshot
from executors.terms import Terms

FRESH_S = 10.0
"""How long hosts and guests are taken to be as they were: speeds, labels and allowed downtimes hardly change. Windows
are looked up each time."""


class LimitsNow:
    """Answers from the settings and the snapshot that count now, both asked for when they are needed."""

    def __init__(self, settings: Callable[[], Settings], see: Callable[[], Snapshot], clock: Clock) -> None:
        self._settings = settings
        self._see = see
        self._clock = clock
        self._known: tuple[Settings, float, Snapshot, Links, Mapping[str, int]] | None = None

    def links(self) -> Links:
        """Return the cluster's links."""
        return self._fresh()[1]

    def spare_millicores(self) -> Mapping[str, int]:
        """Return what the CPU limit leaves on each host beside its guests."""
        return self._fresh()[2]

    def terms(self, plan: Plan, step: Migrate) -> Terms:
        """Return the permits that a migration needs and its guest's allowed downtime, as they are known now."""
        settings = self._settings()
        guest = self._fresh()[0].guest_by_id.get(step.guest)
        permits = permits_of(plan, step, guest, settings.rates, settings.groups)
        return Terms(permits) if guest is None else Terms(permits, guest.migration.max_downtime_ms / 1000)

    def _fresh(self) -> tuple[Snapshot, Links, Mapping[str, int]]:
        settings, now_s = self._settings(), self._clock.monotonic_s()
        if self._known is None or self._known[0] is not settings or now_s - self._known[1] > FRESH_S:
            snapshot = self._see()
            spare = spare_millicores(snapshot, settings.limits)
            self._known = settings, now_s, snapshot, links_of(snapshot.hosts, settings), spare
        return self._known[2:]


def links_of(hosts: Iterable[Host], settings: Settings) -> Links:
    """Return the links that running migrations are held to. Unlike in estimates, a speed nobody knows does not bind."""
    speeds = {host.id: math.inf for host in settings.hosts}
    speeds |= {host.id: host.migration_mbit_s or host.net_mbit_s or math.inf for host in hosts}
    return Links(speeds, settings.links, settings.budgets)
