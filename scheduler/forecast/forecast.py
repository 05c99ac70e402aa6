"""What guests will use in the coming hours: quantiles of CPU and memory, per guest and for guests together. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import numpy as np

from cluster.history import SLOT_S, Metric, UsageRing, slot_of, slot_start
from scheduler.forecast.features import DAY
from scheduler.forecast.marginal import Marginals, marginals
from scheduler.forecast.quantiles import between, spread
from scheduler.forecast.series import Bools, Floats, Ints, aligned, carried_forward
from scheduler.forecast.sums import summed

SHORT_SLOTS = 2 * DAY
"""With less history than this a guest's forecast knows no time of day, and says that its history is short."""
LONGEST_S = 6 * 24 * 3600
"""Farther ahead, the same time last week would not be known yet."""
GROUPS_TRIED = 8
"""So many typical hosts are looked at for the shares of guests."""


@dataclass(frozen=True)
class Limits:
    """The most a guest can use: its vCPUs and its memory."""

    cpu_millicores: int
    memory_mib: int


@dataclass(frozen=True)
class _OfMetric:
    """One metric's figures; forecast when first asked for."""

    rings: tuple[UsageRing, ...]
    at: datetime
    steps: int
    limits: Floats

    @cached_property
    def values(self) -> Floats:
        """The past [guest, slot], NaN where unknown."""
        return aligned(self.rings, self.at)

    @cached_property
    def history(self) -> Floats:
        """The past [guest, slot], gaps filled."""
        return carried_forward(self.values)

    @cached_property
    def of(self) -> Marginals:
        """Each guest's own forecast."""
        return marginals(self.values, self.steps, self.limits)

    def summed(self, rows: Ints, q: float) -> Floats:
        """Return the `q`-quantile of the sum of these guests [step]; not to be written to."""
        key = (rows.tobytes(), q)
        if key not in self._sums:
            self._sums[key] = summed(self.values, self.history, self.of, self.limits, rows, q)
        return self._sums[key]

    @cached_property
    def _sums(self) -> dict[tuple[bytes, float], Floats]:
        """Sums that were asked for: shares over several times ask for the same ones."""
        return {}


@dataclass(frozen=True)
class Forecast:
    """Forecast for `guests` (sorted): step k covers `step_s` seconds from `start` + k `step_s`, k below `steps`.

    Figures are rounded up. A guest of whom nothing is known is forecast at its limit; without one, it is not among
    `guests` but in `unknown`. `ValueError` when memory is asked for and was never measured of a guest without limits.
    """

    start: datetime
    step_s: int
    steps: int
    guests: tuple[str, ...]
    unknown: tuple[str, ...]
    _cpu: _OfMetric = field(repr=False)
    _memory: _OfMetric = field(repr=False)

    @property
    def cpu_mean(self) -> Ints:
        """Expected use, millicores [guest, step]."""
        return _integers(self._cpu.of.mean)

    @property
    def memory_mean(self) -> Ints:
        """Expected use, MiB [guest, step]."""
        return _integers(self._memory.of.mean)

    @property
    def is_short_history(self) -> Bools:
        """Whether each guest's history of CPU use is under two days [guest]: wide quantiles, no daily shape."""
        return np.asarray(self._cpu.of.known < SHORT_SLOTS)

    def cpu_quantile(self, q: float) -> Ints:
        """Return the level that use stays under with probability `q`, millicores [guest, step]."""
        return _integers(between(self._cpu.of.grid, q))

    def memory_quantile(self, q: float) -> Ints:
        """Return the level that use stays under with probability `q`, MiB [guest, step]."""
        return _integers(between(self._memory.of.grid, q))

    def sum_quantile(self, guests: Sequence[str], q: float, metric: Metric = Metric.CPU_MILLICORES) -> Ints:
        """Return the level that the sum of these guests stays under with probability `q`: [step], in the metric's unit.

        It is forecast from what they used together in the past. `KeyError` for a guest that is not forecast.
        """
        if not guests:
            return np.zeros(self.steps, np.int64)
        row = {guest: index for index, guest in enumerate(self.guests)}
        of = {Metric.CPU_MILLICORES: self._cpu, Metric.MEMORY_MIB: self._memory}[metric]
        return _integers(of.summed(np.asarray([row[guest] for guest in guests], np.int64), q))

    def planning_millicores(self, q: float, group_size: int, steps: int) -> Ints:
        """Return each guest's share [guest], such that shares on a typical host sum to that host's peak.

        The peak of a host is the highest `q`-quantile of its guests' sum over the first `steps` steps. A typical host
        holds `group_size` guests of all kinds. A share is the guest's mean over those steps, plus a multiple, the same
        for all, of the standard deviation of its forecast.
        """
        steps = max(1, min(steps, self.steps))
        if not self.guests:
            return np.zeros(0, np.int64)
        mean = self._cpu.of.mean[:, :steps].mean(axis=1).astype(np.float64)
        deviation = spread(self._cpu.of.grid[:, :, :steps]).mean(axis=1)
        needed = known = 0.0
        for rows in _groups(len(self.guests), group_size):
            needed += float(self._cpu.summed(rows, q)[:steps].max() - mean[rows].sum())
            known += float(deviation[rows].sum())
        if known > 0:
            return _integers(np.asarray(mean + max(0.0, needed / known) * deviation))
        return _integers(mean)


