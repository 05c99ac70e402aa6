"""Long stretches replayed quickly come to what the loop does turn by turn, with a past where one is given."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from cluster.config.power import PowerSettings, WakeTest
from cluster.config.settings import Mode, Settings
from cluster.history import Metric, slot_of
from scheduler.replay.replaying import Pace, Replaying
from simulator.accounting import AccountLedger
from simulator.clock import SimClock
from simulator.guests import SteadyLoad
from simulator.world import World
from tests.simulator.worlds import START, make_guest, make_host

HOUR_S = 3600.0


def settings() -> Settings:
    """Acting, every five minutes, by work done."""
    chosen = Settings()
    return replace(
        chosen,
        scheduler=replace(chosen.scheduler, mode=Mode.ACT, interval_s=300.0, work_limit=1.0, workers=1),
        collect=replace(chosen.collect, interval_s=300.0, smoothing_s=0.0),
        gate=replace(chosen.gate, quiet_start_s=0.0),
        power=PowerSettings(wake_test=WakeTest.OFF),
    )


def crowded() -> tuple[World, SimClock, AccountLedger]:
    """Twelve guests on one of three hosts: over its CPU limit."""
    clock, account = SimClock(START), AccountLedger()
    guests = [make_guest(f"g{number:02}", load=SteadyLoad(1200)) for number in range(12)]
    world = World([make_host(name) for name in "abc"], guests, clock, sample_s=60.0, ledgers=(account,))
    return world, clock, account


def test_what_a_cycle_begins_is_carried_out_between_the_beats() -> None:
    """The overload of the start is mended by the second beat, by plans that end, and nothing forbidden happens."""
    world, clock, account = crowded()
    replay = Replaying(world, settings(), clock)
    replay.run(600.0)
    assert replay.store.active_plan() is None
    assert max(len(on) for on in world.holdings.values()) < 12
    assert world.tally().moves_done > 0 and not world.violations()
    assert any("steps done" in text for _, text in replay.lines)
    assert round(account.figures().host_on_s, 6) == 3 * 600.0


def test_ticks_come_only_while_there_is_work() -> None:
    """A quiet hour takes as many rounds as there are beats."""
    world, clock, _ = crowded()
    replay = Replaying(world, settings(), clock, pace=Pace(tick_s=5.0))
    replay.run(HOUR_S)
    assert replay.store.active_plan() is None
    rounds: list[float] = []
    replay.run(HOUR_S, each=lambda: rounds.append(clock.monotonic_s()))
    assert replay.store.active_plan() is None
    beats = {job.every_s for job in replay.loop.jobs() if job.name not in ("lease", "tick", "publish")}
    assert len(rounds) <= HOUR_S / min(beats) + 1


def test_a_replay_is_the_same_every_time() -> None:
    """Nothing but its arguments reaches it."""

    def told() -> list[tuple[object, str]]:
        world, clock, _ = crowded()
        replay = Replaying(world, settings(), clock)
        replay.run(HOUR_S)
        return [(at, text) for at, text in replay.lines if "plan" not in text]

    assert told() == told()


def test_a_past_is_what_reports_would_have_left() -> None:
    """Given slots are read back, and new ones follow as hosts report."""
    world, clock, _ = crowded()
    replay = Replaying(world, settings(), clock)
    first = slot_of(START - timedelta(hours=1))
    replay.remember(Metric.CPU_MILLICORES, first, {"g00": [100, None, *range(10)]})
    ring = replay.store.usage("g00", Metric.CPU_MILLICORES)
    assert ring.values(first, 12) == [100, None, *range(10)]
    replay.run(900.0)
    assert replay.store.usage("g00", Metric.CPU_MILLICORES).values(first + 12, 2) == [1200, 1200]


def test_reports_and_the_lease_outlast_the_beats() -> None:
    """Settings made for seconds do not make every host stale between two beats of minutes."""
    world, _, _ = crowded()
    clock = SimClock(START)
    found = Replaying(world, settings(), clock).settings
    assert found.collect.stale_s >= 2 * found.collect.interval_s
    assert found.collect.report_ttl_s > found.collect.stale_s
    assert found.scheduler.lease_s > found.scheduler.interval_s
