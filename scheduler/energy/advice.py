"""What the energy policy advises at one moment: hosts to wake, how many may sleep, and what guests are planned to use.

Pure: the same snapshot, outlook, flags and settings give the same advice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from cluster import power_log
from cluster.config.consolidate import ConsolidateSettings
from cluster.config.settings import Settings
from cluster.host import PowerState
from cluster.limits import Resource, limit
from cluster.prices import prices_of
from cluster.snapshot import Snapshot
from cluster.wake_proof import failed_wakes
from policies.request import PowerTerms
from policies.rules.registry import lower
from scheduler.energy.commitment import Commitment, Demand, Keeps, commit, needed
from scheduler.energy.losses import Losses
from scheduler.energy.night import Night
from scheduler.energy.outlook import Outlook
from scheduler.energy.sharing import watts_to_save
from scheduler.energy.units import Unit, units_of

JOULES_PER_KWH = 3_600_000.0
NOBODY = 1 << 50
TOGETHER_S = 600.0
"""When a host is woken, those needed by so much later are woken with it."""
PLACED_FOR_S = 900.0
"""So long ahead guests are planned where they are put; what comes later finds other places in time."""
SHARED_FOR_S = 1800.0
"""How long it pays that load is shared out better: until loads have changed, however long hosts sleep."""
RELIEVED_FOR_S = 600.0
"""The same where full hosts are relieved and nothing else is to be gained: few guests move."""


@dataclass(frozen=True, slots=True)
class Advice:
    """`is_night`: hosts may sleep now, as far as they are not needed. `wake`: hosts to wake, each with a sentence.

    `is_urgent`: what runs now waits for them. `is_crowded`: a host is, or is planned to be, too full; `spare` are the
    hosts asleep that could relieve it, the fastest to wake first. `terms` and `settings` are for a consolidation now.
    `why_rest`: no host may sleep and none is too full: there is nothing to plan. `kwh` and `bound_kwh`: idle energy of
    all hosts over the horizon as committed, and the least that any commitment could have. `reasons`: why hosts that
    are on may not sleep.
    """

    is_night: bool
    wake: tuple[tuple[str, str], ...]
    is_urgent: bool
    is_crowded: bool
    spare: tuple[str, ...]
    terms: PowerTerms
    settings: ConsolidateSettings
    sleepers: int
    why_rest: str | None
    kwh: float
    bound_kwh: float
    reasons: Mapping[str, str]


def advise(
    snapshot: Snapshot,
    flags: Mapping[str, str],
    settings: Settings,
    night: Night | None,
    outlook: Outlook,
    own_host: str,
    now: datetime,
) -> Advice:
    """Return the advice for now; without a `night` all hosts that we put to sleep are to be woken."""
    chosen = settings.consolidate if night is None else settings.consolidate.at_depth(night.depth)
    chosen = replace(chosen, reserve_hosts=chosen.reserve_hosts + failed_wakes(flags, now))
    units = units_of(snapshot, flags, chosen, settings.limits, own_host, now)
    demand = _demand(snapshot, units, outlook, settings, now)
    sleeping, waking = _keeps(chosen, 1 - chosen.headroom_ratio), _keeps(chosen, 1 - chosen.wake_headroom_ratio)
    lead_s = chosen.spread_s + settings.scheduler.interval_s
    if night is not None:
        demand = _until_morning(demand, outlook, night, now)
    plan = commit(units, demand, sleeping, waking, chosen.least_off_s, lead_s)
    on = sum(unit.is_on for unit in units)
    present = int(sum(guest.usage.cpu_millicores or 0 for guest in snapshot.guests))
    now_demand = replace(demand, cpu_millicores=np.array([present]), price=demand.price[:1], apart=1.0)
    wake, is_urgent = _wakes(snapshot, settings, chosen, night, plan, now_demand, sleeping, waking, on, lead_s, outlook)
    resting = _woke_lately(snapshot, flags, chosen, now)
    # Nor does a host sleep that present use needs, whatever the forecast said of it.
    held_now = on - int(needed(plan.order, now_demand, sleeping)[0])
    sleepers = 0 if night is None or wake or resting else max(0, min(int(plan.pays.sum()), held_now))
    idle_s = float(plan.asleep_for_s[plan.pays].min()) if sleepers else SHARED_FOR_S
    shares = _outdone(snapshot, outlook.shares(outlook.steps_within(PLACED_FOR_S)))
    terms = PowerTerms(
        may_sleep=frozenset(unit.id for unit in units if sleepers and unit.is_on and unit.why_on is None),
        awake_at_least=on - sleepers,
        planned_millicores=shares,
        total_millicores=max(present, int(outlook.total_millicores[: outlook.steps_within(PLACED_FOR_S)].max())),
    )
    crowded = _crowded(snapshot, settings, chosen, shares)
    why_rest = None
    watts, to_save = watts_to_save(snapshot, settings.limits, 1 - chosen.headroom_ratio)
    # Guests that move rest afterwards: where hosts are about to be emptied, none moves for a better share of the load.
    soon = outlook.steps_within(2 * settings.gate.guest_cooldown_s)
    worth_sharing = to_save > settings.gate.least_gain_ratio * watts and int(plan.to_sleep[:soon].min()) >= on
    lasts_s = min(idle_s, SHARED_FOR_S) if sleepers or worth_sharing else RELIEVED_FOR_S
    chosen = replace(chosen, horizon_s=max(1.0, lasts_s))
    if not sleepers and crowded is None and not (worth_sharing and night is not None):
        why_rest = f"{on} hosts are awake, {on} needed by the {outlook.source}"
    return Advice(
        # Waking looks two steps further ahead than it takes.
        is_night=night is not None and not _is_morning(night, units, lead_s + 2 * outlook.step_s, now),
        wake=wake,
        is_urgent=is_urgent,
        is_crowded=crowded is not None,
        spare=_spare(plan, crowded),
        terms=terms,
        settings=chosen,
        sleepers=sleepers,
        why_rest=why_rest,
        kwh=plan.value / JOULES_PER_KWH,
        bound_kwh=plan.bound / JOULES_PER_KWH,
        reasons={unit.id: unit.why_on for unit in units if unit.why_on is not None},
    )


def _woke_lately(snapshot: Snapshot, flags: Mapping[str, str], chosen: ConsolidateSettings, now: datetime) -> bool:
    """Tell whether any host woke less than its least time on ago: what made it wake may not be over."""
    changes = (power_log.last_change(flags, host.id) for host in snapshot.hosts)
    rest = timedelta(seconds=chosen.least_on_s)
    return any(one is not None and one.state is PowerState.ON and now - one.at < rest for one in changes)


def _is_morning(night: Night, units: tuple[Unit, ...], lead_s: float, now: datetime) -> bool:
    """Tell whether all hosts are on already for the time by which they are to be, and guests may spread."""
    if night.awake_by is None or any(not unit.is_on for unit in units):
        return False
    longest_s = max((unit.wake_s for unit in units), default=0.0)
    return (night.awake_by - now).total_seconds() <= longest_s + lead_s


def _keeps(chosen: ConsolidateSettings, fill_ratio: float) -> Keeps:
    return Keeps(fill_ratio, chosen.reserve_hosts, chosen.host_losses, bool(chosen.lost_domain))


def _demand(snapshot: Snapshot, units: tuple[Unit, ...], outlook: Outlook, settings: Settings, now: datetime) -> Demand:
    held = {unit.id for unit in units}
    guests = [guest for guest in snapshot.guests if guest.host in held]
    steps = max(1, min(outlook.steps, int(-(-settings.consolidate.horizon_s // outlook.step_s))))
    share = 1.0
    if len(guests) < len(snapshot.guests):
        shares = outlook.shares(1)
        whole = sum(shares.get(guest.id, 0) for guest in snapshot.guests)
        share = sum(shares.get(guest.id, 0) for guest in guests) / whole if whole else 0.0
    course = np.ceil(outlook.total_millicores[:steps] * share).astype(np.int64)
    prices = prices_of(settings)
    price = np.ones(steps)
    if prices.is_known:
        at = [now + timedelta(seconds=k * outlook.step_s) for k in range(steps)]
        price = np.array([prices.per_kwh(one) for one in at])
    memory_mib = sum(guest.memory_demand_mib for guest in guests)
    return Demand(course, memory_mib, price, float(outlook.step_s), outlook.apart)


def _until_morning(demand: Demand, outlook: Outlook, night: Night, now: datetime) -> Demand:
    """Return the demand with all hosts needed from when all are to be awake."""
    if night.awake_by is None:
        return demand
    first = int(max(0.0, (night.awake_by - now).total_seconds()) // outlook.step_s)
    course = demand.cpu_millicores.copy()
    course[first:] = np.iinfo(np.int64).max
    return replace(demand, cpu_millicores=course)


def _wakes(
    snapshot: Snapshot,
    settings: Settings,
    chosen: ConsolidateSettings,
    night: Night | None,
    plan: Commitment,
    present: Demand,
    sleeping: Keeps,
    waking: Keeps,
    on: int,
    lead_s: float,
    outlook: Outlook,
) -> tuple[tuple[tuple[str, str], ...], bool]:
    """Return the hosts to wake now, with reasons, and whether that is urgent."""
    asleep = [unit for unit in plan.order if not unit.is_on]
    if not asleep:
        return (), False
    if night is None:
        return tuple((unit.id, "the night is over") for unit in asleep), False
    now_needed = int(needed(plan.order, present, waking)[0])
    if now_needed > on:
        # As many as bring it back under the lower threshold: what has come unforeseen may go on rising.
        surge = max(1, int(needed(plan.order, present, sleeping)[0]) - on)
        fastest = sorted(asleep, key=lambda unit: (unit.is_doubtful, unit.wake_s, unit.id))[:surge]
        return tuple(
            (unit.id, "the load has passed the head-room of the hosts that are awake") for unit in fastest
        ), True
    woken: list[tuple[str, str]] = []
    for extra_s in (0.0, TOGETHER_S):
        woken = _needed_soon(plan, outlook, lead_s + extra_s)
        if not woken:
            break
    if woken:
        return tuple(woken), False
    forms = [form for rule in snapshot.rules if (form := lower(rule, snapshot)) is not None]
    losses = Losses(snapshot, settings.limits, forms, None, chosen.host_losses, chosen.lost_domain)
    awake = {unit.id for unit in plan.order if unit.is_on}
    if (why := losses.why_not_held({}, awake)) is not None:
        fastest = sorted(asleep, key=lambda unit: (unit.is_doubtful, unit.wake_s, unit.id))
        return ((fastest[0].id, why),), True
    return (), False


def _needed_soon(plan: Commitment, outlook: Outlook, lead_s: float) -> list[tuple[str, str]]:
    """Return the hosts asleep that are needed before they could be ready if they were woken later, with reasons."""
    found = []
    for place, unit in enumerate(plan.order):
        if unit.is_on:
            continue
        within = outlook.steps_within(unit.wake_s + lead_s) + 1
        ahead = plan.to_wake[:within] > place
        if ahead.any():
            at = outlook.start + timedelta(seconds=int(ahead.argmax()) * outlook.step_s)
            found.append((unit.id, f"needed by {at:%H:%M} UTC by the {outlook.source}"))
    return found


def _outdone(snapshot: Snapshot, shares: Mapping[str, int]) -> Mapping[str, int]:
    """Return the shares, with present use in their place on hosts whose guests use more together than was planned."""
    planned = dict(shares)
    for guests in snapshot.guests_by_host.values():
        use = {guest.id: guest.usage.cpu_millicores or 0 for guest in guests}
        if sum(use.values()) > sum(planned.get(one, figure) for one, figure in use.items()):
            planned |= {one: max(figure, planned.get(one, 0)) for one, figure in use.items()}
    return planned


def _spare(plan: Commitment, crowded: int | None) -> tuple[str, ...]:
    """Return the hosts asleep that could take the smallest guest of the fullest host, the fastest to wake first."""
    asleep = (unit for unit in plan.order if not unit.is_on and not unit.is_doubtful)
    able = (unit for unit in asleep if crowded is not None and unit.cpu_millicores >= crowded)
    return tuple(unit.id for unit in sorted(able, key=lambda unit: (unit.wake_s, unit.id)))


def _crowded(
    snapshot: Snapshot, settings: Settings, chosen: ConsolidateSettings, planned: Mapping[str, int]
) -> int | None:
    """Return whether a host is over its limits, or planned to be beyond what calls for relief: `None` for no.

    Else what the least of the guests that could leave it is planned to use of CPU, millicores; very much for none.
    """
    found: int | None = None
    for host in snapshot.hosts:
        if snapshot.why_unplannable(host) is not None:
            continue
        guests = snapshot.guests_by_host[host.id]
        most = limit(host, Resource.CPU, settings.limits) or 0
        room = limit(host, Resource.MEMORY, settings.limits)
        use = sum(guest.usage.cpu_millicores or 0 for guest in guests)
        ahead = {guest.id: planned.get(guest.id, guest.usage.cpu_millicores or 0) for guest in guests}
        is_full = use > most or sum(ahead.values()) > int(most * (1 - chosen.wake_headroom_ratio) + 1e-6)
        if is_full or (room is not None and sum(guest.memory_demand_mib for guest in guests) > room):
            leaving = [ahead[guest.id] for guest in guests if guest.movable] if len(guests) > 1 else []
            least = min(leaving, default=NOBODY)
            found = least if found is None else min(found, least)
    return found
