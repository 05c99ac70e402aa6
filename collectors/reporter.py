"""What turns a collector's looks into reports and keeps usage history: origin, order, smoothing, one sample per slot.

CPU figures are smoothed exponentially over `smoothing_s`, so that one busy second moves no guest; history gets the
unsmoothed mean of each 5-minute slot, written once when the slot is over.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime

from cluster.clock import Clock
from cluster.guest import Guest
from cluster.history import Metric, host_owner, slot_of, slot_start
from cluster.report import HostUsage, Observation, Report
from cluster.store.protocol import Store
from collectors.protocol import Collector

MOST_WAITING = 50_000


@dataclass(slots=True)
class _Mean:
    """Sum and number of the samples of one slot."""

    slot: int
    total: float = 0.0
    count: int = 0


class Reporter:
    """Reports on one host. `boot_id` names the host's run, as its agent knows it, or is `remote` without an agent."""

    def __init__(self, collector: Collector, clock: Clock, boot_id: str, smoothing_s: float = 0.0) -> None:
        self.collector = collector
        self._boot_id = boot_id
        self._agent_start = clock.now()
        self._smoothing_s = smoothing_s
        self._sequence = 0
        self._smooth: dict[str, tuple[datetime, float]] = {}
        self._means: dict[tuple[str, Metric], _Mean] = {}
        # Bounded: a store that is away for days costs history, not memory.
        self._over: deque[tuple[str, Metric, int, int]] = deque(maxlen=MOST_WAITING)

    @property
    def host(self) -> str:
        """Id of the host reported on."""
        return self.collector.host

    def report(self) -> Report:
        """Look once and return the next report. Raises what the collector raises."""
        observation = self.collector.collect()
        self._gather(observation)
        guests = tuple(self._smoothed(guest, observation.taken_at) for guest in observation.guests)
        present = {guest.id for guest in guests}
        self._smooth = {guest: kept for guest, kept in self._smooth.items() if guest in present}
        self._sequence += 1
        return Report(self._boot_id, self._agent_start, self._sequence, replace(observation, guests=guests))

    def publish(self, report: Report, store: Store, ttl_s: float) -> bool:
        """Put a report into the store, and history that is due. False when the store holds a newer report.

        Raises `StoreUnavailableError`; what could not be written of the history is kept for the next time.
        """
        kept = store.put_report(report, ttl_s)
        self._write_history(store)
        return kept

    def flush(self, store: Store) -> None:
        """Write what has been gathered of the present slot: the last act before an end."""
        self._close_slots(None)
        self._write_history(store)

    def _smoothed(self, guest: Guest, at: datetime) -> Guest:
        now = guest.usage.cpu_millicores
        if now is None:
            self._smooth.pop(guest.id, None)
            return guest
        value = float(now)
        if self._smoothing_s > 0 and guest.id in self._smooth:
            before_at, before = self._smooth[guest.id]
            share = 1.0 - math.exp(-max(0.0, (at - before_at).total_seconds()) / self._smoothing_s)
            value = before + share * (now - before)
        self._smooth[guest.id] = (at, value)
        return replace(guest, usage=replace(guest.usage, cpu_millicores=round(value)))

    def _gather(self, observation: Observation) -> None:
        slot = slot_of(observation.taken_at)
        self._close_slots(slot)
        owned = [(guest.id, _samples(guest)) for guest in observation.guests]
        for owner, samples in (*owned, (host_owner(observation.host.id), _samples_of_host(observation.usage))):
            for metric, value in samples:
                mean = self._means.setdefault((owner, metric), _Mean(slot))
                mean.total += value
                mean.count += 1

    def _close_slots(self, present: int | None) -> None:
        """Take the means of every slot but the present one out for writing."""
        over = [key for key, mean in self._means.items() if mean.slot != present]
        for guest, metric in over:
            mean = self._means.pop((guest, metric))
            self._over.append((guest, metric, mean.slot, round(mean.total / mean.count)))

    def _write_history(self, store: Store) -> None:
        while self._over:
            guest, metric, slot, value = self._over[0]
            store.record_usage(guest, metric, slot_start(slot), value)
            self._over.popleft()


def _samples(guest: Guest) -> list[tuple[Metric, float]]:
    figures: tuple[tuple[Metric, float | None], ...] = (
        (Metric.CPU_MILLICORES, guest.usage.cpu_millicores),
        (Metric.MEMORY_MIB, guest.usage.memory_mib),
        (Metric.NET_MBIT_S, guest.usage.net_mbit_s),
        (Metric.DISK_MIB_S, guest.usage.disk_mib_s),
        (Metric.DIRTY_MIB_S, guest.dirty.mib_s),
    )
    return [(metric, value) for metric, value in figures if value is not None]


def _samples_of_host(usage: HostUsage) -> list[tuple[Metric, float]]:
    """Return a metered host's load and draw, which together tell its power curve; nothing of others."""
    if usage.watts is None or usage.cpu_millicores is None:
        return []
    return [(Metric.CPU_MILLICORES, usage.cpu_millicores), (Metric.MILLIWATTS, usage.watts * 1000)]
