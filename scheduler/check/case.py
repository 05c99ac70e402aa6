"""A plan under the checker's eyes: with its snapshot, what was asked for, and where every guest ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from cluster.config.settings import ConsolidateSettings
from cluster.guest import Guest
from cluster.limits import Limits
from cluster.plan import Plan
from cluster.rules import Enforcement
from cluster.snapshot import Snapshot
from scheduler.check.load import RESOURCES, use_of


@dataclass(frozen=True)
class Case:
    """`final` has the host of every guest at the end. `drained` and `consolidate` are `None` where not known.

    `planned` is the CPU, in millicores by guest, that a consolidation was planned with in place of present use;
    `planned_total` the peak of all together, where that is less than their sum.
    """

    plan: Plan
    snapshot: Snapshot
    limits: Limits
    max_moves: int | None
    final: dict[str, str]
    resources: tuple[str, ...] = RESOURCES
    drained: Collection[str] | None = None
    consolidate: ConsolidateSettings | None = None
    frozen: frozenset[str] = frozenset()
    planned: Mapping[str, int] | None = None
    planned_total: int | None = None

    @cached_property
    def start(self) -> dict[str, str]:
        """The host of every guest at the start."""
        return {guest.id: guest.host for guest in self.snapshot.guests}

    @cached_property
    def moved(self) -> list[Guest]:
        """The guests that end elsewhere."""
        return [guest for guest in self.snapshot.guests if self.final[guest.id] != guest.host]

    @cached_property
    def usable(self) -> list[str]:
        """The hosts that take guests; those to be emptied do not."""
        away = set(self.drained or ())
        return [
            host.id for host in self.snapshot.hosts if self.snapshot.why_no_target(host) is None and host.id not in away
        ]

    def planned_of(self, guests: Iterable[Guest], resource: str) -> int:
        """Return what guests are planned to take: of CPU what was planned with, else their demand."""
        if resource != "cpu" or self.planned is None:
            return use_of(guests, resource)
        return sum(self.planned.get(guest.id, guest.usage.cpu_millicores or 0) for guest in guests)

    @cached_property
    def has_soft_rules(self) -> bool:
        """Whether some rule is part of the goal."""
        return any(rule.enforcement is Enforcement.SOFT for rule in self.snapshot.rules)
