"""The leader's look at the hosts' draw: reads BMCs' meters, fits curves, and adds up what sleeping saves.

All that it knows is in the store: each day's energy, written with the fencing token, so that a restart or another
leader goes on where this one was; readings in the hosts' own rings; fits in flags. What is in memory is only the
latest readings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cluster import energy_day, watt_fit
from cluster.clock import Clock
from cluster.config.settings import Settings, WindowKind
from cluster.energy_day import EnergyDay
from cluster.errors import FencedError
from cluster.history import Metric, host_owner
from cluster.host import PowerState
from cluster.plan import PlanRecord
from cluster.prices import prices_of
from cluster.report import Report
from cluster.snapshot import Snapshot
from cluster.store.protocol import Lease, Sample, Store
from cluster.watt_fit import WattFit
from scheduler.parts import Meters
from scheduler.watts.curves import fitted_hosts
from scheduler.watts.savings import counted_on, draws_of, last_of, moved_joules, waking_now
from scheduler.windows import any_open

GAP_LOOKS = 3
LEAST_GAP_S = 180.0
PLANS_LOOKED_AT = 20
DAYS_LOOKED_AT = 3
FITS_AT_ONCE = 4
FIT_AGAIN = timedelta(days=1)
TRY_AGAIN = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Shown:
    """What BMCs' meters showed at the last look: watts, and why nothing, by host."""

    watts: Mapping[str, float] = field(default_factory=dict)
    troubles: Mapping[str, str] = field(default_factory=dict)


class WattWatch:
    """One job of the loop. `look` gives the cluster as it is, `lease` leadership while it is held."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        settings: Callable[[], Settings],
        look: Callable[[PlanRecord | None], Snapshot],
        lease: Callable[[], Lease | None],
        meters: Meters | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._look = look
        self._lease = lease
        self._meters = meters
        self.shown = Shown()

    @property
    def every_s(self) -> float:
        """How often to run."""
        return self._settings().energy.meter_every_s

    def run(self) -> None:
        """Look once. Only the leader does; `StoreUnavailableError` passes through, nothing being lost but this look."""
        if self._lease() is None:
            return
        most_gap_s = max(LEAST_GAP_S, GAP_LOOKS * self.every_s)
        if self._meters is not None:
            self.shown = Shown(self._meters.read(most_gap_s), self._meters.troubles)
        if (lease := self._lease()) is None:
            return  # reading meters takes a while
        store, now = self._store, self._clock.now()
        active = store.active_plan()
        snapshot, flags = self._look(active), store.flags()
        reports = {report.host: report for report in store.reports()}
        readings = plausible({**self.shown.watts, **reported_watts(reports, snapshot)}, snapshot)
        self._record(snapshot, reports, readings, now)
        self._fit(snapshot, flags, readings, now)
        days = read_days(store, DAYS_LOOKED_AT)
        since = last.until if (last := last_of(days, now, most_gap_s)) is not None else now
        chosen = self._settings()
        per_gib = chosen.consolidate.move_joules_per_gib
        by_us = frozenset(host.id for host in snapshot.hosts if flags.get(f"power:{host.id}") == PowerState.ASLEEP)
        fitted = fitted_hosts(flags) if chosen.energy.fitted_curves else frozenset[str]()
        day = counted_on(
            days,
            now,
            draws_of(snapshot, by_us, waking_now(active), readings, fitted),
            moved_joules(store.plans(PLANS_LOOKED_AT), since, now, per_gib),
            prices_of(chosen),
            night=any_open(chosen.windows, WindowKind.NIGHT, now),
            most_gap_s=most_gap_s,
        )
        if day is not None:
            try:
                store.put_energy_day(day.day, energy_day.write(day), lease.token)
            except FencedError:
                return  # another leads and counts on from what it finds

    def _record(
        self, snapshot: Snapshot, reports: Mapping[str, Report], readings: Mapping[str, float], now: datetime
    ) -> None:
        """Keep what a BMC's meter showed beside the load; a host that has a meter of its own keeps that itself."""
        samples = []
        for host in snapshot.hosts:
            if snapshot.why_unplannable(host) is not None or not {host.id} <= readings.keys() & reports.keys():
                continue
            usage = reports[host.id].observation.usage
            if usage.cpu_millicores is not None and usage.watts is None:
                milliwatts = round(readings[host.id] * 1000)
                samples.append(Sample(host_owner(host.id), Metric.CPU_MILLICORES, now, usage.cpu_millicores))
                samples.append(Sample(host_owner(host.id), Metric.MILLIWATTS, now, milliwatts))
        if samples:
            self._store.record_samples(samples)

    def _fit(self, snapshot: Snapshot, flags: Mapping[str, str], readings: Mapping[str, float], now: datetime) -> None:
        """Fit the curves of a few metered hosts anew, those first whose fit is the oldest."""
        configured = {host.id: host.power.watts for host in self._settings().hosts}
        due = []
        for host in snapshot.hosts:
            kept = watt_fit.read(flags.get(watt_fit.PREFIX + host.id, ""))
            wait = FIT_AGAIN if kept is not None and isinstance(kept[0], WattFit) else TRY_AGAIN
            if host.id in readings and (kept is None or not timedelta(0) <= now - kept[1] < wait):
                due.append((kept[1].isoformat() if kept is not None else "", host.id))
        for _, name in sorted(due)[:FITS_AT_ONCE]:
            owner, millicores = host_owner(name), snapshot.host_by_id[name].cpu_millicores
            rings = [self._store.usage(owner, metric) for metric in (Metric.CPU_MILLICORES, Metric.MILLIWATTS)]
            found = watt_fit.fit(watt_fit.pairs_of(rings[0], rings[1], millicores, now), configured.get(name, ()))
            self._store.set_flag(watt_fit.PREFIX + name, watt_fit.write(found, now))


def reported_watts(reports: Mapping[str, Report], snapshot: Snapshot) -> dict[str, float]:
    """Return what agents' own meters of whole machines show, of hosts that are on and whose figures are fresh."""
    found = {}
    for host in snapshot.hosts:
        watts = reports[host.id].observation.usage.watts if host.id in reports else None
        if watts is not None and snapshot.why_unplannable(host) is None:
            found[host.id] = watts
    return found


def plausible(readings: Mapping[str, float], snapshot: Snapshot) -> dict[str, float]:
    """Return readings without those of hosts that are on and show nothing: such a meter is none."""
    on = {host.id for host in snapshot.hosts if host.power.state is PowerState.ON}
    return {host: watts for host, watts in readings.items() if watts > 0 or host not in on}


def read_days(store: Store, most: int) -> list[EnergyDay]:
    """Return the latest days' energy, oldest first, without those that this version cannot read."""
    found = (energy_day.read(day, text) for day, text in store.energy_days(most).items())
    return [day for day in found if day is not None]
