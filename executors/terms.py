"""What a runner has to know of a migration beyond its step: the permits it needs, and how long its guest may stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cluster.guest import MigrationPolicy
from cluster.plan import Migrate, Plan
from cluster.rates import Permit


@dataclass(frozen=True, slots=True)
class Terms:
    """Permits of rate limits, all of them needed, and the guest's allowed downtime in seconds."""

    permits: tuple[Permit, ...] = ()
    downtime_s: float = MigrationPolicy().max_downtime_ms / 1000


TermsOf = Callable[[Plan, Migrate], Terms]
SpareCpu = Callable[[], Mapping[str, int]]
"""Gives what each host's CPU limit leaves beside its guests, in millicores."""


def no_terms(_plan: Plan, _step: Migrate) -> Terms:
    """Ask for no permits, and assume the downtime that guests are allowed where nothing is set."""
    return Terms()


def nothing_known() -> Mapping[str, int]:
    """Know no host's CPU: it holds nothing back."""
    return {}
