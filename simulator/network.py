"""Migration links shared by the transfers that cross them, max-min fairly, each transfer with its own cap.

Every host has a link out and a link in; a named link (a rack's uplink, a WAN) is crossed by a transfer with exactly one
end behind it. Capacities in MiB/s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

MIB_S_PER_MBIT_S = 1e6 / 8 / 2**20


@dataclass(frozen=True, slots=True)
class SharedLink:
    """A link that carries what passes between the hosts behind it and all others; both directions together."""

    name: str
    mbit_s: float
    hosts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Flow:
    """One transfer: the links it crosses and its own cap in MiB/s, `None` for none."""

    id: str
    links: tuple[str, ...]
    limit_mib_s: float | None = None


class Network:
    """The links of a cluster: what a transfer between two hosts crosses, and how the links are divided."""

    def __init__(self, mbit_s_of_host: Mapping[str, float], shared: Sequence[SharedLink] = ()) -> None:
        self._shared = tuple(shared)
        self._known: dict[tuple[tuple[Flow, ...], tuple[float, ...]], dict[str, float]] = {}
        self.capacity_mib_s: dict[str, float] = {}
        for host, mbit_s in sorted(mbit_s_of_host.items()):
            self.capacity_mib_s[f"out:{host}"] = mbit_s * MIB_S_PER_MBIT_S
            self.capacity_mib_s[f"in:{host}"] = mbit_s * MIB_S_PER_MBIT_S
        for link in self._shared:
            self.capacity_mib_s[f"link:{link.name}"] = link.mbit_s * MIB_S_PER_MBIT_S

    def path(self, source: str, target: str) -> tuple[str, ...]:
        """Return the links that a transfer from one host to another crosses."""
        crossed = [f"link:{one.name}" for one in self._shared if (source in one.hosts) != (target in one.hosts)]
        return (f"out:{source}", f"in:{target}", *crossed)

    def rates(self, flows: Iterable[Flow]) -> dict[str, float]:
        """Return each transfer's rate in MiB/s, by id."""
        known, self._known = self._known, {}
        rates: dict[str, float] = {}
        for group in _meeting(sorted(flows, key=lambda flow: flow.id)):
            capacity = tuple(self.capacity_mib_s[link] for flow in group for link in flow.links)
            key = group, capacity
            self._known[key] = known[key] if key in known else max_min_rates(group, self.capacity_mib_s)
            rates |= self._known[key]
        return rates


def _meeting(flows: Sequence[Flow]) -> list[tuple[Flow, ...]]:
    """Return the transfers in groups that have no link in common: each group is divided by itself."""
    group_of: dict[str, list[Flow]] = {}
    for flow in flows:
        met = list({id(group): group for link in flow.links if (group := group_of.get(link)) is not None}.values())
        merged = [*(one for group in met for one in group), flow]
        for link in {link for one in merged for link in one.links}:
            group_of[link] = merged
    groups = {id(group): group for group in group_of.values()}
    return [tuple(sorted(group, key=lambda flow: flow.id)) for group in groups.values()]


def max_min_rates(flows: Sequence[Flow], capacity_mib_s: Mapping[str, float]) -> dict[str, float]:
    """Divide links by progressive filling: all rates rise together until a cap or a full link stops some of them.

    The outcome is max-min fair: no rate can rise without lowering one that is not greater. It does not depend on the
    order of `flows`, to the last bit.
    """
    flows = sorted(flows, key=lambda flow: flow.id)
    rates: dict[str, float] = {}
    rising = flows
    while rising:
        level, full = _next_full_link(rising, flows, rates, capacity_mib_s)
        capped = [flow for flow in rising if flow.limit_mib_s is not None and flow.limit_mib_s <= level]
        if capped:
            least = min(flow.limit_mib_s for flow in capped if flow.limit_mib_s is not None)
            stopped = {flow.id: least for flow in capped if flow.limit_mib_s == least}
        else:
            stopped = {flow.id: level for flow in rising if full in flow.links}
        rates.update(stopped)
        rising = [flow for flow in rising if flow.id not in stopped]
    return rates


def _next_full_link(
    rising: Sequence[Flow], flows: Sequence[Flow], rates: Mapping[str, float], capacity_mib_s: Mapping[str, float]
) -> tuple[float, str]:
    """Return the level at which the first link is full if all rising transfers rise to it, and that link."""
    best: tuple[float, str] | None = None
    for link in sorted({link for flow in rising for link in flow.links}):
        taken = sum(rates[flow.id] for flow in flows if flow.id in rates and link in flow.links)
        sharers = sum(1 for flow in rising if link in flow.links)
        level = max(0.0, capacity_mib_s[link] - taken) / sharers
        if best is None or level < best[0]:
            best = (level, link)
    if best is None:
        raise ValueError("a transfer that crosses no link has no rate")
    return best


class UnsharedNetwork(Network):
    """Links that every transfer has a share of `ratio` of to itself, however many there are."""

    def __init__(self, mbit_s_of_host: Mapping[str, float], ratio: float) -> None:
        super().__init__(mbit_s_of_host)
        self._ratio = ratio

    def rates(self, flows: Iterable[Flow]) -> dict[str, float]:
        """Return `ratio` of each transfer's narrowest link in MiB/s, or its own cap where that is less."""
        return {flow.id: min(self._most(flow), flow.limit_mib_s or math.inf) for flow in flows}

    def _most(self, flow: Flow) -> float:
        return self._ratio * min(self.capacity_mib_s[link] for link in flow.links)
