"""What a plan's migrations ask of links, slots and each other: activities of a scheduling problem. Pure.

A migration drains its memory at rate - dirtying: the continuous form of pre-copy (Clark et al., NSDI 2005), fitted to
the step's own estimate. Alone it runs at the full rate of its path; beside others it takes longer and sends more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from cluster.config.settings import MigrationSettings
from cluster.guest import Guest
from cluster.limits import Resource, demand
from cluster.migration.estimate import chance_to_converge
from cluster.migration.links import MIB_S_PER_MBIT_S, Links
from cluster.plan import Migrate

MOST_RESENT_RATIO = 0.1
"""Beside others a migration may send so much more than alone, not more: better that one of them waits."""

LONGEST_BURST_S = 1.0
"""Allowed downtime for which a budget keeps room at most, as executors do."""

MOST_LESS_SURE = 0.02
"""So much of its probability to converge a migration may lose beside others."""

MOST_DIRTY_RATIO = 0.95
"""However fast a guest dirties, so much less than its rate it counts as: those that never end are not in plans."""


@dataclass(frozen=True, slots=True)
class Activity:
    """One migration: `drain_mib` at (rate - `dirty_mib_s`) after `overhead_s`; `after` are positions in the plan.

    `rate_mib_s` is what it gets alone, `limit_mib_s` its own cap, `downtime_s` what its switch-over may take; at less
    than `converges_mib_s` it may never end; under `share_ratio` of what it gets alone it would hold its slots too long.
    `cpu_millicores` are its guest's, which change hosts when it ends.
    """

    source: str
    target: str
    path: tuple[str, ...]
    drain_mib: float
    dirty_mib_s: float
    overhead_s: float
    rate_mib_s: float
    limit_mib_s: float | None = None
    after: tuple[int, ...] = ()
    urgent: bool = False
    downtime_s: float = 0.0
    converges_mib_s: float = 0.0
    share_ratio: float = 0.0
    cpu_millicores: int = 0
    alone_s: float = field(init=False)
    alone_mib: float = field(init=False)

    def __post_init__(self) -> None:
        moving_s = self.drain_mib / self.speed_mib_s(self.rate_mib_s)
        object.__setattr__(self, "alone_s", self.overhead_s + moving_s)
        object.__setattr__(self, "alone_mib", moving_s * self.rate_mib_s)

    @property
    def least_mib_s(self) -> float:
        """The rate from which on it sends at most `MOST_RESENT_RATIO` more than alone, and ends as surely and soon."""
        # Bytes at rate r are drain * r / (r - dirty).
        most = (1 + MOST_RESENT_RATIO) * self.alone_mib / self.drain_mib if self.drain_mib else 1.0
        resends_mib_s = most * self.dirty_mib_s / (most - 1) if most > 1 else 0.0
        return min(self.rate_mib_s, max(resends_mib_s, self.converges_mib_s, self.share_ratio * self.rate_mib_s))

    def speed_mib_s(self, rate_mib_s: float) -> float:
        """Return how fast it gets done at a rate."""
        return max(rate_mib_s - self.dirty_mib_s, (1 - MOST_DIRTY_RATIO) * rate_mib_s)


@dataclass(frozen=True, slots=True)
class Slots:
    """How many migrations may run at once: leaving a host, coming to one, in the cluster."""

    out_per_host: int = 1
    in_per_host: int = 1
    per_cluster: int = 4

    @classmethod
    def of(cls, settings: MigrationSettings) -> Slots:
        """Return those of a configuration."""
        return cls(settings.out_per_host, settings.in_per_host, settings.per_cluster)


@dataclass(frozen=True, slots=True)
class Workload:
    """Activities in plan order, with what they share: slots, and links with their speeds and budgets.

    A budget keeps room for a switch-over's burst (`cluster/migration/shares.py`), which is rate x downtime. Each
    migration takes `overhead_millicores` at both ends of what the CPU limit leaves there at first.
    """

    activities: tuple[Activity, ...]
    slots: Slots
    capacity_mib_s: Mapping[str, float]
    budget_mib_s: Mapping[str, float] = field(default_factory=dict)
    overhead_millicores: int = 0
    spare_millicores: Mapping[str, int] = field(default_factory=dict)

    def sharing(self, share_ratio: float) -> Workload:
        """Return the same with another least share of what each gets alone."""
        if all(one.share_ratio == share_ratio for one in self.activities):
            return self
        return replace(self, activities=tuple(replace(one, share_ratio=share_ratio) for one in self.activities))

    def usable_mib_s(self, link: str, flows: int, downtime_s: float) -> float:
        """Return what of a link so many flows may use at once, with room for the burst of an even share."""
        budget = self.budget_mib_s.get(link)
        if budget is None:
            return self.capacity_mib_s[link]
        return min(self.capacity_mib_s[link], budget * flows / (flows + downtime_s))


def workload(
    steps: Sequence[Migrate],
    guests: Mapping[str, Guest],
    links: Links,
    at: datetime,
    settings: MigrationSettings,
    urgent: frozenset[str] = frozenset(),
    spare_millicores: Mapping[str, int] | None = None,
) -> Workload:
    """Return the scheduling problem of a plan's migrations, under the budgets that count at a moment.

    `urgent` are the ids of steps that come first where they can; `spare_millicores` is what the CPU limit leaves
    on each host (`None`: CPU is not looked at).
    """
    capacity = links.capacity_mib_s(at)
    budgets = {link: mib_s for link, mib_s in links.budget_mib_s(at).items() if mib_s < math.inf}
    cap_mib_s = None if settings.mbit_s is None else settings.mbit_s * MIB_S_PER_MBIT_S
    place = {step.id: index for index, step in enumerate(steps)}
    activities = []
    for step in steps:
        guest, path = guests[step.guest], links.path(step.source, step.target)
        downtime_s = min(guest.migration.max_downtime_ms / 1000, LONGEST_BURST_S)
        alone = (budgets[link] / (1 + downtime_s) for link in path if link in budgets)
        rate = min([*(capacity[link] for link in path), *alone, *([] if cap_mib_s is None else [cap_mib_s])])
        said = step.estimate
        said_mib_s = said.mbit_s * MIB_S_PER_MBIT_S or rate
        moving_s = min(said.seconds, said.mib / said_mib_s)
        in_use_mib = min(guest.memory_mib, guest.usage.memory_mib or guest.memory_mib)
        drain = float(min(said.mib, in_use_mib + guest.local_disk_mib))
        dirty_mib_s = (said.mib - drain) / moving_s if moving_s > 0 else 0.0
        activities.append(
            Activity(
                step.source,
                step.target,
                path,
                drain,
                dirty_mib_s,
                said.seconds - moving_s,
                rate,
                cap_mib_s,
                tuple(sorted({place[one] for one in step.after if one in place})),
                step.id in urgent,
                downtime_s,
                _converges_mib_s(guest, rate),
                cpu_millicores=demand(guest, Resource.CPU),
            )
        )
    overhead, spare = settings.cpu_overhead_millicores, spare_millicores or {}
    return Workload(tuple(activities), Slots.of(settings), capacity, budgets, overhead, spare)


def _converges_mib_s(guest: Guest, alone_mib_s: float) -> float:
    """Return the rate, in steps of an eighth of what it gets alone, from which on a guest ends nearly as surely."""
    if not guest.dirty.mib_s:
        return 0.0
    wanted = chance_to_converge(guest, alone_mib_s) - MOST_LESS_SURE
    eighths = 8
    while eighths > 1 and chance_to_converge(guest, (eighths - 1) / 8 * alone_mib_s) >= wanted:
        eighths -= 1
    return eighths / 8 * alone_mib_s if eighths > 1 else 0.0
