"""What every possible migration would cost and whether it converges, as the links stand when the plan is made. Pure.

The bandwidth counted is what a migration gets alone: the slowest of its links, budgets and the configured cap, and what
was learned of its pair of hosts. Beside others it may get less: that is the schedule's business.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
        self._rates_known: dict[tuple[str, frozenset[str], float], Mapping[float, frozenset[str]]] = {}
        self._alike_known: dict[frozenset[str], Sequence[frozenset[str]]] = {}
        self._taught: dict[str, dict[str, float]] = {}
        for (source, target), ratio in sorted(learned.bandwidth_ratio.items()):
            self._taught.setdefault(source, {})[target] = ratio

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
        snapshot, least = problem.snapshot, self._settings.least_converges
        for guest_id in problem.movable:
            guest = snapshot.guest_by_id[guest_id]
            allowed[guest_id] = targets = problem.allowed[guest_id]
            if not guest.dirty.mib_s or (self._settings.postcopy and may_postcopy(guest)):
                continue
            rates = self._rates(guest, targets)
            # More bandwidth is never worse: mostly the slowest way is good enough, and no more need be asked.
            if not rates or chance_to_converge(guest, min(rates)) >= least:
                continue
            chances = {mib_s: chance_to_converge(guest, mib_s) for mib_s in rates}
            reached = frozenset().union(*(hosts for mib_s, hosts in rates.items() if chances[mib_s] >= least))
            allowed[guest_id] = reached | (targets & {guest.host})
            if not reached - {guest.host}:
                hopeless[guest_id] = self._sentence(guest, max(rates), chances[max(rates)])
        return hopeless, allowed

    def _rates(self, guest: Guest, targets: frozenset[str]) -> Mapping[float, frozenset[str]]:
        """Return the bandwidths at which targets other than the guest's own host are reached, each with those hosts."""
        source, downtime_s = guest.host, guest.migration.max_downtime_ms / 1000
        key = (source, targets, downtime_s)
        if key not in self._rates_known:
            taught = self._taught.get(source, {})
            apart = frozenset({source, *taught})
            rates: dict[float, frozenset[str]] = {}
            for alike in self._alike(targets):
                if hosts := alike - apart:
                    mib_s = self.lane(source, min(hosts), downtime_s).mib_s
                    rates[mib_s] = rates.get(mib_s, frozenset()) | hosts
            for host in sorted(targets & taught.keys() - {source}):
                mib_s = self.lane(source, host, downtime_s).mib_s * taught[host]
                rates[mib_s] = rates.get(mib_s, frozenset()) | {host}
            self._rates_known[key] = rates
        return self._rates_known[key]

    def _alike(self, targets: frozenset[str]) -> Sequence[frozenset[str]]:
        """Return the targets grouped by kind."""
        if targets not in self._alike_known:
            groups: dict[object, set[str]] = {}
            for host in targets:
                groups.setdefault(self._kind[host], set()).add(host)
            self._alike_known[targets] = [frozenset(group) for group in groups.values()]
        return self._alike_known[targets]

    def _sentence(self, guest: Guest, mib_s: float, chance: float) -> str:
        dirty = guest.dirty
        hot = f" (hot set {dirty.hot_mib:.0f} MiB)" if dirty.hot_mib is not None else ""
        downtime_ms = guest.migration.max_downtime_ms
        return (
            f"{guest.title} would not converge: it dirties {dirty.mib_s:.0f} MiB/s{hot}, at most {mib_s:.0f} MiB/s can"
            f" be sent and {downtime_ms} ms of downtime are allowed: probability {chance:.0%},"
            f" migration.least_converges wants {self._settings.least_converges:.0%}"
        )
