"""What sleeping hosts save, against the same load with all of them on: from one look at the cluster to the next. Pure.

With every host on, each would carry its share: with f = (capacity on) / (capacity on and asleep), a host that is on
would run at f times its load u, and one that sleeps at f times the mean load U of those that are on. So

    saved = sum over asleep (curve(f U) - its draw asleep) - sum over on (curve(u) - curve(f u))

and nothing asleep is nothing saved. Only hosts count that sleep by Trimtab's doing and were seen asleep at both ends of
the span; one that is off for other reasons was not ours to save. The time of going down is not claimed, that of coming
up is taken off at the idle draw. A gap between two looks longer than `most_gap_s` counts for nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cluster.energy_day import NOTHING, Energy, EnergyDay
from cluster.host import Host, PowerState
from cluster.limits import Resource, demand, room
from cluster.plan import Migrate, PlanRecord, Sleep, StepState, Wake
from cluster.power_curves import UNKNOWN, Curve, watts_at
from cluster.prices import JOULES_PER_KWH, Prices
from cluster.snapshot import Snapshot

FOR_POWER = frozenset({"consolidate", "wake"})
"""Policies whose moves are for the sake of power; so are those of any plan that puts a host to sleep or wakes one."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One host at a look. `watts` is what it draws, `metered` whether a meter said so, `fitted` whether its curve is
    one fitted to its meter. `capacity` is in any unit that all hosts share. One that is waking counts as asleep.
    """

    host: str
    is_asleep: bool
    load_ratio: float
    capacity: float
    watts: float
    curve: Curve
    sleep_watts: float = 0.0
    metered: bool = False
    fitted: bool = False
    is_waking: bool = False


def draws_of(
    snapshot: Snapshot,
    by_us: Collection[str],
    waking: Collection[str],
    read_watts: Mapping[str, float],
    fitted: Collection[str],
) -> tuple[Draw, ...]:
    """Return every host of which something is known: those that are on, and those asleep `by_us` or waking from it.

    `read_watts` is what meters show now; without, a host draws what its curve says at its guests' load.
    """
    found = []
    for host in snapshot.hosts:
        is_down = host.power.state in (PowerState.ASLEEP, PowerState.OFF, PowerState.WAKING)
        if host.id in by_us and is_down:
            is_waking = host.id in waking or host.power.state is PowerState.WAKING
            found.append(_down(host, is_waking, read_watts.get(host.id), host.id in fitted))
        elif snapshot.why_unplannable(host) is None and (capacity := room(host, Resource.CPU)):
            load = sum(demand(guest, Resource.CPU) for guest in snapshot.guests_by_host[host.id]) / capacity
            curve, shown = host.power.watts or UNKNOWN, read_watts.get(host.id)
            watts = watts_at(curve, load) if shown is None else shown
            is_fitted, sleep_watts = host.id in fitted, host.power.sleep_watts
            found.append(Draw(host.id, False, load, capacity, watts, curve, sleep_watts, shown is not None, is_fitted))
    return tuple(found)


def _down(host: Host, is_waking: bool, shown: float | None, is_fitted: bool) -> Draw:
    curve, sleep_watts = host.power.watts or UNKNOWN, host.power.sleep_watts
    watts = (watts_at(curve, 0.0) if is_waking else sleep_watts) if shown is None else shown
    return Draw(
        host.id,
        is_asleep=True,
        load_ratio=0.0,
        capacity=room(host, Resource.CPU) or 0.0,
        watts=watts,
        curve=curve,
        sleep_watts=sleep_watts,
        metered=shown is not None,
        fitted=is_fitted,
        is_waking=is_waking,
    )


@dataclass(frozen=True, slots=True)
class Rates:
    """Watts at a look: what is used, what is saved by sleeping, and what waking takes off that."""

    used_metered: float = 0.0
    used_modelled: float = 0.0
    saved_metered: float = 0.0
    saved_modelled: float = 0.0
    waking: float = 0.0
    asleep: int = 0

    def over(self, seconds: float, per_kwh: float) -> Energy:
        """Return the energy of a span at these rates and this price."""
        used = (self.used_metered + self.used_modelled) * seconds
        net = (self.saved_metered + self.saved_modelled - self.waking) * seconds
        return Energy(
            seen_s=seconds,
            asleep_host_s=self.asleep * seconds,
            used_metered_j=self.used_metered * seconds,
            used_modelled_j=self.used_modelled * seconds,
            saved_metered_j=self.saved_metered * seconds,
            saved_modelled_j=self.saved_modelled * seconds,
            wakes_j=self.waking * seconds,
            cost=used / JOULES_PER_KWH * per_kwh,
            money_saved=net / JOULES_PER_KWH * per_kwh,
        )


def rates_of(draws: Sequence[Draw], asleep_before: Collection[str]) -> Rates:
    """Return the rates at a look; only hosts count as asleep that were so at the look before, too."""
    on = [one for one in draws if not one.is_asleep]
    down = [one for one in draws if one.is_asleep and one.host in asleep_before]
    used = {True: 0.0, False: 0.0}
    for one in draws:
        used[one.metered] += one.watts
    saved = {True: 0.0, False: 0.0}
    capacity_on, capacity_down = sum(one.capacity for one in on), sum(one.capacity for one in down)
    if down:
        share = capacity_on / (capacity_on + capacity_down) if capacity_on else 0.0
        mean = sum(one.load_ratio * one.capacity for one in on) / capacity_on if capacity_on else 0.0
        for one in down:
            asleep_watts = one.sleep_watts if one.is_waking else one.watts
            saved[one.fitted] += watts_at(one.curve, share * mean) - asleep_watts
        for one in on:
            saved[one.fitted] -= watts_at(one.curve, one.load_ratio) - watts_at(one.curve, share * one.load_ratio)
    waking = sum(one.watts - one.sleep_watts for one in down if one.is_waking)
    return Rates(used[True], used[False], saved[True], saved[False], waking, len(down))


def last_of(days: Iterable[EnergyDay], now: datetime, most_gap_s: float) -> EnergyDay | None:
    """Return the record that the next span goes on from: the latest, but for those of a clock that was ahead."""
    known = [day for day in days if (day.until - now).total_seconds() <= most_gap_s]
    return max(known, key=lambda day: day.until, default=None)


def counted_on(
    days: Sequence[EnergyDay],
    now: datetime,
    draws: Sequence[Draw],
    moved_j: float,
    prices: Prices,
    *,
    night: bool,
    most_gap_s: float,
) -> EnergyDay | None:
    """Return today's record with the span since the last look added; `None`: nothing to add, now is no later.

    `days` are the latest records, today's among them where there is one. No span is counted twice, whoever asks how
    often; `moved_j` is the energy of the moves since the last look.
    """
    last = last_of(days, now, most_gap_s)
    if last is not None and now <= last.until:
        return None
    today = now.astimezone(UTC).date().isoformat()
    day = next((one for one in days if one.day == today), EnergyDay(today, now))
    added = NOTHING
    if last is not None:
        gap_s = (now - last.until).total_seconds()
        if gap_s <= most_gap_s:
            added = rates_of(draws, last.asleep).over(gap_s, prices.mean_per_kwh(last.until, now))
        added += Energy(moves_j=moved_j, money_saved=-moved_j / JOULES_PER_KWH * prices.per_kwh(now))
    return replace(
        day,
        until=now,
        asleep=tuple(sorted(one.host for one in draws if one.is_asleep)),
        night=day.night + added if night else day.night,
        rest=day.rest if night else day.rest + added,
        currency=prices.energy.currency if prices.is_known else "",
    )


def moved_joules(records: Iterable[PlanRecord], since: datetime, until: datetime, joules_per_gib: float) -> float:
    """Return the energy of the moves for the sake of power that ended after `since` and up to `until`, done or not."""
    mib = 0
    for record in records:
        steps = record.plan.steps
        if record.plan.policy not in FOR_POWER and not any(isinstance(step, Sleep | Wake) for step in steps):
            continue
        for step in steps:
            written = record.steps.get(step.id)
            if isinstance(step, Migrate) and written is not None and since < written.at <= until:
                mib += written.mib if written.state.is_final else 0
    return mib / 1024 * joules_per_gib


def waking_now(active: PlanRecord | None) -> frozenset[str]:
    """Return the hosts that the plan under way is waking."""
    if active is None:
        return frozenset()
    wakes = [step for step in active.plan.steps if isinstance(step, Wake)]
    return frozenset(step.host for step in wakes if active.step_state(step.id) is StepState.RUNNING)
