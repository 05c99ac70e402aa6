"""The links that migrations cross, what may be taken of each at a moment, and their max-min fair division. Pure.

Every host has a link out and one in (both directions at full speed); a named link (a rack's uplink, a WAN) is crossed
by a migration with exactly one end behind it. Rates and capacities are in MiB/s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cluster.config.settings import BudgetScope, BudgetSettings, LinkSettings, Settings
from cluster.host import Host
from cluster.windows import is_open

MIB_S_PER_MBIT_S = 1_000_000 / 8 / 1024**2
"""MiB/s in one Mbit/s (10^6 bit/s)."""

CLUSTER = "cluster"
"""The link that every migration crosses where the cluster as a whole has a budget."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One migration as the links see it: those it crosses, each once, and its own limit in MiB/s, `None` for none."""

    id: str
    links: tuple[str, ...]
    limit_mib_s: float | None = None


class Links:
    """Every link of a cluster, by name: `out:HOST`, `in:HOST`, `link:NAME`, and `cluster` where that has a budget.

    `mbit_s_of_host` is the speed of each host's migration link, per direction.
    """

    def __init__(
        self,
        mbit_s_of_host: Mapping[str, float],
        links: Sequence[LinkSettings] = (),
        budgets: Sequence[BudgetSettings] = (),
    ) -> None:
        self._named = tuple((link.name, frozenset(link.hosts)) for link in links)
        self._has_cluster = any(budget.scope is BudgetScope.CLUSTER for budget in budgets)
        self._budgets: dict[tuple[BudgetScope, str], list[BudgetSettings]] = {}
        for budget in budgets:
            self._budgets.setdefault((budget.scope, budget.name), []).append(budget)
        self._known: tuple[datetime, dict[str, float], dict[str, float]] | None = None
        self._things: list[tuple[str, BudgetScope, str, float]] = []
        for host, mbit_s in sorted(mbit_s_of_host.items()):
            self._things.append((f"out:{host}", BudgetScope.HOST_OUT, host, mbit_s))
            self._things.append((f"in:{host}", BudgetScope.HOST_IN, host, mbit_s))
        self._things += [(f"link:{link.name}", BudgetScope.LINK, link.name, link.mbit_s) for link in links]
        if self._has_cluster:
            self._things.append((CLUSTER, BudgetScope.CLUSTER, "", math.inf))

    @classmethod
    def of(cls, hosts: Iterable[Host], settings: Settings) -> Links:
        """Return the links of hosts: each one's migration link, else its network, else the configured default."""
        default = settings.migration.estimate_mbit_s
        speeds = {host.id: host.migration_mbit_s or host.net_mbit_s or default for host in hosts}
        return cls(speeds, settings.links, settings.budgets)

    def path(self, source: str, target: str) -> tuple[str, ...]:
        """Return the links that a migration from one host to another crosses."""
        crossed = [f"link:{name}" for name, hosts in self._named if (source in hosts) != (target in hosts)]
        return (f"out:{source}", f"in:{target}", *crossed, *((CLUSTER,) if self._has_cluster else ()))

    def capacity_mib_s(self, at: datetime) -> Mapping[str, float]:
        """Return what all migrations together may take of each link at a moment: the lower of speed and budget."""
        return self._at(at)[0]

    def budget_mib_s(self, at: datetime) -> Mapping[str, float]:
        """Return the budget of each link at a moment; `inf` where only its own speed bounds it."""
        return self._at(at)[1]

    def _at(self, at: datetime) -> tuple[dict[str, float], dict[str, float]]:
        """Return capacities and budgets in MiB/s: asked for many times at one moment, and worked out once."""
        if (known := self._known) is None or known[0] != at:
            bounds = [
                (link, mbit_s, self._budget_mbit_s(scope, name, at)) for link, scope, name, mbit_s in self._things
            ]
            capacities = {link: min(speed, budget) * MIB_S_PER_MBIT_S for link, speed, budget in bounds}
            known = self._known = at, capacities, {link: budget * MIB_S_PER_MBIT_S for link, _, budget in bounds}
        return known[1:]

    def _budget_mbit_s(self, scope: BudgetScope, name: str, at: datetime) -> float:
        for called in (name, "") if name and self._budgets else ("",):
            mine = self._budgets.get((scope, called), [])
            open_now = [one.mbit_s for one in mine if one.has_window and is_open(one, at)]
            if counting := open_now or [one.mbit_s for one in mine if not one.has_window]:
                return min(counting)
        return math.inf