def forecast(
    rings: Mapping[str, Mapping[Metric, UsageRing]],
    now: datetime,
    horizon_s: float,
    limits: Mapping[str, Limits] | None = None,
) -> Forecast:
    """Forecast every guest of `rings` or `limits` from the slot after `now` on, in slots of five minutes.

    Nothing recorded after `now` is looked at. No figure passes a guest's limits, unless its use once did. At least one
    slot is forecast; `ValueError` when the horizon is over `LONGEST_S`.
    """
    if horizon_s > LONGEST_S:
        raise ValueError(f"nothing can be said of {horizon_s:g} s ahead: at most {LONGEST_S} s")
    limits = limits or {}
    named = sorted({*rings, *limits})
    unknown = tuple(
        guest
        for guest in named
        if guest not in limits and not aligned([_ring(rings, guest, Metric.CPU_MILLICORES)], now).size
    )
    guests = tuple(guest for guest in named if guest not in unknown)
    steps = max(1, math.ceil(horizon_s / SLOT_S))
    cpu, memory = (
        _OfMetric(
            tuple(_ring(rings, guest, metric) for guest in guests),
            now,
            steps,
            np.asarray([_limit(limits.get(guest), metric) for guest in guests], np.float32),
        )
        for metric in (Metric.CPU_MILLICORES, Metric.MEMORY_MIB)
    )
    return Forecast(slot_start(slot_of(now) + 1), SLOT_S, steps, guests, unknown, cpu, memory)


def _ring(rings: Mapping[str, Mapping[Metric, UsageRing]], guest: str, metric: Metric) -> UsageRing:
    return rings.get(guest, {}).get(metric, UsageRing())


def _limit(limits: Limits | None, metric: Metric) -> float:
    if limits is None:
        return math.inf
    return float(limits.cpu_millicores if metric is Metric.CPU_MILLICORES else limits.memory_mib)


def _groups(count: int, size: int) -> list[Ints]:
    """Return typical hosts: evenly spread rows, `GROUPS_TRIED` groups or what there is; all in one when few."""
    size = max(1, min(size, count))
    hosts = max(1, count // size)
    return [np.arange(first, count, hosts, dtype=np.int64) for first in range(0, hosts, -(-hosts // GROUPS_TRIED))]


def _integers(figures: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> Ints:
    if not np.isfinite(figures).all():
        raise ValueError("some guests' use was never measured, and no limits were given to stand for it")
    return np.asarray(np.ceil(figures - 1e-3), np.int64)
