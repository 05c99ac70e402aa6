"""Recorded history through the real loop: what this configuration would have done with it, and what it came to.

Loads are replayed as recorded, whatever guests would have done with more room; guests and hosts are those of the
snapshot, and begin where it has them. What lies before the replay is the past that forecasts know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from cluster.config.power import WakeTest
from cluster.config.settings import Mode, Settings
from cluster.history import SLOT_S, Metric, ring_of, slot_of
from cluster.snapshot import Snapshot
from scheduler.forecast.forecast import Limits, forecast
from scheduler.replay.replaying import Replaying
from simulator.accounting import Account, AccountLedger
from simulator.clock import SimClock
from simulator.guests import SimGuest, SteadyLoad, Writes
from simulator.loads import FloatArray, LoadMatrix
from simulator.traces import Trace
from simulator.world import World

LEAST_BEAT_S = 60.0
"""Measuring and planning more often than this adds time and changes little: history has one figure per 5 minutes."""
WORK_LIMIT = 1.0
MOMENTS = 12
"""So many moments of the replay are asked for a forecast."""
AHEAD_S = 3600.0
QUANTILE = 0.95


@dataclass(frozen=True, slots=True)
class ForecastError:
    """Pinball loss at `quantile`, mean over guests and `moments`, so far `ahead_s`, in millicores.

    Persistence forecasts what is now; yesterday's, what was at the same time a day before (`None`: too little past).
    """

    ahead_s: float
    quantile: float
    moments: int
    forecast: float
    persistence: float
    yesterday: float | None


@dataclass(frozen=True, slots=True)
class Backtest:
    """What came of it: `account` of the replay, `all_on` of the same loads with every host on and nothing moved."""

    start: datetime
    lasted_s: float
    moves_done: int
    moves_failed: int
    moved_mib: float
    account: Account
    all_on: Account
    error: ForecastError | None
    wrong: tuple[str, ...]
    missing: tuple[str, ...]
    """Guests of the snapshot without history: they stay at their present use."""


def backtest(
    snapshot: Snapshot,
    trace: Trace,
    settings: Settings,
    replay_s: float,
    say: Callable[[datetime, str], None] | None = None,
) -> Backtest:
    """Replay the last `replay_s` of a trace (all of it, if that is shorter) and return what came of it."""
    names = _rows_by_guest(snapshot, trace)
    cpu = trace.millicores({name: guest.vcpus for guest in snapshot.guests for name in (guest.id, guest.title)})
    first = max(0, trace.cpu.shape[1] - max(1, int(replay_s // trace.step_s)))
    begin = (trace.start or snapshot.taken_at) + timedelta(seconds=first * trace.step_s)
    lasted_s = float((trace.cpu.shape[1] - first) * trace.step_s)
    loads = LoadMatrix(cpu[:, first:], slot_s=trace.step_s)
    ledger, quiet = AccountLedger(), AccountLedger()
    world, clock = _world(snapshot, names, loads, begin, ledger)
    replay = Replaying(world, settings, clock, listener=say)
    past = {guest: _whole(cpu[row, :first], trace.step_s) for guest, row in names.items()}
    start = begin - timedelta(seconds=first * trace.step_s)
    replay.remember(Metric.CPU_MILLICORES, slot_of(start), past)
    replay.run(lasted_s)
    still, still_clock = _world(snapshot, names, loads, begin, quiet)
    still_clock.advance(lasted_s)
    still.settle_accounts()
    tally = world.tally()
    return Backtest(
        start=begin,
        lasted_s=lasted_s,
        moves_done=tally.moves_done,
        moves_failed=tally.moves_failed,
        moved_mib=tally.moved_mib,
        account=ledger.figures(),
        all_on=quiet.figures(),
        error=forecast_error(snapshot, names, cpu, trace.step_s, start, first),
        wrong=tuple(one.text for one in world.violations()),
        missing=tuple(sorted(guest.title for guest in snapshot.guests if guest.id not in names)),
    )


def backtest_settings(settings: Settings, is_chosen: Callable[[str], bool]) -> Settings:
    """Return the settings of a replay: they act at once, by work done; the cluster's own hosts and rules count.

    What `is_chosen` says that a person set stays. Wake tests are left out: nothing shows how they would have ended.
    """
    chosen = settings.scheduler
    beat_s = max(LEAST_BEAT_S, chosen.interval_s)
    gate, power = settings.gate, settings.power
    return replace(
        settings,
        hosts=(),
        rules=(),
        scheduler=replace(
            chosen,
            mode=chosen.mode if is_chosen("scheduler.mode") else Mode.ACT,
            interval_s=beat_s,
            work_limit=WORK_LIMIT if chosen.work_limit is None else chosen.work_limit,
            workers=1,
        ),
        collect=replace(settings.collect, interval_s=beat_s, smoothing_s=0.0),
        gate=gate if is_chosen("gate.quiet_start_s") else replace(gate, quiet_start_s=0.0),
        power=power if is_chosen("power.wake_test") else replace(power, wake_test=WakeTest.OFF),
        energy=replace(settings.energy, meter_every_s=max(settings.energy.meter_every_s, 3600.0)),
    )


def forecast_error(
    snapshot: Snapshot, names: Mapping[str, int], cpu: FloatArray, step_s: int, start: datetime, first: int
) -> ForecastError | None:
    """Return how far forecasts made during the replay were off, and how far the simple ones.

    `None` for a trace too short, or with other slots than of 5 minutes.
    """
    ahead, day = int(AHEAD_S // SLOT_S), 86400 // SLOT_S
    slots = cpu.shape[1]
    moments = [int(at) for at in np.linspace(max(first, 12), slots - ahead - 1, MOMENTS)] if slots > ahead + 24 else []
    if step_s != SLOT_S or not names or not moments:
        return None
    guests = sorted(names)
    rows = np.array([names[guest] for guest in guests])
    limits = {one.id: Limits(one.vcpus * 1000, one.memory_mib) for one in snapshot.guests}
    ours, persistence, yesterday = [], [], []
    for at in sorted(set(moments)):
        rings = {
            guest: {Metric.CPU_MILLICORES: ring_of(slot_of(start), _whole(cpu[names[guest], : at + 1], SLOT_S))}
            for guest in guests
        }
        now = start + timedelta(seconds=at * SLOT_S + SLOT_S - 1)
        found = forecast(rings, now, AHEAD_S + 2 * SLOT_S, limits)
        step = int((start + timedelta(seconds=(at + ahead) * SLOT_S) - found.start).total_seconds() // found.step_s)
        level = dict(zip(found.guests, found.cpu_quantile(QUANTILE)[:, step].tolist(), strict=True))
        truth = cpu[rows, at + ahead]
        ours.append(_pinball(truth, np.array([level.get(guest, 0.0) for guest in guests], float)))
        persistence.append(_pinball(truth, cpu[rows, at]))
        if at + ahead >= day:
            yesterday.append(_pinball(truth, cpu[rows, at + ahead - day]))
    whole_day = len(yesterday) == len(ours)
    return ForecastError(
        AHEAD_S,
        QUANTILE,
        len(ours),
        float(np.mean(ours)),
        float(np.mean(persistence)),
        float(np.mean(yesterday)) if whole_day else None,
    )


def _pinball(truth: FloatArray, level: FloatArray) -> float:
    """Return the mean pinball loss (Koenker and Bassett 1978) of a level as the `QUANTILE` of the truth."""
    over = truth - level
    return float(np.maximum(QUANTILE * over, (QUANTILE - 1) * over).mean())


def _rows_by_guest(snapshot: Snapshot, trace: Trace) -> dict[str, int]:
    """Return the trace's row of each guest, by id, named in it by id or name."""
    row = {name: number for number, name in enumerate(trace.guests)}
    found = {guest.id: row.get(guest.id, row.get(guest.name, -1)) for guest in snapshot.guests}
    return {guest: number for guest, number in found.items() if number >= 0}


def _world(
    snapshot: Snapshot, names: Mapping[str, int], loads: LoadMatrix, begin: datetime, ledger: AccountLedger
) -> tuple[World, SimClock]:
    clock = SimClock(begin)
    rows = loads.loads()
    guests = [
        SimGuest(
            guest,
            rows[names[guest.id]] if guest.id in names else SteadyLoad(float(guest.usage.cpu_millicores or 0)),
            Writes(hot_mib=guest.dirty.hot_mib or 0.0, cold_mib_s=guest.dirty.mib_s or 0.0),
        )
        for guest in snapshot.guests
    ]
    world = World(
        snapshot.hosts, guests, clock, snapshot.rules, load_start_s=0.0, sample_s=float(SLOT_S), ledgers=(ledger,)
    )
    return world, clock


def _whole(values: FloatArray, step_s: int) -> list[int | None]:
    """Return loads as slots of history: one whole figure each."""
    each = max(1, round(step_s / SLOT_S))
    figures = [round(value) for value in values.tolist()]
    if step_s < SLOT_S:
        per = SLOT_S // step_s
        return [round(sum(figures[at : at + per]) / per) for at in range(0, len(figures) - per + 1, per)]
    return [value for value in figures for _ in range(each)]