def max_min_rates(flows: Iterable[Flow], capacity_mib_s: Mapping[str, float]) -> dict[str, float]:
    """Return each flow's rate by id, max-min fair: none can rise without lowering one that is not greater.

    Progressive filling (Bertsekas and Gallager, Data Networks, 6.5.2): all rise together; a full link stops those that
    cross it, a limit its own flow. Links without a bound are `inf`, and so is the rate of a flow that nothing stops.
    The result does not depend on the order of `flows`. `KeyError` for a link of which no capacity is known.
    """
    rising = sorted(flows, key=lambda flow: flow.id)
    left = {link: capacity_mib_s[link] for flow in rising for link in flow.links}
    sharers = dict.fromkeys(left, 0)
    for flow in rising:
        for link in flow.links:
            sharers[link] += 1
    if all(count == 1 for count in sharers.values()):
        return {flow.id: _alone(flow, left) for flow in rising}
    rates: dict[str, float] = {}
    while rising:
        shares = {link: max(0.0, left[link] / count) for link, count in sharers.items() if count}
        level = min(shares.values(), default=math.inf)
        for flow in rising:
            if flow.limit_mib_s is not None and flow.limit_mib_s < level:
                level = flow.limit_mib_s
        full = {link for link, share in shares.items() if share <= level}
        going_on = []
        for flow in rising:
            if level < math.inf and flow.limit_mib_s != level and full.isdisjoint(flow.links):
                going_on.append(flow)
                continue
            rates[flow.id] = level
            for link in flow.links:
                sharers[link] -= 1
                left[link] -= level
        rising = going_on
    return rates


def _alone(flow: Flow, capacity_mib_s: Mapping[str, float]) -> float:
    narrowest = min([capacity_mib_s[link] for link in flow.links], default=math.inf)
    return max(0.0, narrowest if flow.limit_mib_s is None else min(narrowest, flow.limit_mib_s))


def has_room_beside(
    flow: Flow, least_mib_s: float, running: Sequence[tuple[Flow, float]], capacity_mib_s: Mapping[str, float]
) -> bool:
    """Tell whether the links have room for one more migration beside those running, each given with its least rate.

    A guest goes on writing while it moves: under some rate it sends much more than alone, or never ends. One that
    shares no link with another always has room: a narrow link still carries one.
    """
    mine = set(flow.links)
    sharing = [(one, least) for one, least in running if not mine.isdisjoint(one.links)]
    if not sharing:
        return True
    everyone = [(flow, least_mib_s), *running]
    asked: dict[str, float] = {}
    sharers: dict[str, int] = {}
    for one, least in everyone:
        for link in one.links:
            asked[link] = asked.get(link, 0.0) + least
            sharers[link] = sharers.get(link, 0) + 1
    # Nobody gets less than an even share of the narrowest link crossed: that mostly decides it.
    affected = ((flow, least_mib_s), *sharing)
    if all(least * sharers[link] <= capacity_mib_s[link] for one, least in affected for link in one.links):
        return True
    if any(asked[link] > capacity_mib_s[link] * (1 + 1e-9) for link in mine if sharers[link] > 1):
        return False
    rates = max_min_rates([one for one, _ in everyone], capacity_mib_s)
    for one, least in affected:
        possible = min(capacity_mib_s[link] for link in one.links)
        if rates[one.id] < min(least, possible) * (1 - 1e-9):
            return False
    return True
