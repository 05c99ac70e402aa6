"""Rate limits on moves: the permits that a step takes from the store when it begins. Pure.

A permit is counted either for a while from the moment it is taken (moves per hour or day) or for as long as its step
is under way (moves of a group in flight).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cluster.config.settings import GroupSettings, RateSettings
from cluster.guest import Guest
from cluster.plan import EVACUATE, Migrate, Plan

HOUR_S = 3600.0
DAY_S = 86400.0
UNBOUND = 10**9
"""More permits than are ever taken: what is only counted."""


@dataclass(frozen=True, slots=True)
class Permit:
    """One of at most `most` under `key`. `within_s`: how long it counts; `None`: until its step is over.

    `what` says what is limited: "moves out of kvm-1 within an hour".
    """

    key: str
    most: int
    within_s: float | None = None
    what: str = ""

    @property
    def why(self) -> str:
        """The sentence for a step that waits for it."""
        return f"rate limit: no more than {self.most} {self.what or self.key}"


def guest_key(guest: str) -> str:
    """Return the key under which a guest's moves of a day are counted."""
    return f"guest:{guest}"


def permits_of(
    plan: Plan, step: Migrate, guest: Guest | None, rates: RateSettings, groups: Iterable[GroupSettings]
) -> tuple[Permit, ...]:
    """Return the permits that a migration needs. A guest that is parked on its way counts as moved once.

    `guest` is as it is known now; without it, it belongs to no group. Emptying a failing host is counted, but waits for
    no hour or day: its guests may not have one.
    """
    title = step.guest_name or step.guest
    first = next(move.id for move in plan.migrations if move.guest == step.guest)
    wanted = [
        (guest_key(step.guest), rates.guest_per_day if step.id == first else None, DAY_S, f"moves of {title} in a day"),
        (f"host_out:{step.source}", rates.host_out_per_hour, HOUR_S, f"moves out of {step.source} in an hour"),
        (f"host_in:{step.target}", rates.host_in_per_hour, HOUR_S, f"moves to {step.target} in an hour"),
        ("cluster", rates.cluster_per_hour, HOUR_S, "moves in the cluster in an hour"),
    ]
    permits = [
        Permit(key, UNBOUND if plan.policy == EVACUATE else most, within_s, what)
        for key, most, within_s, what in wanted
        if most is not None
    ]
    for group in groups:
        if guest is not None and group.guests.matches(guest):
            permits.append(
                Permit(f"group:{group.name}", group.in_flight, None, f"guests of group {group.name} under way at once")
            )
    return tuple(permits)


def used_up(guests: Iterable[Guest], rates: RateSettings, taken: Mapping[str, int]) -> dict[str, tuple[str, str]]:
    """Return the guests that have been moved as often as they may be in a day, with (code, sentence) for a plan.

    `taken` are the permits that count now, by key.
    """
    most = rates.guest_per_day
    if most is None:
        return {}
    return {
        guest.id: ("rate_limit", f"moved {count} times within a day, {most} allowed (rates.guest_per_day)")
        for guest in guests
        if (count := taken.get(guest_key(guest.id), 0)) >= most
    }
