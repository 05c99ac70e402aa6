"""The policies by name, and the one way to make a problem from a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from cluster.config.settings import ConsolidateSettings
from cluster.errors import InputError
from cluster.limits import Limits
from cluster.problem import Problem
from cluster.snapshot import Snapshot
from policies import balance, consolidate, drain, evacuate, repair
from policies.request import PowerTerms, Request

POLICIES: dict[str, Callable[[Snapshot, Request], Problem]] = {
    "balance": balance.make,
    "consolidate": consolidate.make,
    "drain": drain.make,
    "evacuate": evacuate.make,
    "repair": repair.make,
}


def make_problem(
    policy: str,
    snapshot: Snapshot,
    *,
    limits: Limits | None = None,
    consolidate: ConsolidateSettings | None = None,
    level: int = 3,
    drained: Collection[str] = (),
    max_moves: int | None = None,
    frozen: Mapping[str, tuple[str, str]] | None = None,
    power: PowerTerms | None = None,
) -> Problem:
    """Return what `policy` wants of `snapshot` as data.

    `drained` hosts count as cordoned in every policy; `frozen` guests do not move, each for its (code, sentence);
    `power` is for `consolidate` alone.
    Raises `InputError` for an unknown policy, a level or cap out of range, or a drain of no or unknown hosts.
    """
    if policy not in POLICIES:
        raise InputError(f"policy: found {policy!r}; allowed: {', '.join(sorted(POLICIES))}")
    request = Request(
        limits=limits or Limits(),
        consolidate=consolidate or ConsolidateSettings(),
        level=level,
        drained=tuple(sorted(set(drained))),
        max_moves=max_moves,
        frozen=frozen or {},
        power=power,
    )
    return POLICIES[policy](snapshot, request)
