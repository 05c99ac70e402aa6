"""What Trimtab tells it saved in a day, against what a twin of the cluster draws with every host on.

    python -m benchmarks.savings_told
    python -m benchmarks.savings_told --hosts 12 --guests 90 --model "Dell R7515 EPYC 7742"

A made-up cluster with two weeks of history and a working day's load, from noon to noon, under the real loop twice:
under `consolidate`, whose leader adds up what sleeping saved, and under `balance`, where nothing sleeps. What the
second draws more, by the simulator's own physics, is the truth. Told must not be over it by more than 3 %, nor under it
by more than 15 %: claims are cautious where nobody looked. Two minutes for 8 hosts; the exit status is 1 when missed.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cluster.config.energy import EnergySettings
from cluster.config.power import PowerSettings, WakeTest
from cluster.config.settings import Mode, Settings
from cluster.energy_day import Energy, kwh, total
from cluster.guest import Guest, Usage
from cluster.history import Metric, slot_of
from cluster.host import Host, PowerModel
from cluster.power_curves import BY_MODEL
from scheduler.replay.replaying import Replaying
from scheduler.watts.watch import read_days
from simulator.clock import SimClock
from simulator.guests import SimGuest, Writes
from simulator.loads import LoadMatrix
from simulator.world import World

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SLOT_S = 300
DAY = 86400 // SLOT_S
PAST = 14 * DAY
MEMORY_MIB = 4096
MOST_OVER_RATIO, MOST_UNDER_RATIO = 0.03, 0.15


@dataclass(frozen=True, slots=True)
class Shape:
    """How large the cluster is, and what its hosts are."""

    hosts: int
    guests: int
    model: str


def wanted_millicores(guest: int, slot: int) -> int:
    """What a guest wants in a slot counted from noon: little at night, most at one o'clock, some more than others."""
    hour = (slot + DAY // 2) % DAY / 12
    busy = math.sin((hour - 6) / 14 * math.pi) if 6 <= hour <= 20 else 0.0
    return round(300 + 2700 * busy * (0.8 + 0.4 * (guest * 37 % 10) / 10))


def replay(shape: Shape, policy: str) -> tuple[float, Energy]:
    """Run a day; return the kWh drawn by the simulator's own count, and what the leader added up."""
    power = PowerModel(controllable=True, watts=BY_MODEL[shape.model], sleep_watts=6.0, wake_s=180.0, sleep_s=30.0)
    hosts = [Host(f"host-{n}", 32_000, 65_536, migration_mbit_s=10_000, power=power) for n in range(shape.hosts)]
    names = [f"guest-{number:03}" for number in range(shape.guests)]
    matrix = LoadMatrix([[wanted_millicores(g, slot) for slot in range(DAY)] for g in range(shape.guests)], SLOT_S)
    guests = [
        SimGuest(
            Guest(name, f"host-{number % shape.hosts}", 4, MEMORY_MIB, Usage(None, memory_mib=MEMORY_MIB), name=name),
            load,
            Writes(hot_mib=100.0, hot_mib_s=50.0, cold_mib_s=5.0),
        )
        for number, (name, load) in enumerate(zip(names, matrix.loads(), strict=True))
    ]
    clock = SimClock(NOON)
    world = World(hosts, guests, clock, load_start_s=0.0, sample_s=60.0)
    replaying = Replaying(world, settings_for(policy), clock)
    first = slot_of(NOON) - PAST
    past = {name: [wanted_millicores(g, slot) for slot in range(-PAST, 0)] for g, name in enumerate(names)}
    replaying.remember(Metric.CPU_MILLICORES, first, past)
    replaying.remember(Metric.MEMORY_MIB, first, {name: [MEMORY_MIB] * PAST for name in names})
    replaying.run(86400.0)
    return kwh(sum(world.joules().values())), total(read_days(replaying.store, 3))


def settings_for(policy: str) -> Settings:
    """The settings of a run: a look at the hosts' draw each minute, a plan each five."""
    chosen = Settings()
    return replace(
        chosen,
        scheduler=replace(chosen.scheduler, mode=Mode.ACT, policy=policy, interval_s=300.0, work_limit=0.2, workers=1),
        collect=replace(chosen.collect, interval_s=60.0),
        gate=replace(chosen.gate, quiet_start_s=0.0),
        power=PowerSettings(wake_test=WakeTest.OFF),
        energy=EnergySettings(meter_every_s=60.0),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run both days, show both figures, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=8)
    parser.add_argument("--guests", type=int, default=48)
    parser.add_argument("--model", default="Dell R740 2x Platinum 8280", choices=sorted(BY_MODEL))
    given = parser.parse_args(arguments)
    shape = Shape(given.hosts, given.guests, given.model)
    drawn, told = replay(shape, "consolidate")
    with_all_on, nothing = replay(shape, "balance")
    truth, saved = max(1e-9, with_all_on - drawn), kwh(told.net_saved_j)
    print(f"drawn    {drawn:8.3f} kWh; told {kwh(told.used_j):8.3f}")
    print(f"all on   {with_all_on:8.3f} kWh; told {kwh(told.used_j + told.net_saved_j + told.moves_j):8.3f}")
    off, asleep_h = saved / truth - 1, told.asleep_host_s / 3600
    print(f"saved    {truth:8.3f} kWh; told {saved:8.3f} ({off:+.1%}), {asleep_h:.1f} host hours asleep")
    good = -MOST_UNDER_RATIO <= off <= MOST_OVER_RATIO and nothing.net_saved_j == 0
    print("within the bar" if good else "MISSED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
