"""Where the energy policy gets what it knows: forecasts from the store's history, made now and then."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from cluster.config.consolidate import PlanBy
from cluster.config.settings import Settings, WindowKind
from cluster.history import SLOT_S, Metric, slot_of
from cluster.limits import Resource, demand, limit
from cluster.snapshot import Snapshot
from cluster.store.protocol import Store
from scheduler.energy.night import CONSOLIDATE, night_of

if TYPE_CHECKING:
    from scheduler.energy.advice import Advice
    from scheduler.energy.outlook import Outlook

KEPT_S = 1800.0
"""A forecast serves for so long, unless guests come or go, or use more than it held likely."""


class EnergyDesk:
    """Gives advice on the cluster as it is seen. `own_name`: this machine's, empty where hosts are pretended."""

    def __init__(self, store: Store, own_name: str) -> None:
        self._store = store
        self._own_name = own_name
        self._known: tuple[object, ...] = ()
        self._slot = 0
        self._kept_s = 0.0
        self._outlook: Outlook | None = None

    def advise(self, snapshot: Snapshot, settings: Settings, now: datetime) -> Advice | None:
        """Return the advice for now; `None` where nobody wants hosts to sleep and none does."""
        flags = self._store.flags() if not is_wanted(settings) else {}
        if not is_wanted(settings) and not any(flag.startswith("power:") for flag in flags):
            return None
        # Late: numpy takes a while to load, and most clusters want none of this.
        from scheduler.energy.advice import advise

        outlook = self._look_ahead(snapshot, settings, now)
        own = settings.consolidate.scheduler_host or self._own_name
        return advise(snapshot, self._store.flags(), settings, night_of(settings, now), outlook, own, now)

    def _look_ahead(self, snapshot: Snapshot, settings: Settings, now: datetime) -> Outlook:
        from scheduler.energy.advice import PLACED_FOR_S
        from scheduler.energy.outlook import outlook_of, recent_outlook
        from scheduler.forecast.forecast import Limits, forecast

        chosen = settings.consolidate
        guests = tuple(sorted(guest.id for guest in snapshot.guests))
        if chosen.plan_by is PlanBy.RECENT:
            pasts = {one: self._store.usage(one, Metric.CPU_MILLICORES) for one in guests}
            return recent_outlook(snapshot, pasts, chosen.horizon_s)
        known = (guests, chosen.horizon_s, chosen.quantile)
        present = sum(guest.usage.cpu_millicores or 0 for guest in snapshot.guests)
        if self._outlook is not None and known == self._known:
            outlook = self._outlook.seen_from(now)
            is_fresh = (now - self._outlook.start).total_seconds() < self._kept_s
            if is_fresh and present <= outlook.total_millicores[0]:
                return outlook
            if slot_of(now) == self._slot:
                return outlook
        rings = {one: {Metric.CPU_MILLICORES: self._store.usage(one, Metric.CPU_MILLICORES)} for one in guests}
        limits = {guest.id: Limits(guest.vcpus * 1000, guest.memory_mib) for guest in snapshot.guests}
        ahead = forecast(rings, now, chosen.horizon_s + KEPT_S, limits)
        self._outlook = outlook_of(ahead, chosen.quantile, group_size(snapshot, settings), PLACED_FOR_S)
        self._known, self._slot = known, slot_of(now)
        # Of a short history a quarter more changes what is likely: the first forecasts soon give way to better ones.
        seen = max((len(rings[one][Metric.CPU_MILLICORES].latest(now, 24)) for one in guests[:8]), default=0)
        self._kept_s = min(KEPT_S, max(1, seen // 4) * SLOT_S)
        return self._outlook.seen_from(now)


def is_wanted(settings: Settings) -> bool:
    """Tell whether hosts are to be put to sleep at any time."""
    nights = any(window.kind is WindowKind.NIGHT for window in settings.windows)
    return nights or settings.scheduler.policy == CONSOLIDATE


def group_size(snapshot: Snapshot, settings: Settings) -> int:
    """Return how many guests a host holds when all are on as few hosts as their present use needs."""
    parts = []
    for resource in (Resource.CPU, Resource.MEMORY):
        most = [limit(host, resource, settings.limits) or 0 for host in snapshot.hosts]
        held = sum(demand(guest, resource) for guest in snapshot.guests)
        parts.append(held / max(1.0, sum(most) * (1 - settings.consolidate.headroom_ratio)))
    hosts = max(1.0, max(parts) * len(snapshot.hosts) + settings.consolidate.reserve_hosts)
    return max(1, round(len(snapshot.guests) / hosts))
