"""What every possible migration would cost and whether it converges, as the links stand when the plan is made. Pure.

The bandwidth counted is what a migration gets alone: the slowest of its links, budgets and the configured cap, and what
was learned of its pair of hosts. Beside others it may get less: that is the schedule's business.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from cluster.config.settings import Settings
from cluster.guest import Guest
from cluster.migration.estimate import MBIT_PER_MIB, chance_to_converge, estimate_migration, may_postcopy
from cluster.migration.learned import Learned
from cluster.migration.links import Links
from cluster.plan import Estimate
from cluster.problem import Problem
from cluster.snapshot import Snapshot

CODE = "does_not_converge"
"""Why a guest is left out of a plan, as programs read it."""


@dataclass(frozen=True, slots=True)
class Lane:
    """What one migration gets alone between two hosts: under its budgets and cap, and bare once these are lifted."""

    mib_s: float
    line_mib_s: float


class Foresight:
    """Estimates for the guests and hosts of one snapshot. Lanes are worked out once per kind of host, not per pair."""

    def __init__(self, snapshot: Snapshot, settings: Settings, learned: Learned) -> None:
        self._settings = settings.migration
        self._learned = learned
        self._links = Links.of(snapshot.hosts, settings)
        self._capacity_mib_s = self._links.capacity_mib_s(snapshot.taken_at)
        self._budget_mib_s = self._links.budget_mib_s(snapshot.taken_at)
        default_mbit_s = settings.migration.estimate_mbit_s
        # Whatever a pair's lane depends on: hosts of one kind are the same end of it.
        self._kind = {
            host.id: (
                host.migration_mbit_s or host.net_mbit_s or default_mbit_s,
                tuple(self._capacity_mib_s[f"{way}:{host.id}"] for way in ("out", "in")),
                tuple(link.name for link in settings.links if host.id in link.hosts),
            )
            for host in snapshot.hosts
        }
        self._speed_mbit_s = {host: kind[0] for host, kind in self._kind.items()}
        self._lanes: dict[tuple[object, object, float], Lane] = {}

    def estimate(self, guest: Guest, source: str, target: str) -> Estimate:
        """Return what moving a guest would cost."""
        lane = self.lane(source, target, guest.migration.max_downtime_ms / 1000)
        return estimate_migration(
            guest,
            lane.mib_s * MBIT_PER_MIB,
            self._settings.estimate_dirty_mib_s,
            line_mbit_s=lane.line_mib_s * MBIT_PER_MIB,
            correction=self._learned.correction(guest.id, source, target),
            least_converges=self._settings.least_converges,
            postcopy=self._settings.postcopy,
        )

    def lane(self, source: str, target: str, downtime_s: float) -> Lane:
        """Return what a migration with an allowed downtime gets alone.

        Within a budget there is room for its switch-over, which sends up to rate x downtime at once.
        """
        key = (self._kind[source], self._kind[target], downtime_s)
        lane = self._lanes.get(key)
        if lane is None:
            path = self._links.path(source, target)
            # Without a budget (infinite) only the link's own speed counts.
            room = (min(self._capacity_mib_s[link], self._budget_mib_s[link] / (1 + downtime_s)) for link in path)
            cap_mib_s = math.inf if self._settings.mbit_s is None else self._settings.mbit_s / MBIT_PER_MIB
            line_mib_s = min(self._speed_mbit_s[source], self._speed_mbit_s[target]) / MBIT_PER_MIB
            lane = self._lanes[key] = Lane(min(*room, cap_mib_s), line_mib_s)
        return lane

    def hopeless(self, problem: Problem) -> tuple[Mapping[str, str], Mapping[str, frozenset[str]]]:
        """Return the guests that no host can be reached by within their downtime limit, each with a sentence, and
        where the others may go.

        Only a measured dirty rate speaks against a guest, and only where post-copy is not allowed.
        """
        hopeless: dict[str, str] = {}
        allowed: dict[str, frozenset[str]] = {}
        snapshot = problem.snapshot
        for guest_id in problem.movable:
            guest = snapshot.guest_by_id[guest_id]
            targets = problem.allowed[guest_id]
            if not guest.dirty.mib_s or (self._settings.postcopy and may_postcopy(guest)):
                allowed[guest_id] = targets
                continue
            chances = self._chances(guest, targets)
            least = self._settings.least_converges
            if not chances or min(chances.values()) >= least:
                allowed[guest_id] = targets
                continue
            reached = frozenset(host for host, chance in chances.items() if chance >= least)
            allowed[guest_id] = reached | (targets & {guest.host})
            if not reached:
                best = max(chances, key=lambda host: (chances[host], host))
                hopeless[guest_id] = self._sentence(guest, best, chances[best])
        return hopeless, allowed

    def _chances(self, guest: Guest, targets: Collection[str]) -> dict[str, float]:
        """Return the probability to converge for each target but the guest's own host."""
        downtime_s = guest.migration.max_downtime_ms / 1000
        by_rate: dict[float, float] = {}
        chances = {}
        for target in targets:
            if target == guest.host:
                continue
            ratio = self._learned.correction(guest.id, guest.host, target).bandwidth_ratio
            mib_s = self.lane(guest.host, target, downtime_s).mib_s * ratio
            if mib_s not in by_rate:
                by_rate[mib_s] = chance_to_converge(guest, mib_s)
            chances[target] = by_rate[mib_s]
        return chances

    def _sentence(self, guest: Guest, target: str, chance: float) -> str:
        dirty = guest.dirty
        hot = f" (hot set {dirty.hot_mib:.0f} MiB)" if dirty.hot_mib is not None else ""
        downtime_ms = guest.migration.max_downtime_ms
        mib_s = self.lane(guest.host, target, downtime_ms / 1000).mib_s
        return (
            f"{guest.title} would not converge: it dirties {dirty.mib_s:.0f} MiB/s{hot}, at most {mib_s:.0f} MiB/s can"
            f" be sent and {downtime_ms} ms of downtime are allowed: probability {chance:.0%},"
            f" migration.least_converges wants {self._settings.least_converges:.0%}"
        )
